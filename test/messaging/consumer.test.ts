import { queues } from '../../src/contracts';
import { type Database } from '../../src/database';
import { createOutbox, Consumer, topology, type Broker, type Handler } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { createLogger, createMetrics } from '../../src/observability';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;
let database: Database;
let broker: Broker;
let consumer: Consumer | undefined;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
});
beforeEach(async () => {
  broker = createInProcessBroker({ random: () => 0 });
  await broker.declare(topology);
});
afterEach(async () => {
  await consumer?.stop();
  consumer = undefined;
  await broker.close();
});
afterAll(() => testDatabase.drop());

const start = async (handler: Handler<'OrderCreated'>) => {
  const outbox = createOutbox({ database, schema: 'inventory', leaseMs: 60_000, handOver: () => undefined });
  consumer = new Consumer({
    ...{ queue: queues.orderCreated, handlers: { OrderCreated: handler }, broker, outbox, batchSizeMax: 16 },
    ...{ log: createLogger({ level: 'silent', name: 'test' }), metrics: createMetrics(), random: () => 0 },
  });
  await consumer.start();
};
const publish = (...orderIds: string[]) =>
  orderIds.map((order_id) => {
    const body = Buffer.from(JSON.stringify({ event: 'OrderCreated', order_id, items: [{ product_id: 1, quantity: 1 }] }));
    const settled = broker.publish({
      exchange: 'orders',
      routingKey: 'order.created',
      body,
      properties: { headers: {} },
      mandatory: true,
    });
    return settled.catch(() => 'unsettled');
  });
const dead = async () => (await broker.depth(`${queues.orderCreated}.dead`))?.ready ?? 0;

it('gathers what waits into batches, each in one transaction, in the order of arrival', async () => {
  const batches: string[][] = [];
  await start(async (tx, batch) => {
    await tx.$queryRaw`SELECT 1`;
    batches.push(batch.map(({ body }) => body.order_id));
    return [];
  });
  const ids = Array.from({ length: 100 }, (_, index) => `O-${index}`);
  await Promise.all(publish(...ids));
  expect(batches.flat()).toEqual(ids);
  expect(batches.length).toBeLessThan(20);
  expect(Math.max(...batches.map((batch) => batch.length))).toBe(16);
});

it('acks only after the commit: the effect is there when the message is settled', async () => {
  await start(async (tx, batch) => {
    for (const { body } of batch) await tx.reservation.create({ data: { orderId: body.order_id, status: 'RELEASED' } });
    return [];
  });
  await Promise.all(publish('A'));
  expect(await database.reservation.count({ where: { orderId: 'A' } })).toBe(1);
});

it('one message at fault pays alone: its batch is split, the others pass, it is dead-lettered with the reason', async () => {
  await start(async (tx, batch) => {
    for (const { body } of batch) {
      const quantity = body.order_id === 'bad' ? 0 : 1;
      await tx.reservation.create({
        data: { orderId: body.order_id, status: 'ACTIVE', lines: { create: { productId: 1, quantity, unitPriceMinor: 1 } } },
      });
    }
    return [];
  });
  const ids = Array.from({ length: 12 }, (_, index) => `one-${index}`);
  const settled = publish(...ids.slice(0, 6), 'bad', ...ids.slice(6));
  await Promise.all([...settled.slice(0, 6), ...settled.slice(7)]);
  await eventually(async () => (await dead()) === 1);
  expect(await database.reservation.count({ where: { orderId: { in: [...ids, 'bad'] } } })).toBe(12);
});

it('a fault that may pass is retried later, as the next attempt', async () => {
  let failures = 2;
  await start(() => {
    if (failures-- > 0) throw new Error('not today');
    return Promise.resolve([]);
  });
  await Promise.all(publish('A'));
  expect(failures).toBe(-1);
  expect(await dead()).toBe(0);
});

it('a database that is away is nobody’s fault: the batch waits in hand, and passes without a dead letter when it is back', async () => {
  let away = true;
  let attempts = 0;
  await start(async (tx) => {
    attempts++;
    // The server itself ends this connection, as a failover would.
    if (away) await tx.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`;
    return [];
  });
  const settled = publish('A', 'B');
  await eventually(() => attempts >= 3);
  away = false;
  await Promise.all(settled);
  expect(await dead()).toBe(0);
});

it('a stop finishes the batch at work and takes no more', async () => {
  let release: (() => void) | undefined;
  const handled: string[] = [];
  await start(async (_tx, batch) => {
    await new Promise<void>((resolve) => (release = resolve));
    handled.push(...batch.map(({ body }) => body.order_id));
    return [];
  });
  const [settled] = publish('A');
  await eventually(() => release);
  const stopping = consumer!.stop();
  void publish('B');
  release!();
  await Promise.all([stopping, settled]);
  expect(handled).toEqual(['A']);
});
