import { randomUUID } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

import { transaction, type Database, type Transaction } from '../../src/database';
import { type Outbox } from '../../src/messaging';
import { createLogger, createMetrics, Unavailable } from '../../src/observability';
import { createOrders, type OrdersContext } from '../../src/orders';
import { groupCommit } from '../../src/orders/groupCommit';
import { saveOrders, type NewOrder } from '../../src/orders/saveOrders';
import { silentOutbox } from '../support/anOrder';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
});
afterAll(() => testDatabase.drop());

const ordersOn = (outbox: Outbox, times = { deadlineMs: 60_000, republishAfterMs: 30_000 }, on = database): OrdersContext =>
  createOrders({
    ...{ database: on, outbox, currency: 'EUR', newId: uuidv7, times },
    ...{ log: createLogger({ level: 'silent', name: 'test' }), metrics: createMetrics() },
    limits: { linesMax: 100, quantityMax: 1_000, batchSizeMax: 64, concurrencyMax: 2 },
    room: () => Promise.resolve(),
    watchdog: { intervalMs: 3_600_000, batchSizeMax: 500, queued: () => Promise.resolve(0) },
    products: { idsBySku: () => Promise.resolve(new Map()), idsByName: () => Promise.resolve(new Map()) },
  });
const place = (orders: OrdersContext, idempotencyKey?: string, quantity = 1) =>
  orders.create({ customerId: 'CUST-1', items: [{ productId: 1, quantity }], idempotencyKey }, 'request-1');
const statusOf = async (orders: OrdersContext, id: string) => (await orders.find([id]))[0]?.status;

/** An outbox whose connection is cut at COMMIT, after or before the server has done it. */
const cutAtCommit = (isCommitted: boolean): Outbox => ({
  transaction: () => Promise.reject(new Error('One statement is enough.')),
  async atOnce(work) {
    if (isCommitted) await silentOutbox(database, 'orders').atOnce(work);
    throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
  },
});

it('a commit whose answer got lost: the order is there, and its customer is told so', async () => {
  const orders = ordersOn(cutAtCommit(true));
  const placed = await Promise.all(Array.from({ length: 20 }, () => place(orders)));
  for (const result of placed) {
    if (result.type !== 'placed') throw new Error(`not placed: ${JSON.stringify(result)}`);
    expect(await statusOf(orders, result.order.id)).toBe('PENDING');
  }
});

it('a commit that was lost with its answer is a fault, and nothing is there', async () => {
  const before = await database.order.count();
  await expect(place(ordersOn(cutAtCommit(false)))).rejects.toThrow('Connection terminated');
  expect(await database.order.count()).toBe(before);
});

it('whoever is told of a fault has no order: nothing can fail between the commit and the answers', async () => {
  const key = randomUUID();
  const stored = silentOutbox(database, 'orders');
  await place(ordersOn(stored), key);
  const before = await database.order.count();
  const failing = (real: Transaction) => failingAt(real, (query) => query.includes('AS wanted('));
  const orders = ordersOn(stored, undefined, failing(database) as Database);
  const results = await Promise.allSettled([place(orders), place(orders, key), place(orders)]);
  const placed = results.filter((result) => result.status === 'fulfilled');
  expect(placed).toHaveLength(2);
  expect(await database.order.count()).toBe(before + 2);
});

/** The same, but for one raw query that the database refuses. */
function failingAt<T extends Transaction>(real: T, isIt: (query: string) => boolean): T {
  return new Proxy(real, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name !== '$queryRaw') return value;
      return (strings: TemplateStringsArray, ...values: unknown[]) =>
        isIt(strings.join('?')) ? Promise.reject(new Error('refused')) : target.$queryRaw(strings, ...values);
    },
  });
}

it('orders go in by their keys, whatever order they came in: two batches with the same keys cannot deadlock', async () => {
  const keys = Array.from({ length: 20 }, (_, index) => `key-${index + 10}`);
  await transaction(database, (tx) =>
    saveOrders(tx, keys.toReversed().map(anOrderWithKey), { deadlineMs: 60_000, republishAfterMs: 30_000 }),
  );
  const stored = await database.$queryRaw<{ key: string }[]>`
    SELECT idempotency_key AS key FROM orders.orders WHERE customer_id = 'CUST-2' ORDER BY ctid`;
  expect(stored.map((row) => row.key)).toEqual(keys);
});

const anOrderWithKey = (idempotencyKey: string): NewOrder => ({
  ...{ id: `ORD-${uuidv7()}`, customerId: 'CUST-2', lines: [{ productId: 1, quantity: 1 }], currency: 'EUR' },
  ...{ payment: 'NONE', correlationId: 'c', idempotencyKey, fingerprint: 'f' },
});

it('a deadline that comes before the first look is kept: the order expires at it', async () => {
  const orders = ordersOn(silentOutbox(database, 'orders'), { deadlineMs: 0, republishAfterMs: 30_000 });
  const result = await place(orders);
  if (result.type !== 'placed') throw new Error('not placed');
  const watchdog = orders.startWatchdog();
  await watchdog.look();
  await watchdog.stop();
  expect(await statusOf(orders, result.order.id)).toBe('CANCELLED');
});

it('when nothing is let in for too long, whoever waits is turned away, and the next are served again', async () => {
  let letIn: (() => void) | undefined;
  let isFull = true;
  const place = groupCommit({
    commit: (items: number[]) => Promise.resolve(items),
    isFaultOfOne: () => true,
    room: () => (isFull ? new Promise((resolve) => (letIn = resolve)) : Promise.resolve()),
    noRoom: () => new Unavailable('full'),
    ...{ roomWaitMaxMs: 20, batchSizeMax: 2, concurrencyMax: 2 },
  });
  const outcomes = await Promise.allSettled([place(1), place(2), place(3)]);
  expect(outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as Error).message)).toEqual(
    Array.from({ length: 3 }, () => 'full'),
  );
  isFull = false;
  letIn?.();
  expect(await Promise.all([place(4), place(5), place(6)])).toEqual([4, 5, 6]);
});
