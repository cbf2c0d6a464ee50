import { v7 as uuidv7 } from 'uuid';

import { audit, everything } from '../../scripts/audit';
import { type AccountsContext } from '../../src/accounts';
import { type AnyEvent } from '../../src/contracts';
import { type Database } from '../../src/database';
import { type Handler, type Outbox, type OutboxSchema } from '../../src/messaging';
import { createLogger, createMetrics } from '../../src/observability';
import { createOrders, type OrdersContext, type Watchdog } from '../../src/orders';
import { type InventoryContext } from '../../src/inventory';
import { accountsOn, aProduct, handle, incoming, inventoryOn, leaveOut, silentOutbox } from '../support/anOrder';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** Orders, inventory and accounts on a real database, with the post in the hands of the test. */
let testDatabase: TestDatabase;
let database: Database;
let inventory: InventoryContext;
let accounts: AccountsContext;
let orders: OrdersContext;
let watchdog: Watchdog;
let product: number;
/** All that was taken from the outboxes since the test began. */
let said: AnyEvent[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
  inventory = inventoryOn(database);
  accounts = accountsOn(database);
  orders = createOrders({
    ...{ database, outbox: outboxOf('orders'), currency: 'EUR', newId: uuidv7, metrics: createMetrics() },
    log: createLogger({ level: 'silent', name: 'test' }),
    times: { deadlineMs: 60_000, republishAfterMs: 30_000 },
    limits: { linesMax: 10, quantityMax: 1_000, batchSizeMax: 64, concurrencyMax: 1 },
    room: () => Promise.resolve(),
    watchdog: { intervalMs: 3_600_000, batchSizeMax: 500, queued: () => Promise.resolve(0) },
    products: { idsBySku: () => Promise.resolve(new Map()), idsByName: () => Promise.resolve(new Map()) },
  });
  watchdog = orders.startWatchdog();
  product = await aProduct(inventory, 1_000, { price: PRICE });
});

/** Whatever a test did: once all that was said has arrived, much of it late and twice, goods and money are together again. */
afterEach(async () => {
  await untilAtRest();
  await deliver(...said.splice(0));
  await untilAtRest();
  said = [];
  expect((await audit(database, everything)).filter(({ broken }) => broken > 0)).toEqual([]);
});
afterAll(async () => {
  await watchdog.stop();
  await testDatabase.drop();
});

const PRICE = 100;
const outboxOf = (schema: OutboxSchema): Outbox => silentOutbox(database, schema);
const contexts = () => ({ orders, inventory, accounts });

/** Hands messages to whoever consumes them, as one batch in one transaction, and gives what is said to it. */
async function deliver(...bodies: AnyEvent[]): Promise<AnyEvent[]> {
  const answers: AnyEvent[] = [];
  for (const [schema, { handlers }] of Object.entries(contexts())) {
    const table = Object.assign({}, ...Object.values(handlers)) as Record<string, Handler<never>>;
    const types = [...new Set(bodies.map((body) => body.event))].filter((type) => table[type]);
    for (const type of types) {
      const batch = bodies.filter((body) => body.event === type).map((body) => incoming(body) as never);
      answers.push(...(await handle(outboxOf(schema as OutboxSchema), (tx) => table[type]!(tx, batch, leaveOut))));
    }
  }
  return answers;
}

/** Takes what waits in the outboxes, as a relay does that has published it. */
async function post(): Promise<AnyEvent[]> {
  const rows = [
    ...(await database.ordersOutbox.findMany({ orderBy: { position: 'asc' } })),
    ...(await database.inventoryOutbox.findMany({ orderBy: { position: 'asc' } })),
    ...(await database.accountsOutbox.findMany({ orderBy: { position: 'asc' } })),
  ];
  await Promise.all([
    database.ordersOutbox.deleteMany(),
    database.inventoryOutbox.deleteMany(),
    database.accountsOutbox.deleteMany(),
  ]);
  const bodies = rows.map((row) => row.body as unknown as AnyEvent);
  said.push(...bodies);
  return bodies;
}

async function untilAtRest(): Promise<void> {
  for (let bodies = await post(); bodies.length > 0; bodies = await post()) await deliver(...bodies);
}

async function aCustomer(balance: number): Promise<string> {
  const customerId = `CUST-${uuidv7()}`;
  if (balance > 0) await accounts.deposit({ customerId, amount: balance, reference: 'first' });
  return customerId;
}

async function place(customerId: string, quantity = 1, payment: string | null = 'BALANCE'): Promise<string> {
  const result = await orders.create({ customerId, items: [{ productId: product, quantity }], payment }, 'request');
  if (result.type !== 'placed') throw new Error(`not placed: ${JSON.stringify(result)}`);
  return result.order.id;
}

/** An order whose stock is held and whose payment is asked for; gives what accounts is asked. */
async function reserved(customerId: string, quantity = 1): Promise<AnyEvent> {
  const id = await place(customerId, quantity);
  const [answer] = await deliver(...(await post()));
  const [question] = await deliver(answer!);
  await post();
  expect(question).toMatchObject({ event: 'OrderReserved', order_id: id });
  return question!;
}

const look = () => watchdog.look();
const idOf = (body: AnyEvent) => body.order_id as string;
const find = async (id: string) => (await orders.find([id]))[0]!;
const balanceOf = async (customerId: string) => (await accounts.account(customerId))?.balance;
const availableNow = async () => (await inventory.product({ id: product }))!.available;
/** Makes an order look so much older. */
const waited = (id: string, ms: number) => database.$executeRaw`
  UPDATE orders.orders SET created_at = created_at - ${ms} * interval '1 millisecond',
    watch_at = watch_at - ${ms} * interval '1 millisecond', deadline_at = deadline_at - ${ms} * interval '1 millisecond'
  WHERE id = ${id}`;

describe('an order that is paid by balance', () => {
  it('PENDING, RESERVED with its prices, paid, CONFIRMED: stock and balance are both charged (S3.6, S3.9)', async () => {
    const customerId = await aCustomer(250);
    const id = await place(customerId, 2);
    expect(await find(id)).toMatchObject({ status: 'PENDING', payment: 'BALANCE', total: null });
    const [answer] = await deliver(...(await post()));
    const [question] = await deliver(answer!);
    expect(question).toEqual({
      ...{ event: 'OrderReserved', order_id: id, customer_id: customerId, version: 2, payment: 'BALANCE' },
      ...{ items: [{ product_id: product, quantity: 2, unit_price: PRICE }], total: 200, currency: 'EUR' },
    });
    expect(await find(id)).toMatchObject({ status: 'RESERVED', total: 200, items: [{ unitPrice: PRICE }] });
    expect(await orders.fulfil(id)).toEqual({ type: 'refused', orderId: id, status: 'RESERVED' });
    const [captured] = await deliver(question!);
    expect(captured).toEqual({
      ...{ event: 'PaymentCaptured', order_id: id, customer_id: customerId, amount: 200, currency: 'EUR' },
    });
    expect(await deliver(captured!)).toMatchObject([{ event: 'OrderConfirmed', version: 3, total: 200, currency: 'EUR' }]);
    expect(await balanceOf(customerId)).toBe(50);
    const timeline = (await orders.timelines([id])).get(id)!;
    expect(timeline.map((step) => [step.event, step.toStatus])).toEqual([
      ['OrderCreated', 'PENDING'],
      ['StockReserved', 'RESERVED'],
      ['PaymentCaptured', 'CONFIRMED'],
    ]);
    expect(await orders.fulfil(id)).toMatchObject({ type: 'done' });
  });

  it('the balance is short: declined, cancelled, and the stock is not decremented (S3.7)', async () => {
    const customerId = await aCustomer(PRICE - 1);
    const available = await availableNow();
    const id = await place(customerId);
    await untilAtRest();
    expect(await find(id)).toMatchObject({
      status: 'CANCELLED',
      reason: {
        code: 'PAYMENT_DECLINED',
        message: 'Insufficient funds: the balance is 0.99 EUR, the order costs 1.00',
      },
    });
    expect(await availableNow()).toBe(available);
    expect(await balanceOf(customerId)).toBe(PRICE - 1);
  });

  it('the stock is short: the balance is not touched, and accounts is never asked (S3.7)', async () => {
    const customerId = await aCustomer(1_000_000);
    const id = await place(customerId, 1_000);
    await untilAtRest();
    expect(await find(id)).toMatchObject({ status: 'CANCELLED', reason: { code: 'INSUFFICIENT_STOCK' } });
    expect(await database.payment.count({ where: { orderId: id } })).toBe(0);
    expect(await balanceOf(customerId)).toBe(1_000_000);
  });

  it('a customer without an account is declined', async () => {
    const id = await place(await aCustomer(0));
    await untilAtRest();
    expect(await find(id)).toMatchObject({
      status: 'CANCELLED',
      reason: { code: 'PAYMENT_DECLINED', message: 'The customer has no account' },
    });
  });

  it('its quantities stand: neither RESERVED nor CONFIRMED is it updated, and the refusal tells that its price was captured', async () => {
    const question = await reserved(await aCustomer(250), 2);
    const orderId = idOf(question);
    const update = () => orders.update({ orderId, items: [{ productId: product, quantity: 1 }] }, 'update');
    expect(await update()).toEqual({ type: 'refused', orderId, status: 'RESERVED' });
    await deliver(...(await deliver(question)));
    expect(await update()).toEqual({ type: 'paid', orderId });
    expect(await find(orderId)).toMatchObject({ status: 'CONFIRMED', version: 3, total: 200, items: [{ quantity: 2 }] });
  });

  it('without a payment nothing of this happens: no question to accounts, no row of theirs', async () => {
    const id = await place(await aCustomer(1_000), 1, null);
    await untilAtRest();
    expect(await find(id)).toMatchObject({ status: 'CONFIRMED', version: 2, payment: 'NONE' });
    await orders.cancel(id);
    expect((await post()).map(({ event }) => event)).toEqual(['OrderCancelled']);
    expect(await database.refund.count()).toBe(0);
  });

  it('the payment is part of what an idempotency key stands for; NONE is the same as none', async () => {
    const customerId = await aCustomer(1_000);
    const wish = { customerId, items: [{ productId: product, quantity: 1 }], idempotencyKey: 'k' };
    const first = await orders.create({ ...wish, payment: 'BALANCE' }, 'r');
    expect(await orders.create({ ...wish, payment: 'BALANCE' }, 'r')).toMatchObject({ type: 'placed', repeated: true });
    expect(first).toMatchObject({ type: 'placed', repeated: false });
    expect(await orders.create(wish, 'r')).toMatchObject({ type: 'key-conflict' });
    await orders.create({ ...wish, idempotencyKey: 'n' }, 'r');
    expect(await orders.create({ ...wish, idempotencyKey: 'n', payment: 'NONE' }, 'r')).toMatchObject({ repeated: true });
    expect(await orders.create({ ...wish, payment: 'BARTER' }, 'r')).toMatchObject({
      type: 'invalid',
      fields: [{ path: 'payment' }],
    });
  });
});

describe('crossings', () => {
  it('the cancel comes before the capture: a tombstone, and the late capture takes nothing (S3.7)', async () => {
    const customerId = await aCustomer(PRICE);
    const question = await reserved(customerId);
    await orders.cancel(idOf(question));
    const refund = (await post()).find(({ event }) => event === 'RefundPayment')!;
    const nothing = { event: 'PaymentRefunded', order_id: idOf(question), customer_id: customerId, amount: 0 };
    expect(await deliver(refund)).toEqual([nothing]);
    expect(await deliver(question)).toEqual([nothing]);
    expect(await balanceOf(customerId)).toBe(PRICE);
  });

  it('the cancel comes after the capture: given back once, however often it is told (S3.7)', async () => {
    const customerId = await aCustomer(PRICE);
    const question = await reserved(customerId);
    const [captured] = await deliver(question);
    await orders.cancel(idOf(question));
    expect(await find(idOf(question))).toMatchObject({ status: 'CANCELLED', reason: { code: 'REQUESTED' } });
    // The late answer finds the order cancelled: accounts is told once more.
    expect(await deliver(captured!)).toMatchObject([{ event: 'RefundPayment' }]);
    const refunds = (await post()).filter(({ event }) => event === 'RefundPayment');
    expect(refunds).toHaveLength(2);
    const back = { event: 'PaymentRefunded', order_id: idOf(question), customer_id: customerId, amount: PRICE, currency: 'EUR' };
    expect(await deliver(...refunds, ...refunds)).toEqual([back, back, back, back]);
    expect(await balanceOf(customerId)).toBe(PRICE);
    expect(await deliver(question)).toEqual([back]);
  });

  it('a cancel of a CONFIRMED order gives the money back', async () => {
    const customerId = await aCustomer(PRICE);
    const id = await place(customerId);
    await untilAtRest();
    expect(await balanceOf(customerId)).toBe(0);
    expect(await orders.cancel(id)).toMatchObject({ type: 'done' });
    await untilAtRest();
    expect(await balanceOf(customerId)).toBe(PRICE);
    expect((await accounts.entries(customerId, 10)).map(({ kind, amount }) => [kind, amount])).toEqual([
      ['REFUND', PRICE],
      ['CAPTURE', -PRICE],
      ['DEPOSIT', PRICE],
    ]);
  });

  it.each<[string, (order_id: string, customer_id: string) => AnyEvent]>([
    ['a RefundPayment to accounts', (order_id, customer_id) => ({ event: 'RefundPayment', order_id, customer_id })],
    ['a PaymentRefunded that accounts never said', (order_id) => ({ event: 'PaymentRefunded', order_id, amount: 0 })],
  ])(
    'a CONFIRMED order that %s comes for is off: its stock let go, its money given back, nothing to fulfil',
    async (_what, stray) => {
      const customerId = await aCustomer(PRICE);
      const id = await place(customerId);
      await untilAtRest();
      await deliver(stray(id, customerId));
      await untilAtRest();
      expect(await find(id)).toMatchObject({ status: 'CANCELLED', reason: { code: 'PAYMENT_DECLINED' } });
      expect(await database.reservation.findUnique({ where: { orderId: id } })).toMatchObject({ status: 'RELEASED' });
      expect([await balanceOf(customerId), await database.refund.count()]).toEqual([PRICE, 0]);
      expect(await orders.fulfil(id)).not.toMatchObject({ type: 'done' });
    },
  );

  it('cancel and capture at the same moment, 30 times: the money is back, or was never taken (S3.7)', async () => {
    const customerId = await aCustomer(10_000);
    const questions = await Promise.all(Array.from({ length: 30 }, () => reservedQuietly(customerId)));
    await Promise.all(questions.flatMap((question) => [orders.cancel(idOf(question)), deliver(question)]));
    await untilAtRest();
    expect(await balanceOf(customerId)).toBe(10_000);
    expect(await database.refund.count()).toBe(0);
  });

  it('refund and capture at the same moment, of one order, 30 times: one of them is first (S3.7)', async () => {
    const customerId = await aCustomer(10_000);
    const questions = await Promise.all(Array.from({ length: 30 }, () => reservedQuietly(customerId)));
    await Promise.all(questions.map((question) => orders.cancel(idOf(question))));
    const refundOf = (question: AnyEvent): AnyEvent => ({
      ...{ event: 'RefundPayment', order_id: idOf(question), customer_id: customerId },
    });
    await Promise.all(questions.flatMap((question) => [deliver(refundOf(question)), deliver(question)]));
    expect(await balanceOf(customerId)).toBe(10_000);
  });

  it('captures of one customer at the same moment never take more than there is (S3.9)', async () => {
    const customerId = await aCustomer(3 * PRICE + 1);
    const questions = await Promise.all(Array.from({ length: 10 }, () => reservedQuietly(customerId)));
    const answers = (await Promise.all(questions.map((question) => deliver(question)))).flat();
    expect(answers.filter(({ event }) => event === 'PaymentCaptured')).toHaveLength(3);
    expect(await balanceOf(customerId)).toBe(1);
  });

  it('duplicates in one batch and later are one capture, and each is answered word for word', async () => {
    const customerId = await aCustomer(PRICE);
    const question = await reserved(customerId);
    const [first, second] = await deliver(question, question);
    expect(second).toEqual(first);
    expect(await deliver(question)).toEqual([first]);
    expect(await deliver(first!, first!)).toMatchObject([{ event: 'OrderConfirmed' }]);
    expect(await deliver(first!)).toEqual([]);
    expect(await balanceOf(customerId)).toBe(0);
  });

  it('an answer for another sum than the order costs is refused, and the order is left as it is', async () => {
    const question = await reserved(await aCustomer(PRICE));
    const [captured] = await deliver(question);
    await expect(deliver({ ...captured!, amount: 1 })).rejects.toThrow('another sum than it costs');
    expect(await find(idOf(question))).toMatchObject({ status: 'RESERVED' });
  });

  /** Many at once: their posts would be mixed, so each is handed round by itself. */
  async function reservedQuietly(customerId: string): Promise<AnyEvent> {
    const id = await place(customerId);
    const items = [{ product_id: product, quantity: 1 }];
    const [answer] = await deliver({ event: 'OrderCreated', order_id: id, items });
    return (await deliver(answer!))[0]!;
  }
});

describe('an order that waits for its payment', () => {
  it('is asked for again, once for each doubling of its age, and not while its question is still in the outbox', async () => {
    const id = await place(await aCustomer(PRICE));
    const [answer] = await deliver(...(await post()));
    await deliver(answer!);
    await waited(id, 31_000);
    expect(await look()).toMatchObject({ unpaid: 0 });
    await post();
    await database.$executeRaw`UPDATE orders.orders SET watch_at = clock_timestamp() WHERE id = ${id}`;
    expect(await look()).toMatchObject({ expired: 0, unpaid: 1 });
    expect(await look()).toMatchObject({ unpaid: 0 });
    expect(await database.ordersOutbox.findMany()).toMatchObject([
      { type: 'OrderReserved', body: { order_id: id, total: PRICE, items: [{ unit_price: PRICE }] } },
    ]);
  });

  it('past its deadline it is not given up but asked about: the capture came first, and it is confirmed (S3.7)', async () => {
    const customerId = await aCustomer(PRICE);
    const question = await reserved(customerId);
    await deliver(question);
    await post();
    await waited(idOf(question), 61_000);
    expect(await look()).toMatchObject({ expired: 0, unpaid: 1 });
    expect(await find(idOf(question))).toMatchObject({ status: 'RESERVED' });
    await untilAtRest();
    expect(await find(idOf(question))).toMatchObject({ status: 'CONFIRMED' });
    expect(await balanceOf(customerId)).toBe(0);
  });

  it('past its deadline without a capture it is EXPIRED, the stock is free again, and a late capture takes nothing (S3.7)', async () => {
    const customerId = await aCustomer(PRICE);
    const available = await availableNow();
    const question = await reserved(customerId);
    await waited(idOf(question), 61_000);
    await look();
    await untilAtRest();
    expect(await find(idOf(question))).toMatchObject({
      status: 'CANCELLED',
      reason: { code: 'EXPIRED', message: 'No payment was taken before the deadline' },
    });
    expect(await deliver(question)).toMatchObject([{ event: 'PaymentDeclined', code: 'EXPIRED' }]);
    expect(await balanceOf(customerId)).toBe(PRICE);
    expect(await availableNow()).toBe(available);
  });

  it('expiry and capture at the same moment, 20 times: both sides agree on which was first (S3.7)', async () => {
    const customerId = await aCustomer(10_000);
    const questions: AnyEvent[] = [];
    for (let count = 0; count < 20; count++) questions.push(await reserved(customerId));
    const voidOf = (question: AnyEvent): AnyEvent => ({
      ...{ event: 'VoidPayment', order_id: idOf(question), customer_id: customerId },
    });
    const answers = await Promise.all(questions.map((question) => Promise.all([deliver(question), deliver(voidOf(question))])));
    for (const [captured, voided] of answers) expect(voided).toEqual(captured);
    await untilAtRest();
    const confirmed = (await orders.find(questions.map(idOf))).filter(({ status }) => status === 'CONFIRMED');
    expect(await balanceOf(customerId)).toBe(10_000 - PRICE * confirmed.length);
  });

  it('a refund that got lost is told again until accounts has answered, however long that takes', async () => {
    const customerId = await aCustomer(PRICE);
    const question = await reserved(customerId);
    await deliver(question);
    await orders.cancel(idOf(question));
    const lost = await post();
    expect(lost.map(({ event }) => event)).toContain('RefundPayment');
    await database.$executeRaw`
      UPDATE orders.refunds SET closed_at = closed_at - interval '2 days', watch_at = watch_at - interval '2 days'`;
    await look();
    expect((await database.ordersOutbox.findMany()).map(({ type }) => type)).toEqual(['RefundPayment']);
    await untilAtRest();
    expect(await database.refund.count()).toBe(0);
    expect(await balanceOf(customerId)).toBe(PRICE);
  });
});

describe('payment.process, the command to have an order paid now', () => {
  const asked = (orderId: string): AnyEvent => ({ event: 'PaymentRequested', order_id: orderId });
  const unknown = (orderId: string) => ({ event: 'PaymentUnknown', order_id: orderId });

  it('its question got lost: it is asked again, and the money is taken once, whatever else comes late (S3.2)', async () => {
    const customerId = await aCustomer(2 * PRICE);
    const question = await reserved(customerId);
    const id = idOf(question);
    const answers = await deliver(asked(id), asked(id));
    expect(answers).toEqual([unknown(id), unknown(id)]);
    const again = await deliver(...answers);
    expect(again).toEqual([question]);
    const [captured] = await deliver(...again, question);
    expect(captured).toMatchObject({ event: 'PaymentCaptured', amount: PRICE });
    expect(await deliver(asked(id))).toEqual([captured]);
    await untilAtRest();
    expect(await find(id)).toMatchObject({ status: 'CONFIRMED' });
    expect(await balanceOf(customerId)).toBe(PRICE);
  });

  it('what was decided is told again: a decline stays a decline, a refund a refund (S3.2)', async () => {
    const poor = await reserved(await aCustomer(0));
    const declined = await deliver(poor);
    expect(await deliver(asked(idOf(poor)))).toEqual(declined);
    await untilAtRest();
    const customerId = await aCustomer(PRICE);
    const question = await reserved(customerId);
    await deliver(question);
    await orders.cancel(idOf(question));
    await untilAtRest();
    expect(await deliver(asked(idOf(question)))).toMatchObject([{ event: 'PaymentRefunded', amount: PRICE }]);
    expect(await balanceOf(customerId)).toBe(PRICE);
  });

  it('takes no money for an order that does not wait for it: PENDING, without a payment, cancelled, overdue, or none at all (S3.2)', async () => {
    const customerId = await aCustomer(10 * PRICE);
    const overdue = idOf(await reserved(customerId));
    await waited(overdue, 61_000);
    const pending = await place(customerId);
    const unpaid = await place(customerId, 1, null);
    const [answer] = await deliver({ event: 'OrderCreated', order_id: unpaid, items: [{ product_id: product, quantity: 1 }] });
    await deliver(answer!);
    const cancelled = await place(customerId);
    await orders.cancel(cancelled);
    const ids = [pending, unpaid, cancelled, overdue, 'ORD-nobody'];
    const answers = await deliver(...ids.map(asked));
    expect(answers).toEqual(ids.map(unknown));
    expect(await deliver(...answers)).toEqual([]);
    expect(await balanceOf(customerId)).toBe(10 * PRICE);
    await look();
  });

  it('the command, the capture and a cancel at the same moment, 20 times: the money is back, or was never taken (S3.2, S3.7)', async () => {
    const customerId = await aCustomer(10_000);
    const questions: AnyEvent[] = [];
    for (let count = 0; count < 20; count++) questions.push(await reserved(customerId));
    const commanded = async (id: string) => deliver(...(await deliver(...(await deliver(asked(id))))));
    await Promise.all(
      questions.flatMap((question) => [commanded(idOf(question)), deliver(question), orders.cancel(idOf(question))]),
    );
    await untilAtRest();
    expect(await balanceOf(customerId)).toBe(10_000);
  });
});

describe('deposit', () => {
  it('opens the account; the same reference counts once, with another amount it is refused (S3.9)', async () => {
    const customerId = `CUST-${uuidv7()}`;
    expect(await accounts.account(customerId)).toBeNull();
    const deposits = Array.from({ length: 20 }, () => accounts.deposit({ customerId, amount: 500, reference: 'bank-1' }));
    const results = await Promise.all(deposits);
    expect(results.filter((result) => result.type === 'done' && !result.repeated)).toHaveLength(1);
    expect(await balanceOf(customerId)).toBe(500);
    expect(await accounts.deposit({ customerId, amount: 501, reference: 'bank-1' })).toEqual({
      ...{ type: 'reference-conflict', reference: 'bank-1', amount: 500, currency: 'EUR' },
    });
    expect(await accounts.deposit({ customerId, amount: 1, reference: 'bank-2' })).toMatchObject({ account: { balance: 501 } });
  });

  it.each([
    ['nothing', { amount: 0 }, 'amount'],
    ['less than nothing', { amount: -1 }, 'amount'],
    ['half a cent', { amount: 0.5 }, 'amount'],
    ['more than anyone has', { amount: 1e12 }, 'amount'],
    ['no customer', { customerId: '' }, 'customerId'],
    ['no reference', { reference: '' }, 'reference'],
    ['a reference with NUL', { reference: 'a\u0000' }, 'reference'],
  ])('refuses %s and opens no account (S3.9)', async (_what, wrong, field) => {
    const customerId = `CUST-${uuidv7()}`;
    const result = await accounts.deposit({ customerId, amount: 1, reference: 'r', ...wrong });
    expect(result).toMatchObject({ type: 'invalid', fields: [{ path: field }] });
    expect(await accounts.account(customerId)).toBeNull();
  });

  it('an entry is never changed, and no balance goes below zero: the database refuses', async () => {
    const customerId = await aCustomer(10);
    await expect(database.entry.deleteMany({ where: { customerId } })).rejects.toThrow('append-only');
    await expect(
      database.$executeRaw`UPDATE accounts.accounts SET balance_minor = -1 WHERE customer_id = ${customerId}`,
    ).rejects.toThrow('balance_not_negative');
  });
});
