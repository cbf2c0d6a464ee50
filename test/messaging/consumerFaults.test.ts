import { queues } from '../../src/contracts';
import { RetryTransaction, type Database, type Transaction } from '../../src/database';
import { createOutbox, Consumer, topology, type Broker, type Handler } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { createLogger, createMetrics } from '../../src/observability';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;
let database: Database;
let broker: Broker;
let consumer: Consumer;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
});
beforeEach(async () => {
  broker = createInProcessBroker({ random: () => 0 });
  await broker.declare(topology);
});
afterEach(async () => {
  await consumer.stop();
  await broker.close();
});
afterAll(() => testDatabase.drop());

const start = async (handler: Handler<'OrderCreated'>) => {
  const outbox = createOutbox({ database, schema: 'inventory', leaseMs: 60_000, handOver: () => undefined });
  consumer = new Consumer({
    ...{ queue: queues.orderCreated, handlers: { OrderCreated: handler }, broker, outbox, batchSizeMax: 64 },
    ...{ log: createLogger({ level: 'silent', name: 'test' }), metrics: createMetrics(), random: () => 0 },
  });
  await consumer.start();
};
const publish = (orderId: string) => {
  const body = Buffer.from(JSON.stringify({ event: 'OrderCreated', order_id: orderId, items: [{ product_id: 1, quantity: 1 }] }));
  const properties = { headers: {} };
  return broker
    .publish({ exchange: 'orders', routingKey: 'order.created', body, properties, mandatory: true })
    .catch(() => 'unsettled');
};
const tooMuchWork = async (tx: Transaction) => {
  await tx.$executeRaw`SET LOCAL statement_timeout = 20`;
  await tx.$queryRaw`SELECT pg_sleep(10)`;
};
const neverItsTurn = () => Promise.reject(new RetryTransaction('somebody else again'));

it.each([
  ['takes longer than the statement timeout', tooMuchWork],
  ['loses every race for its locks', neverItsTurn],
])('a message that %s does not hold up its queue: the others pass, it is tried again later', async (_what, fail) => {
  const tries: boolean[] = [];
  const redelivered = { count: 0 };
  await start(async (tx, batch) => {
    const isBad = batch.some(({ body }) => body.order_id === 'bad');
    tries.push(isBad);
    if (isBad && batch.length === 1) redelivered.count++;
    if (isBad) await fail(tx);
    return [];
  });
  const good = Array.from({ length: 49 }, (_, index) => `good-${index}`);
  const settled = [publish('bad'), ...good.map(publish)].slice(1);
  await Promise.all(settled);
  const beforeRetry = redelivered.count;
  await eventually(() => redelivered.count > beforeRetry);
  expect(broker.unsettled()).toBe(1);
});

it('a stop while the database is away is done at once, and leaves the batch to the broker', async () => {
  let attempts = 0;
  await start(async (tx) => {
    attempts++;
    await tx.$queryRaw`SELECT pg_terminate_backend(pg_backend_pid())`;
    return [];
  });
  for (let index = 0; index < 10; index++) void publish(`O-${index}`);
  await eventually(() => attempts >= 4);
  const startedAt = performance.now();
  await consumer.stop();
  // The database never comes back: a stop that waited for it would not end.
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  expect(broker.unsettled()).toBe(10);
});
