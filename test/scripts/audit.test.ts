import { audit, auditChecks, auditGroups, brokenByGroup, type AuditScope, type HeardEvent } from '../../scripts/audit';
import { sql, type Sql, type Transaction } from '../../src/database';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/**
 * Two products and seven orders, each at rest in another state; of two that are paid by balance one was paid, one refunded. A check
 * is worth what it finds, so each is shown the damage that it is there for, in a transaction that is rolled back.
 */
const healthy = () => [
  sql`INSERT INTO inventory.products (id, sku, name, price_minor, currency) VALUES (1, 'A', 'A', 100, 'EUR'), (2, 'B', 'B', 100, 'EUR')`,
  sql`INSERT INTO inventory.stock (product_id, on_hand, reserved) VALUES (1, 10, 6), (2, 0, 0)`,
  sql`INSERT INTO orders.orders (id, customer_id, status, version, reason_code, correlation_id, currency, total_minor, payment, idempotency_key, fingerprint, deadline_at, watch_at)
      SELECT id, 'c1', status::orders.order_status, version, reason, id, 'EUR', total, payment::orders.payment_method, key, key, now(), now()
      FROM (VALUES ('confirmed', 'CONFIRMED', 2, NULL, 'k1', 200, 'NONE'), ('fulfilled', 'FULFILLED', 4, NULL, 'k2', 300, 'BALANCE'),
                   ('rejected', 'CANCELLED', 2, 'INSUFFICIENT_STOCK', 'k3', NULL, 'NONE'),
                   ('released', 'CANCELLED', 3, 'REQUESTED', 'k4', 100, 'BALANCE'), ('updated', 'CONFIRMED', 3, NULL, 'k5', 300, 'NONE'))
        AS o(id, status, version, reason, key, total, payment)`,
  sql`INSERT INTO orders.order_items (order_id, product_id, quantity)
      VALUES ('confirmed', 1, 2), ('fulfilled', 2, 3), ('rejected', 2, 1), ('released', 1, 1), ('updated', 1, 3)`,
  sql`INSERT INTO orders.order_history (order_id, version, event, from_status, to_status)
      SELECT id, version, event, was::orders.order_status, becomes::orders.order_status
      FROM (VALUES ('confirmed', 1, 'OrderCreated', NULL, 'PENDING'), ('confirmed', 2, 'StockReserved', 'PENDING', 'CONFIRMED'),
                   ('fulfilled', 1, 'OrderCreated', NULL, 'PENDING'), ('fulfilled', 2, 'StockReserved', 'PENDING', 'RESERVED'),
                   ('fulfilled', 3, 'PaymentCaptured', 'RESERVED', 'CONFIRMED'), ('fulfilled', 4, 'FulfilOrder', 'CONFIRMED', 'FULFILLED'),
                   ('rejected', 1, 'OrderCreated', NULL, 'PENDING'), ('rejected', 2, 'StockRejected', 'PENDING', 'CANCELLED'),
                   ('released', 1, 'OrderCreated', NULL, 'PENDING'), ('released', 2, 'StockReserved', 'PENDING', 'RESERVED'),
                   ('released', 3, 'CancelOrder', 'RESERVED', 'CANCELLED'),
                   ('updated', 1, 'OrderCreated', NULL, 'PENDING'), ('updated', 2, 'StockReserved', 'PENDING', 'CONFIRMED'),
                   ('updated', 3, 'StockAmended', 'CONFIRMED', 'CONFIRMED')) AS h(id, version, event, was, becomes)`,
  sql`INSERT INTO inventory.reservations (order_id, status)
      VALUES ('confirmed', 'ACTIVE'), ('fulfilled', 'COMMITTED'), ('rejected', 'REJECTED'), ('released', 'RELEASED'),
             ('foreign', 'ACTIVE'), ('foreign-rejected', 'REJECTED'), ('updated', 'ACTIVE')`,
  sql`INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor)
      VALUES ('confirmed', 1, 2, 100), ('fulfilled', 2, 3, 100), ('released', 1, 1, 100), ('foreign', 1, 1, 100),
             ('updated', 1, 3, 100)`,
  sql`INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id)
      VALUES (1, 'INITIAL', 10, 0, NULL), (2, 'INITIAL', 3, 0, NULL), (1, 'RESERVE', 0, 2, 'confirmed'),
             (2, 'RESERVE', 0, 3, 'fulfilled'), (2, 'COMMIT', -3, -3, 'fulfilled'),
             (1, 'RESERVE', 0, 1, 'released'), (1, 'RELEASE', 0, -1, 'released'), (1, 'RESERVE', 0, 1, 'foreign'),
             (1, 'RESERVE', 0, 1, 'updated')`,
  sql`INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id, amendment)
      VALUES (1, 'AMEND', 0, 2, 'updated', 1)`,
  sql`INSERT INTO orders.amendments (order_id, number, status, before, lines, reason_code, correlation_id, decided_at, decide_before, watch_at)
      SELECT 'updated', number, status::orders.amendment_status, '[{"productId":1,"quantity":1}]', '[{"productId":1,"quantity":3}]', code, 'c',
             now(), now(), now()
      FROM (VALUES (1, 'APPLIED', NULL), (2, 'REJECTED', 'INSUFFICIENT_STOCK')) AS a(number, status, code)`,
  sql`INSERT INTO inventory.amendments (order_id, amendment, answer)
      VALUES ('updated', 1, '{"event":"StockAmended"}'), ('updated', 2, '{"event":"AmendmentRejected"}')`,
  sql`INSERT INTO accounts.accounts (customer_id, balance_minor, currency) VALUES ('c1', 700, 'EUR')`,
  sql`INSERT INTO accounts.payments (order_id, customer_id, status, amount_minor, answer)
      VALUES ('fulfilled', 'c1', 'CAPTURED', 300, '{}'), ('released', 'c1', 'REFUNDED', 100, '{}')`,
  sql`INSERT INTO accounts.entries (customer_id, kind, amount_minor, order_id, reference)
      VALUES ('c1', 'DEPOSIT', 1000, NULL, 'd1'), ('c1', 'CAPTURE', -300, 'fulfilled', NULL),
             ('c1', 'CAPTURE', -100, 'released', NULL), ('c1', 'REFUND', 100, 'released', NULL)`,
  deadLetter('bad-1'),
];

const told = (orderId: string, idempotencyKey: string, productId: number, quantity: number) => ({
  ...{ orderId, customerId: 'c1', idempotencyKey },
  lines: [{ productId, quantity }],
});

function heard(event: string, orderId: string, version: number | null): HeardEvent {
  return { event, orderId, version };
}

const scope: AuditScope = {
  customers: ['c1'],
  productIds: [1, 2],
  acknowledged: [
    told('confirmed', 'k1', 1, 2),
    told('fulfilled', 'k2', 2, 3),
    told('rejected', 'k3', 2, 1),
    told('released', 'k4', 1, 1),
    // As it was placed.
    told('updated', 'k5', 1, 1),
  ],
  foreign: [
    { orderId: 'foreign', lines: [{ productId: 1, quantity: 1 }], answers: ['StockReserved', 'StockReserved'] },
    { orderId: 'foreign-rejected', lines: [{ productId: 2, quantity: 5 }], answers: ['StockRejected'] },
  ],
  soldOutProductIds: [2],
  closed: [
    { orderId: 'fulfilled', status: 'FULFILLED' },
    { orderId: 'released', status: 'CANCELLED' },
  ],
  heard: [
    ...['confirmed', 'fulfilled', 'rejected', 'released', 'updated'].map((orderId) => heard('OrderCreated', orderId, null)),
    ...['fulfilled', 'released'].map((orderId) => heard('OrderReserved', orderId, 2)),
    ...['confirmed', 'updated'].map((orderId) => heard('OrderConfirmed', orderId, 2)),
    heard('OrderUpdated', 'updated', 3),
    heard('OrderConfirmed', 'fulfilled', 3),
    heard('OrderFulfilled', 'fulfilled', 4),
    heard('OrderCancelled', 'rejected', 2),
    heard('OrderCancelled', 'released', 3),
    heard('StockReserved', 'confirmed', null),
  ],
  poison: ['bad-1'],
};

let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
  for (const statement of healthy()) await test.database.$executeRaw(statement);
});
afterAll(() => test.drop());

it('finds nothing where every promise holds', async () => {
  const outcomes = await audit(test.database, scope);
  expect(outcomes.filter(({ broken }) => broken > 0)).toEqual([]);
  expect(outcomes).toHaveLength(auditChecks.length);
  expect(brokenByGroup(outcomes)).toEqual(Object.fromEntries(auditGroups.map((group) => [group, 0])));
});

interface Damage {
  what: string;
  statements?: Sql[];
  /** Another session begins a transaction and says nothing more. */
  besideAnIdleTransaction?: boolean;
  scope?: Partial<AuditScope>;
}

const openHistory = sql`ALTER TABLE orders.order_history DISABLE TRIGGER append_only`;
const openEntries = sql`ALTER TABLE accounts.entries DISABLE TRIGGER append_only`;
const foreign = (answers: string[]) => ({ foreign: [{ ...scope.foreign[0]!, answers }] });

/** By the name of the check that must find it. */
const damages: Record<string, Damage[]> = {
  'acknowledged orders are stored': [
    {
      what: 'an order is gone',
      statements: [
        openHistory,
        sql`DELETE FROM orders.order_history WHERE order_id = 'rejected'`,
        sql`DELETE FROM orders.order_items WHERE order_id = 'rejected'`,
        sql`DELETE FROM orders.orders WHERE id = 'rejected'`,
      ],
    },
    {
      what: 'an updated order began otherwise',
      statements: [sql`UPDATE orders.amendments SET before = '[{"productId":1,"quantity":7}]' WHERE number = 1`],
    },
    { what: 'a quantity is another', statements: [sql`UPDATE orders.order_items SET quantity = 9 WHERE order_id = 'rejected'`] },
    { what: 'a line is gone', statements: [sql`DELETE FROM orders.order_items WHERE order_id = 'rejected'`] },
    {
      what: 'an order stands under another key',
      statements: [sql`UPDATE orders.orders SET idempotency_key = 'x' WHERE id = 'rejected'`],
    },
    { what: 'another order was acknowledged for the key', scope: { acknowledged: [told('rejected', 'k1', 2, 1)] } },
  ],
  'foreign orders are answered': [
    { what: 'no answer was heard', scope: foreign([]) },
    { what: 'another answer was heard', scope: foreign(['StockRejected']) },
    { what: 'two answers contradict each other', scope: foreign(['StockReserved', 'StockRejected']) },
    {
      what: 'the reservation is gone',
      statements: [
        sql`DELETE FROM inventory.reservation_lines WHERE order_id = 'foreign'`,
        sql`DELETE FROM inventory.reservations WHERE order_id = 'foreign'`,
      ],
    },
  ],
  'one order per idempotency key': [
    {
      what: 'two orders have one key',
      statements: [
        sql`DROP INDEX orders.one_order_per_idempotency_key`,
        sql`UPDATE orders.orders SET idempotency_key = 'k1' WHERE id = 'fulfilled'`,
      ],
    },
  ],
  'one decision per order': [
    {
      what: 'an order was decided twice',
      statements: [
        sql`INSERT INTO orders.order_history (order_id, version, event, from_status, to_status) VALUES ('confirmed', 3, 'StockRejected', 'PENDING', 'CANCELLED')`,
      ],
    },
  ],
  'one movement per reserved line': [
    {
      what: 'a line was reserved twice',
      statements: [
        sql`DROP INDEX inventory.one_movement_per_order_line_kind_and_amendment`,
        sql`INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id) VALUES (1, 'RESERVE', 0, 2, 'confirmed')`,
      ],
    },
    {
      what: 'a movement belongs to no reservation',
      statements: [
        sql`INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id) VALUES (1, 'RESERVE', 0, 2, 'nobody')`,
      ],
    },
    {
      what: 'an update moved another number of units',
      statements: [sql`UPDATE inventory.reservation_lines SET quantity = 2 WHERE order_id = 'updated'`],
    },
    {
      what: 'a line never moved',
      statements: [
        sql`INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor) VALUES ('confirmed', 2, 1, 100)`,
      ],
    },
  ],
  'every update is decided': [
    {
      what: 'an update hangs',
      statements: [sql`UPDATE orders.amendments SET status = 'PENDING', decided_at = NULL WHERE number = 1`],
    },
  ],
  'updates are what inventory decided': [
    {
      what: 'what was refused is applied',
      statements: [sql`UPDATE orders.amendments SET status = 'APPLIED', reason_code = NULL WHERE number = 2`],
    },
    {
      what: 'what was granted is rejected',
      statements: [sql`UPDATE orders.amendments SET status = 'REJECTED', reason_code = 'EXPIRED' WHERE number = 1`],
    },
    {
      what: 'nobody was asked',
      statements: [
        sql`INSERT INTO orders.amendments (order_id, number, status, before, lines, correlation_id, decided_at, decide_before, watch_at)
            VALUES ('confirmed', 1, 'APPLIED', '[]', '[]', 'c', now(), now(), now())`,
      ],
    },
    {
      what: 'an update was applied twice',
      statements: [
        sql`INSERT INTO orders.order_history (order_id, version, event, from_status, to_status) VALUES ('updated', 4, 'StockAmended', 'CONFIRMED', 'CONFIRMED')`,
      ],
    },
  ],
  'every order is decided': [
    { what: 'an order hangs', statements: [sql`UPDATE orders.orders SET status = 'PENDING' WHERE id = 'confirmed'`] },
    {
      what: 'an order waits for its payment',
      statements: [sql`UPDATE orders.orders SET status = 'RESERVED' WHERE id = 'confirmed'`],
    },
  ],
  'every event is out': [
    {
      what: 'an event of an order waits',
      statements: [
        sql`INSERT INTO orders.outbox (id, aggregate_id, type, body, correlation_id, lease_until) VALUES (gen_random_uuid(), 'confirmed', 'OrderConfirmed', '{}', 'c', now())`,
      ],
    },
    {
      what: 'an answer to a foreign order waits',
      statements: [
        sql`INSERT INTO inventory.outbox (id, aggregate_id, type, body, correlation_id, lease_until) VALUES (gen_random_uuid(), 'foreign', 'StockReserved', '{}', 'c', now())`,
      ],
    },
  ],
  'money taken without goods': [
    {
      what: 'a cancelled order was not refunded',
      statements: [sql`UPDATE accounts.payments SET status = 'CAPTURED' WHERE order_id = 'released'`],
    },
    {
      what: 'money was taken for an order that waits for none',
      statements: [
        sql`INSERT INTO accounts.payments (order_id, customer_id, status, amount_minor, answer) VALUES ('confirmed', 'c1', 'CAPTURED', 200, '{}')`,
      ],
    },
    {
      what: 'the money was taken and the order is cancelled',
      statements: [sql`UPDATE orders.orders SET status = 'CANCELLED', reason_code = 'EXPIRED' WHERE id = 'fulfilled'`],
    },
  ],
  'goods given without money': [
    { what: 'nothing was ever taken', statements: [sql`DELETE FROM accounts.payments WHERE order_id = 'fulfilled'`] },
    {
      what: 'the money went back',
      statements: [sql`UPDATE accounts.payments SET status = 'REFUNDED' WHERE order_id = 'fulfilled'`],
    },
    { what: 'less was taken', statements: [sql`UPDATE accounts.payments SET amount_minor = 299 WHERE order_id = 'fulfilled'`] },
    {
      what: 'somebody else paid',
      statements: [sql`UPDATE accounts.payments SET customer_id = 'c2' WHERE order_id = 'fulfilled'`],
    },
  ],
  'balances are the sum of entries': [
    { what: 'a balance drifted', statements: [sql`UPDATE accounts.accounts SET balance_minor = 701`] },
    {
      what: 'an entry is gone',
      statements: [openEntries, sql`DELETE FROM accounts.entries WHERE order_id = 'released' AND kind = 'REFUND'`],
    },
  ],
  'no balance is negative': [
    {
      what: 'more was taken than there was',
      statements: [
        sql`ALTER TABLE accounts.accounts DROP CONSTRAINT balance_not_negative`,
        sql`UPDATE accounts.accounts SET balance_minor = -1`,
      ],
    },
  ],
  'payments are booked as they stand': [
    {
      what: 'money was taken twice',
      statements: [
        sql`DROP INDEX accounts.one_entry_per_order_and_kind`,
        sql`INSERT INTO accounts.entries (customer_id, kind, amount_minor, order_id) VALUES ('c1', 'CAPTURE', -300, 'fulfilled')`,
      ],
    },
    {
      what: 'money was given back that is still said to be taken',
      statements: [
        sql`INSERT INTO accounts.entries (customer_id, kind, amount_minor, order_id) VALUES ('c1', 'REFUND', 300, 'fulfilled')`,
      ],
    },
    {
      what: 'a payment was never taken',
      statements: [openEntries, sql`DELETE FROM accounts.entries WHERE order_id = 'fulfilled'`],
    },
    { what: 'an entry belongs to no payment', statements: [sql`DELETE FROM accounts.payments WHERE order_id = 'fulfilled'`] },
  ],
  'nothing is sold twice': [
    {
      what: 'confirmed orders hold more than there is',
      statements: [sql`UPDATE orders.order_items SET quantity = 10 WHERE order_id = 'confirmed'`],
    },
    {
      what: 'foreign reservations hold more than there is',
      statements: [sql`UPDATE inventory.reservation_lines SET quantity = 9 WHERE order_id = 'foreign'`],
    },
  ],
  'counters are possible': [
    {
      what: 'more is reserved than is there',
      statements: [
        sql`ALTER TABLE inventory.stock DROP CONSTRAINT reserved_within_on_hand`,
        sql`UPDATE inventory.stock SET reserved = 11 WHERE product_id = 1`,
      ],
    },
    {
      what: 'a counter is negative',
      statements: [
        sql`ALTER TABLE inventory.stock DROP CONSTRAINT reserved_within_on_hand`,
        sql`UPDATE inventory.stock SET on_hand = -1, reserved = -1 WHERE product_id = 2`,
      ],
    },
  ],
  'counters are the sum of movements': [
    { what: 'on hand drifted', statements: [sql`UPDATE inventory.stock SET on_hand = 11 WHERE product_id = 1`] },
    { what: 'reserved drifted', statements: [sql`UPDATE inventory.stock SET reserved = 5 WHERE product_id = 1`] },
  ],
  'reserved is what reservations hold': [
    { what: 'reserved drifted', statements: [sql`UPDATE inventory.stock SET reserved = 5 WHERE product_id = 1`] },
    {
      what: 'a reservation was let go without its units',
      statements: [sql`UPDATE inventory.reservations SET status = 'RELEASED' WHERE order_id = 'foreign'`],
    },
  ],
  'confirmed orders hold their lines': [
    {
      what: 'its reservation was let go',
      statements: [sql`UPDATE inventory.reservations SET status = 'RELEASED' WHERE order_id = 'confirmed'`],
    },
    {
      what: 'its reservation holds fewer units',
      statements: [sql`UPDATE inventory.reservation_lines SET quantity = 1 WHERE order_id = 'confirmed'`],
    },
    {
      what: 'its reservation lacks the line',
      statements: [sql`DELETE FROM inventory.reservation_lines WHERE order_id = 'confirmed'`],
    },
    {
      what: 'what was fulfilled was not taken',
      statements: [sql`UPDATE inventory.reservations SET status = 'ACTIVE' WHERE order_id = 'fulfilled'`],
    },
  ],
  'cancelled orders hold nothing': [
    {
      what: 'a cancelled order holds stock',
      statements: [sql`UPDATE inventory.reservations SET status = 'ACTIVE' WHERE order_id = 'released'`],
    },
  ],
  'foreign orders hold their lines': [
    {
      what: 'a foreign order holds other lines',
      statements: [sql`UPDATE inventory.reservation_lines SET quantity = 2 WHERE order_id = 'foreign'`],
    },
    {
      what: 'a rejected foreign order holds a line',
      statements: [
        sql`INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor) VALUES ('foreign-rejected', 2, 5, 100)`,
      ],
    },
  ],
  'histories are whole': [
    {
      what: 'a step leads nowhere and is no update',
      statements: [
        sql`INSERT INTO orders.order_history (order_id, version, event, from_status, to_status) VALUES ('updated', 4, 'StockReserved', 'CONFIRMED', 'CONFIRMED')`,
        sql`UPDATE orders.orders SET version = 4 WHERE id = 'updated'`,
      ],
    },
    {
      what: 'a final state was left',
      statements: [
        sql`INSERT INTO orders.order_history (order_id, version, event, from_status, to_status) VALUES ('rejected', 3, 'StockReserved', 'CANCELLED', 'CONFIRMED')`,
      ],
    },
    {
      what: 'a step is gone',
      statements: [openHistory, sql`DELETE FROM orders.order_history WHERE order_id = 'fulfilled' AND version = 2`],
    },
    {
      what: 'the status is not where the history ends',
      statements: [sql`UPDATE orders.orders SET status = 'FULFILLED' WHERE id = 'confirmed'`],
    },
    {
      what: 'there is no history',
      statements: [openHistory, sql`DELETE FROM orders.order_history WHERE order_id = 'confirmed'`],
    },
  ],
  'every closing is answered': [
    {
      what: 'inventory has not answered for a cancelled order',
      statements: [sql`INSERT INTO orders.closings (order_id, watch_at) VALUES ('released', now())`],
    },
    {
      what: 'accounts has not answered for a refund',
      statements: [sql`INSERT INTO orders.refunds (order_id, watch_at) VALUES ('released', now())`],
    },
  ],
  'reservations are whole': [
    {
      what: 'an order holds one of its two lines',
      statements: [sql`INSERT INTO orders.order_items (order_id, product_id, quantity) VALUES ('confirmed', 2, 1)`],
    },
    {
      what: 'a released one had held other units',
      statements: [sql`UPDATE inventory.reservation_lines SET quantity = 2 WHERE order_id = 'released'`],
    },
  ],
  'orders expire at their deadline': [
    {
      what: 'an order was given up early',
      statements: [
        sql`UPDATE orders.orders SET deadline_at = now() + interval '1 hour' WHERE id = 'rejected'`,
        sql`ALTER TABLE orders.order_history DISABLE TRIGGER append_only`,
        sql`UPDATE orders.order_history SET event = 'ExpireOrder' WHERE order_id = 'rejected' AND version = 2`,
      ],
    },
  ],
  'acknowledged closings hold': [
    { what: 'a cancelled order is not', scope: { closed: [{ orderId: 'confirmed', status: 'CANCELLED' }] } },
    { what: 'a fulfilled order is gone', scope: { closed: [{ orderId: 'nowhere', status: 'FULFILLED' }] } },
  ],
  'every change was told': [
    { what: 'an event was never heard', scope: { heard: scope.heard!.filter(({ event }) => event !== 'OrderFulfilled') } },
    { what: 'only an older version was heard', scope: { heard: scope.heard!.map((told) => ({ ...told, version: 1 })) } },
    { what: 'nothing was heard', scope: { heard: [] } },
  ],
  'nothing is told that did not happen': [
    {
      what: 'a change was told that was rolled back',
      scope: { heard: [...scope.heard!, heard('OrderCancelled', 'confirmed', 3)] },
    },
    { what: 'an order was told that is not there', scope: { heard: [...scope.heard!, heard('OrderCreated', 'nowhere', null)] } },
  ],
  'dead letters are the poison sent': [
    { what: 'poison left no trace', scope: { poison: ['bad-1', 'bad-2'] } },
    { what: 'something else died', statements: [deadLetter('good')] },
    { what: 'the poison died twice', statements: [deadLetter('bad-1', 'another queue')] },
  ],
  'no message wears out': [
    {
      what: 'a message was handed out until the broker gave it up',
      statements: [sql`UPDATE operations.dead_letters SET reason = 'Handed out more than 20 times and never settled'`],
    },
  ],
  'no transaction is left open': [
    { what: 'a session idles in its transaction', besideAnIdleTransaction: true, scope: { idleSecondsMax: 0 } },
  ],
  'short stock is sold to the last unit': [
    {
      what: 'a unit stayed behind',
      statements: [
        sql`INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta) VALUES (2, 'ADJUST', 1, 0)`,
      ],
    },
  ],
};

describe.each(auditChecks.map(({ name, promise }) => [name, promise]))('%s: %s', (name) => {
  it.each((damages[name] ?? []).map((damage): [string, Damage] => [damage.what, damage]))(
    'breaks when %s',
    async (_what, damage) => {
      const ask = () => damaged(damage.statements ?? [], (tx) => audit(tx, { ...scope, ...damage.scope }));
      const outcomes = await (damage.besideAnIdleTransaction ? besideAnIdleTransaction(ask) : ask());
      const found = outcomes.find((outcome) => outcome.name === name)!;
      expect(found.broken).toBeGreaterThan(0);
      expect(found.examples.length).toBeGreaterThan(0);
    },
  );

  it('is shown some damage', () => expect(damages[name]).not.toBeUndefined());
});

/** Runs `work` on a damaged database and mends it again. */
async function damaged<T>(statements: Sql[], work: (tx: Transaction) => Promise<T>): Promise<T> {
  let result: T;
  const undo = new Error('the damage is rolled back');
  const rolledBack = test.database.$transaction(
    async (tx) => {
      for (const statement of statements) await tx.$executeRaw(statement);
      result = await work(tx);
      throw undo;
    },
    { timeout: 60_000 },
  );
  await expect(rolledBack).rejects.toBe(undo);
  return result!;
}

async function besideAnIdleTransaction<T>(work: () => Promise<T>): Promise<T> {
  return test.database.$transaction(
    async (tx) => {
      await tx.$queryRaw`SELECT 1`;
      return work();
    },
    { timeout: 60_000 },
  );
}

function deadLetter(messageId: string, queue = 'order.created.inventory'): Sql {
  return sql`INSERT INTO operations.dead_letters (id, queue, exchange, routing_key, message_id, body, body_size, body_digest, properties, reason, attempt)
             VALUES (gen_random_uuid(), ${queue}, '', ${queue}, ${messageId}, '', 0, '', '{}', 'not JSON', 1)`;
}
