/**
 * A service that listens to Holdfast: copy it, put your work into `handle`, and let something start it again when it ends.
 * AMQP_URL is the RabbitMQ, DATABASE_URL a Postgres of yours.
 */
import { connect } from 'amqplib';
import { createHash } from 'node:crypto';
import { Pool, type PoolClient } from 'pg';

const queue = process.env.QUEUE ?? 'shipping.order-confirmed';
const bindings = [{ exchange: 'orders', key: 'order.confirmed' }];

/** Your work, in the transaction that remembers the message: both happen, or neither. Throw PoisonMessage for what can never be done. */
async function handle(event: { order_id: string; items: object[] }, database: PoolClient): Promise<void> {
  if (typeof event.order_id !== 'string' || !Array.isArray(event.items)) throw new PoisonMessage('no order, or no items');
  await database.query('INSERT INTO shipments (order_id, items) VALUES ($1, $2)', [event.order_id, JSON.stringify(event.items)]);
}

class PoisonMessage extends Error {}

async function main(): Promise<void> {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL });
  await pool.query('CREATE TABLE IF NOT EXISTS handled_messages (id text PRIMARY KEY)');
  await pool.query('CREATE TABLE IF NOT EXISTS shipments (order_id text NOT NULL, items jsonb NOT NULL)');
  const connection = await connect(process.env.AMQP_URL ?? 'amqp://localhost');
  const channel = await connection.createChannel();
  const deadLetters = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': `${queue}.dead`, 'x-delivery-limit': 20 };
  await channel.assertQueue(`${queue}.dead`, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum', ...deadLetters } });
  for (const { exchange, key } of bindings) {
    await channel.assertExchange(exchange, 'topic', { durable: true });
    await channel.bindQueue(queue, exchange, key);
  }
  await channel.prefetch(20);
  await channel.consume(queue, (message) => {
    if (message === null) process.exit(1); // Somebody deleted the queue.
    // A repetition has the id of the first; a bare message has none, and is known by what it says.
    const id = String(message.properties.messageId ?? createHash('sha256').update(message.content).digest('hex'));
    once(pool, id, message.content).then(
      () => channel.ack(message), // Only now: a crash before this brings the message again, and `once` knows it.
      (error: unknown) => {
        console.error(`${id}: ${String(error)}`);
        if (error instanceof PoisonMessage)
          channel.nack(message, false, false); // Into the dead letters, for people to look at.
        else setTimeout(() => channel.nack(message), 1_000); // The database is away, say: again, at most 20 times.
      },
    );
  });
  // Begin anew when the connection is lost: what was not acked comes again.
  connection.on('close', (lost?: Error) => process.exit(lost ? 1 : 0));
  process.once('SIGTERM', () => void connection.close());
  console.log(`listening on ${queue}`);
}

async function once(pool: Pool, id: string, content: Buffer): Promise<void> {
  const database = await pool.connect();
  try {
    await database.query('BEGIN');
    const first = await database.query('INSERT INTO handled_messages VALUES ($1) ON CONFLICT DO NOTHING', [id]);
    if (first.rowCount === 1) await handle(parse(content), database);
    await database.query('COMMIT');
  } catch (error) {
    await database.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    database.release();
  }
}

function parse(content: Buffer): { order_id: string; items: object[] } {
  try {
    const event: unknown = JSON.parse(content.toString());
    if (typeof event === 'object' && event !== null) return event as { order_id: string; items: object[] };
  } catch {
    // It is none, either.
  }
  throw new PoisonMessage('no JSON object');
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
