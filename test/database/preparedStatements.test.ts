import { v7 as uuidv7 } from 'uuid';

import { book, lockAccounts, type NewEntry } from '../../src/accounts/accountRows';
import { lockPayments, markRefunded } from '../../src/accounts/paymentRows';
import { openDatabase, sql, transaction, type Database, type Transaction } from '../../src/database';
import { rememberStatements } from '../../src/database/preparedStatements';
import {
  findReservations,
  lockReservations,
  saveReservationsAtOnce,
  setReservationStatus,
  type NewReservation,
} from '../../src/inventory/reservationRows';
import { lockStock, move, readStock, type Movement } from '../../src/inventory/stockRows';
import { postponeRefused, removePublished } from '../../src/messaging/outboxRows';
import { forgetClosings } from '../../src/orders/closingRows';
import { type Order } from '../../src/orders/order';
import { lockOrders, readOrders, saveChanges, saveChangesAtOnce, type SavedChange } from '../../src/orders/orderRows';
import { readPricedLines } from '../../src/orders/paymentRows';
import { findByKeys } from '../../src/orders/saveOrders';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

describe('rememberStatements', () => {
  it('gives one text one name, and another text another', () => {
    const { nameOf } = rememberStatements();
    expect(nameOf('SELECT $1::int')).toBe(nameOf('SELECT $1::int'));
    expect(nameOf('SELECT $1::text')).not.toBe(nameOf('SELECT $1::int'));
  });

  it('names no more than the limit, so that a connection cannot fill with plans', () => {
    const { nameOf } = rememberStatements(1);
    const first = nameOf('SELECT $1::int');
    expect(nameOf('SELECT $1::text')).toBeUndefined();
    expect(nameOf('SELECT $1::int')).toBe(first);
  });

  it('gives a forgotten text another name, and leaves the others theirs', () => {
    const { nameOf, forget } = rememberStatements();
    const [first, other] = [nameOf('SELECT $1::int'), nameOf('SELECT $1::text')];
    forget('SELECT $1::int');
    expect([first, other]).not.toContain(nameOf('SELECT $1::int'));
    expect(nameOf('SELECT $1::text')).toBe(other);
  });
});

describe('a connection by index', () => {
  let test: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    test = await createTestDatabase({ poolSize: 1, byIndex: true });
    database = test.database;
  });
  afterAll(() => test.drop());

  it('prepares a statement with parameters once, in a transaction and outside of one', async () => {
    for (const value of [1, 2]) await database.$queryRaw`SELECT ${value}::int AS marked`;
    await database.$transaction(async (tx) => tx.$queryRaw`SELECT ${3}::int AS marked`);
    const prepared = await database.$queryRaw`
      SELECT (generic_plans + custom_plans)::int AS calls FROM pg_prepared_statements WHERE statement LIKE '%AS marked'`;
    expect(prepared).toEqual([{ calls: 3 }]);
  });

  it('goes on with its statements after one of them failed', async () => {
    const divide = (by: number) => database.$queryRaw<{ result: number }[]>`SELECT (12 / ${by}::int)::int AS result`;
    expect(await divide(3)).toEqual([{ result: 4 }]);
    await expect(divide(0)).rejects.toThrow('division by zero');
    expect(await divide(4)).toEqual([{ result: 3 }]);
  });

  it('outlives a migration that changes the type of a column under its plans', async () => {
    await database.$executeRaw`CREATE TABLE narrow (id int, text text)`;
    const read = () => transaction(database, (tx) => tx.$queryRaw`SELECT id FROM narrow WHERE id = ${1}::int`);
    for (let times = 1; times <= 7; times++) await read();
    await database.$executeRaw`ALTER TABLE narrow ALTER COLUMN id TYPE bigint`;
    expect(await read()).toEqual([]);
    expect(await read()).toEqual([]);
  });

  it('keeps the options that its URL carries', async () => {
    const url = new URL(test.url);
    url.searchParams.set('options', '-c enable_bitmapscan=off');
    const narrowed = openDatabase({ url: url.href, poolSize: 1, byIndex: true });
    const [set] = await narrowed.$queryRaw<{ given: string; ours: string }[]>`
      SELECT current_setting('enable_bitmapscan') AS given, current_setting('enable_seqscan') AS ours`;
    await narrowed.close();
    expect(set).toEqual({ given: 'off', ours: 'off' });
  });
});

describe('a plan made while the tables were small', () => {
  let test: TestDatabase;
  const statements: Record<string, (tx: Transaction, numbers: number[]) => Promise<unknown>> = {
    'lock orders': (tx, numbers) => lockOrders(tx, numbers.map(orderId)),
    'save changes': (tx, numbers) => saveChanges(tx, numbers.map(aConfirmation)),
    'forget closings': (tx, numbers) => forgetClosings(tx, 'closings', numbers.map(orderId)),
    'read orders': (tx, numbers) => readOrders(tx as Database, numbers.map(orderId)),
    'save changes at once': (tx, numbers) => saveChangesAtOnce(at(tx), numbers.map(aConfirmation), numbers.map(anEvent)),
    'read priced lines': (tx, numbers) => readPricedLines(tx, numbers.map(orderId)),
    'lock accounts': (tx, numbers) => lockAccounts(tx, numbers.map(customerId)),
    'book entries': (tx, numbers) => book(tx, numbers.map(aDeposit)),
    'lock payments': (tx, numbers) => lockPayments(tx, numbers.map(orderId)),
    'mark payments refunded': (tx, numbers) => markRefunded(tx, numbers.map(orderId)),
    'find orders by their keys': (tx, numbers) => findByKeys(tx, numbers.map(aKey)),
    'find reservations': (tx, numbers) => findReservations(tx, numbers.map(orderId)),
    'lock reservations': (tx, numbers) => lockReservations(tx, numbers.map(orderId)),
    'release reservations': (tx, numbers) => setReservationStatus(tx, numbers.map(orderId), 'RELEASED'),
    'lock stock': (tx, numbers) => lockStock(tx, numbers),
    'move stock': (tx, numbers) => move(tx, numbers.map(anAdjustment)),
    'read stock': (tx, numbers) => readStock(tx as Database, numbers),
    'save reservations at once': (tx, numbers) => saveReservationsAtOnce(at(tx), numbers.map(aReservation), numbers.map(anEvent)),
    'remove what was published': (tx, numbers) => removePublished(tx as Database, 'orders', numbers.map(BigInt)),
    'postpone what was refused': (tx, numbers) =>
      postponeRefused(tx as Database, { schema: 'orders', positions: numbers.map(BigInt), leaseMs: 1_000 }),
  };

  beforeAll(async () => {
    test = await createTestDatabase({ poolSize: 1, byIndex: true });
    await fill(test.database, 1, 10);
    await test.database.$executeRaw`ANALYZE`;
    // Often enough for the server to keep a plan; what breaks a constraint at the second time was planned before.
    for (let times = 1; times <= 8; times++) {
      for (const statement of Object.values(statements))
        await test.database.$transaction((tx) => statement(tx, [1, 2])).catch(() => undefined);
    }
    await fill(test.database, 11, 5_000);
  });
  afterAll(() => test.drop());

  it.each(Object.keys(statements))('reads a large one by its index: %s', async (name) => {
    const read = await test.database.$transaction(async (tx) => {
      await statements[name]!(tx, [7, 8]);
      return tx.$queryRaw<{ table: string; rows: number }[]>`
        SELECT relname AS table, seq_tup_read::int AS rows FROM pg_stat_xact_user_tables WHERE seq_tup_read > 0`;
    });
    expect(read).toEqual([]);
  });
});

const at = (tx: Transaction) => ({ database: tx as Database, leaseMs: 1_000 });
const anEvent = (n: number) => ({
  id: uuidv7(),
  correlationId: 'c',
  body: { event: 'OrderCancelled' as const, order_id: orderId(n) },
});
/** Of an order that has one already: all of the statement is run, and writes nothing. */
const aReservation = (n: number): NewReservation => ({
  ...{ orderId: orderId(n), status: 'ACTIVE', answer: '{}', lines: [{ productId: n, quantity: 1, unitPrice: 100 }] },
});
const orderId = (n: number) => `ORD-${n}`;
const customerId = (n: number) => `CUST-${n}`;
const aDeposit = (n: number): NewEntry => ({ customerId: customerId(n), kind: 'DEPOSIT', amount: 1, reference: uuidv7() });
const aKey = (n: number) => ({ customerId: customerId(n), idempotencyKey: `k-${n}` });
const anAdjustment = (productId: number): Movement => ({ productId, kind: 'ADJUST', onHandDelta: 1, reservedDelta: 0 });

function aConfirmation(n: number): SavedChange {
  const id = orderId(n);
  const lines = [{ productId: 7, quantity: 1, unitPrice: 100 }];
  const order: Order = {
    ...{ id, customerId: 'C', status: 'CONFIRMED', payment: 'NONE', version: 2, correlationId: 'c', currency: 'EUR', lines },
  };
  return { change: { trigger: 'StockReserved', orderId: id, lines }, from: 'PENDING', order };
}

/** One row in each table for every number of the range; all of the orders' lines are of product 7. */
async function fill(database: Database, from: number, to: number) {
  const numbers = sql`generate_series(${from}::int, ${to}::int) AS n`;
  const inserts = [
    sql`inventory.products (id, sku, name, price_minor, currency) SELECT n, 'SKU-' || n, 'product', 100, 'EUR'`,
    sql`inventory.stock (product_id, on_hand) SELECT n, 9`,
    sql`orders.orders
        (id, customer_id, status, correlation_id, currency, idempotency_key, fingerprint, deadline_at, watch_at)
      SELECT 'ORD-' || n, 'CUST-' || n, 'PENDING', 'c', 'EUR', 'k-' || n, 'f', now(), now()`,
    sql`orders.order_items (order_id, product_id, quantity) SELECT 'ORD-' || n, 7, 1`,
    sql`orders.closings (order_id, watch_at) SELECT 'ORD-' || n, now()`,
    sql`accounts.accounts (customer_id, currency, balance_minor) SELECT 'CUST-' || n, 'EUR', 9`,
    sql`accounts.payments (order_id, customer_id, status, amount_minor, answer) SELECT 'ORD-' || n, 'CUST-' || n, 'CAPTURED', 1, '{}'`,
    sql`inventory.reservations (order_id, status) SELECT 'ORD-' || n, 'ACTIVE'`,
    sql`inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor) SELECT 'ORD-' || n, 7, 1, 100`,
    sql`orders.outbox (id, aggregate_id, type, body, correlation_id, lease_until)
      SELECT gen_random_uuid(), 'ORD-' || n, 'OrderCreated', '{}', 'c', now()`,
  ];
  for (const insert of inserts) await database.$executeRaw`INSERT INTO ${insert} FROM ${numbers}`;
}
