import { randomUUID } from 'node:crypto';
import { Client } from 'pg';

import { type AuditedLine } from '../../audit';
import { startClock, Tally, type RoundClock } from './clock';
import { orderMaker, type OrderMaker } from './orders';
import { type FloorReply, type FloorRequest } from './requests';
import { serve } from './serve';

/**
 * The floor: what is left when the rows of an order are written by hand, one order after the other on each connection, in one
 * transaction of prepared statements, without GraphQL, without a broker, without batches.
 */
async function run(request: FloorRequest): Promise<FloorReply> {
  const clients = await Promise.all(Array.from({ length: request.clients }, () => connect(request.databaseUrl)));
  const clock = startClock(request);
  const tally = new Tally(clock);
  const maker = orderMaker(request);
  try {
    const written = await Promise.all(clients.map((client) => writeOrders(client, maker, { request, clock, tally })));
    const orders = written.reduce((sum, count) => sum + count, 0);
    return { orders, ordersPerSecond: tally.perSecond(), answerMs: tally.answerMs() };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, application_name: 'holdfast bench floor' });
  await client.connect();
  return client;
}

interface Round {
  request: FloorRequest;
  clock: RoundClock;
  tally: Tally;
}

async function writeOrders(client: Client, maker: OrderMaker, { request, clock, tally }: Round): Promise<number> {
  let orders = 0;
  for (let now = performance.now(); now < clock.measuredTo; orders++) {
    const sentAt = now;
    await writeOrder(client, { tag: request.tag, customer: maker.customer(), lines: maker.lines() });
    now = performance.now();
    tally.finished(1, sentAt, now);
  }
  return orders;
}

/** Products are locked in the order of their ids, as anyone must who would not wait in a circle. */
async function writeOrder(client: Client, order: { tag: string; customer: string; lines: AuditedLine[] }): Promise<void> {
  const id = `ORD-${randomUUID()}`;
  const products = order.lines.map(({ productId }) => productId).sort((a, b) => a - b);
  const quantities = products.map(() => 1);
  const answer = {
    event: 'StockReserved',
    order_id: id,
    items: products.map((product_id) => ({ product_id, quantity: 1, unit_price: 1999 })),
  };
  const answerText = JSON.stringify(answer);
  await client.query('BEGIN');
  await execute(client, 'place', [id, order.customer, `${order.tag}.${id}`, products, quantities]);
  await execute(client, 'announce-order', [randomUUID(), id, 'OrderCreated', answerText]);
  await execute(client, 'lock', [products]);
  await execute(client, 'reserve', [id, answerText, products, quantities]);
  await execute(client, 'announce-stock', [randomUUID(), id, 'StockReserved', answerText]);
  await execute(client, 'confirm', [id, products.length * 1_999]);
  await execute(client, 'announce-order', [randomUUID(), id, 'OrderConfirmed', answerText]);
  await client.query('COMMIT');
}

function execute(client: Client, name: keyof typeof statements, values: unknown[]) {
  return client.query({ name, text: statements[name], values });
}

const announce = (schema: 'orders' | 'inventory') => `
  INSERT INTO ${schema}.outbox (id, aggregate_id, type, body, correlation_id, lease_until)
  VALUES ($1, $2, $3, $4, $2, clock_timestamp() + interval '5 seconds')`;

const statements = {
  place: `
    WITH placed AS (
      INSERT INTO orders.orders (id, customer_id, status, correlation_id, currency, idempotency_key, fingerprint, deadline_at, watch_at)
      VALUES ($1, $2, 'PENDING', $1, 'EUR', $3, md5($3), clock_timestamp() + interval '10 minutes', clock_timestamp() + interval '30 seconds')
      RETURNING id
    ), lines AS (
      INSERT INTO orders.order_items (order_id, product_id, quantity) SELECT $1, * FROM unnest($4::int[], $5::int[])
    )
    INSERT INTO orders.order_history (order_id, version, event, to_status) SELECT id, 1, 'OrderCreated', 'PENDING' FROM placed`,
  lock: `
    SELECT product_id, on_hand, reserved, price_minor FROM inventory.stock JOIN inventory.products ON products.id = stock.product_id
    WHERE product_id = ANY($1::int[]) ORDER BY product_id FOR UPDATE OF stock`,
  reserve: `
    WITH wished AS (SELECT * FROM unnest($3::int[], $4::int[]) AS line(product_id, quantity)), reservation AS (
      INSERT INTO inventory.reservations (order_id, status, answer) VALUES ($1, 'ACTIVE', $2)
    ), lines AS (
      INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor)
      SELECT $1, product_id, quantity, 1999 FROM wished
    ), moved AS (
      INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id)
      SELECT product_id, 'RESERVE', 0, quantity, $1 FROM wished
    )
    UPDATE inventory.stock SET reserved = reserved + wished.quantity, updated_at = clock_timestamp()
    FROM wished WHERE stock.product_id = wished.product_id`,
  confirm: `
    WITH changed AS (
      UPDATE orders.orders SET status = 'CONFIRMED', version = 2, total_minor = $2, updated_at = clock_timestamp() WHERE id = $1
    ), priced AS (
      UPDATE orders.order_items SET unit_price_minor = 1999 WHERE order_id = $1
    )
    INSERT INTO orders.order_history (order_id, version, event, from_status, to_status) VALUES ($1, 2, 'StockReserved', 'PENDING', 'CONFIRMED')`,
  'announce-order': announce('orders'),
  'announce-stock': announce('inventory'),
};

serve(run);
