import { v7 as uuidv7 } from 'uuid';

import { type AnyEvent, type EventOf } from '../../src/contracts';
import { type Database, type Transaction } from '../../src/database';
import { createOrders, type OrdersContext } from '../../src/orders';
import { stockRepliesAtOnce, stockReplyHandlers } from '../../src/orders/handlers';
import { createLogger, createMetrics } from '../../src/observability';
import { type Outbox } from '../../src/messaging';
import { atOnce, handle, incoming, leaveOut, settle, silentOutbox } from '../support/anOrder';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;
let database: Database;
let outbox: Outbox;
let orders: OrdersContext;
let commits = 0;
let queued = 0;
let asked = 0;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
  const stored = silentOutbox(database, 'orders');
  outbox = {
    ...stored,
    transaction: (work) => (commits++, stored.transaction(work)),
    atOnce: (work) => (commits++, stored.atOnce(work)),
  };
  orders = createOrders({
    ...{
      database,
      outbox,
      currency: 'EUR',
      newId: uuidv7,
      log: createLogger({ level: 'silent', name: 'test' }),
      metrics: createMetrics(),
    },
    times: { deadlineMs: 60_000, republishAfterMs: 30_000 },
    limits: { linesMax: 100, quantityMax: 1_000, batchSizeMax: 64, concurrencyMax: 2 },
    room: () => Promise.resolve(),
    watchdog: { intervalMs: 3_600_000, batchSizeMax: 500, queued: () => (asked++, Promise.resolve(queued)) },
    products: { idsBySku: () => Promise.resolve(new Map()), idsByName: () => Promise.resolve(new Map()) },
  });
});
afterAll(() => testDatabase.drop());

const place = async (customerId = 'CUST-1', more: { idempotencyKey?: string; quantity?: number } = {}) => {
  const items = [{ productId: 1, quantity: more.quantity ?? 2 }];
  const result = await orders.create({ customerId, items, idempotencyKey: more.idempotencyKey }, 'request-1');
  if (result.type !== 'placed') throw new Error(`not placed: ${JSON.stringify(result)}`);
  return result.order;
};
const changing = { newId: uuidv7, tellAgainAfterMs: 30_000 };
let isShort = true;
const answer = (...events: (EventOf<'StockReserved'> | EventOf<'StockRejected'>)[]) => {
  const handlers = stockReplyHandlers(changing, () => undefined);
  const work = async (tx: Transaction) => {
    const reserved = events.filter((event) => event.event === 'StockReserved').map((body) => incoming<'StockReserved'>(body));
    const rejected = events.filter((event) => event.event === 'StockRejected').map((body) => incoming<'StockRejected'>(body));
    return [
      ...(await handlers.StockReserved!(tx, reserved, leaveOut)),
      ...(await handlers.StockRejected!(tx, rejected, leaveOut)),
    ];
  };
  const batch = events.map((body) => incoming(body));
  return isShort
    ? settle(
        outbox,
        stockRepliesAtOnce(changing, () => undefined),
        batch,
        work,
      )
    : handle(outbox, work);
};
const reserved = (orderId: string, quantity = 2): EventOf<'StockReserved'> => ({
  ...{ event: 'StockReserved', order_id: orderId, items: [{ product_id: 1, quantity, unit_price: 1_999 }] },
});
const rejected = (orderId: string): EventOf<'StockRejected'> => ({
  event: 'StockRejected',
  order_id: orderId,
  reason: 'Insufficient stock',
});
const find = async (id: string) => (await orders.find([id]))[0]!;
const eventsOf = async (id: string) => {
  const rows = await database.ordersOutbox.findMany({ where: { aggregateId: id }, orderBy: { position: 'asc' } });
  return rows.map((row) => row.body as unknown as AnyEvent);
};

describe('createOrder', () => {
  it('placed: PENDING at once, with its event beside it, to the letter of the contract (S2.4, S2.5, S2.11)', async () => {
    const order = await place();
    expect(order).toMatchObject({ status: 'PENDING', version: 1, items: [{ productId: 1, quantity: 2, unitPrice: null }] });
    expect(order.id).toMatch(/^ORD-/);
    const [event, ...more] = await eventsOf(order.id);
    expect(JSON.stringify(event)).toBe(
      `{"event":"OrderCreated","order_id":"${order.id}","items":[{"product_id":1,"quantity":2}],"customer_id":"CUST-1"}`,
    );
    expect(more).toEqual([]);
  });

  it('merges the same product ordered twice', async () => {
    const items = [3, 4].map((quantity) => ({ productId: 9, quantity }));
    const result = await orders.create({ customerId: 'CUST-1', items }, 'r');
    expect(result).toMatchObject({ type: 'placed', order: { items: [{ productId: 9, quantity: 7 }] } });
  });

  it('invalid: names every field at fault', async () => {
    const result = await orders.create({ customerId: '', items: [{ productId: 0, quantity: -1 }] }, 'r');
    expect(result).toMatchObject({ type: 'invalid' });
    const paths = result.type === 'invalid' ? result.fields.map((field) => field.path) : [];
    expect(paths).toEqual(['customerId', 'items.0.productId', 'items.0.quantity']);
  });

  it('invalid: the same product in many lines cannot pass the limit together', async () => {
    const items = Array.from({ length: 3 }, () => ({ productId: 1, quantity: 400 }));
    expect(await orders.create({ customerId: 'C', items }, 'r')).toMatchObject({
      type: 'invalid',
      fields: [{ path: 'items', code: 'too_big' }],
    });
  });

  it('repeated: a hundred times the same key at once is one order, and everyone gets it', async () => {
    const placed = await Promise.all(Array.from({ length: 100 }, () => place('CUST-key', { idempotencyKey: 'k-1' })));
    expect(new Set(placed.map((order) => order.id)).size).toBe(1);
    expect(await database.order.count({ where: { customerId: 'CUST-key' } })).toBe(1);
    expect(await eventsOf(placed[0]!.id)).toHaveLength(1);
  });

  it('repeated: the order is answered as it stands now', async () => {
    const order = await place('CUST-key2', { idempotencyKey: 'k' });
    await answer(reserved(order.id));
    expect(await place('CUST-key2', { idempotencyKey: 'k' })).toMatchObject({ id: order.id, status: 'CONFIRMED', total: 3_998 });
  });

  it('conflict: the same key with other lines names the order that holds it; another customer may use it freely', async () => {
    const order = await place('CUST-key3', { idempotencyKey: 'k' });
    const other = await orders.create(
      { customerId: 'CUST-key3', items: [{ productId: 1, quantity: 3 }], idempotencyKey: 'k' },
      'r',
    );
    expect(other).toEqual({ type: 'key-conflict', orderId: order.id, idempotencyKey: 'k' });
    expect((await place('CUST-key4', { idempotencyKey: 'k' })).id).not.toBe(order.id);
  });

  it('shares commits: 200 orders that arrive together take far fewer than 200', async () => {
    const before = commits;
    await Promise.all(Array.from({ length: 200 }, () => place()));
    expect(commits - before).toBeLessThanOrEqual(10);
  });
});

describe.each(['in one statement where that will do', 'in a transaction'])('the answer of inventory, %s', (way) => {
  beforeEach(() => (isShort = way !== 'in a transaction'));

  it('confirmed: with prices, total, history and the event (S2.10)', async () => {
    const { id } = await place();
    expect(await answer(reserved(id))).toEqual([
      {
        ...{ event: 'OrderConfirmed', order_id: id, customer_id: 'CUST-1', version: 2, total: 3_998, currency: 'EUR' },
        items: [{ product_id: 1, quantity: 2, unit_price: 1_999 }],
      },
    ]);
    expect(await find(id)).toMatchObject({ status: 'CONFIRMED', total: 3_998, items: [{ unitPrice: 1_999 }] });
    const timeline = (await orders.timelines([id])).get(id)!;
    expect(timeline.map((step) => [step.version, step.event, step.toStatus])).toEqual([
      [1, 'OrderCreated', 'PENDING'],
      [2, 'StockReserved', 'CONFIRMED'],
    ]);
  });

  it('cancelled: with the reason, also from a service that sends nothing but a reason (S2.10)', async () => {
    const { id } = await place();
    await answer(rejected(id));
    expect(await find(id)).toMatchObject({
      status: 'CANCELLED',
      reason: { code: 'INSUFFICIENT_STOCK', message: 'Insufficient stock' },
    });
  });

  it('repeated in one batch and later: changes nothing more', async () => {
    const { id } = await place();
    expect(await answer(reserved(id), reserved(id))).toHaveLength(1);
    expect(await answer(reserved(id), rejected(id))).toEqual([]);
    expect(await find(id)).toMatchObject({ status: 'CONFIRMED', version: 2 });
  });

  it('late, for an order cancelled meanwhile: inventory is told once more to let go', async () => {
    const { id } = await place();
    await orders.cancel(id);
    expect(await answer(reserved(id))).toMatchObject([{ event: 'OrderCancelled', order_id: id }]);
    expect(await find(id)).toMatchObject({ status: 'CANCELLED', reason: { code: 'REQUESTED' }, version: 2 });
  });

  it('for an order that does not exist: ignored, for it may be another service’s', async () => {
    expect(await answer(reserved('ORD-nobody'), rejected('7'))).toEqual([]);
  });

  it('for one product at two prices: refused, for its line could keep neither', async () => {
    const { id } = await place();
    const [line] = reserved(id).items;
    const items = [
      { ...line!, quantity: 1 },
      { ...line!, quantity: 1, unit_price: 2_999 },
    ];
    await expect(answer({ ...reserved(id), items })).rejects.toThrow('one product at two prices');
    expect(await find(id)).toMatchObject({ status: 'PENDING' });
  });

  it.each([
    ['of 2^53', 2 ** 52],
    ['far beyond any count', Number.MAX_SAFE_INTEGER],
  ])(
    'for a total %s: refused, in a transaction and in one statement, for nobody could count it to the cent',
    async (_what, price) => {
      const { id } = await place();
      const items = reserved(id).items.map((line) => ({ ...line, unit_price: price }));
      const tooMuch = { ...reserved(id), items };
      await expect(answer(tooMuch)).rejects.toThrow(`StockReserved for ${id} makes a total that cannot be counted to the cent`);
      await expect(
        atOnce(
          outbox,
          stockRepliesAtOnce(changing, () => undefined),
          [incoming(tooMuch)],
        ),
      ).rejects.toThrow('to the cent');
      expect(await find(id)).toMatchObject({ status: 'PENDING', total: null });
    },
  );

  it('for the greatest total that is counted to the cent: CONFIRMED', async () => {
    const { id } = await place('CUST-1', { quantity: 1 });
    const items = [{ product_id: 1, quantity: 1, unit_price: Number.MAX_SAFE_INTEGER }];
    await answer({ ...reserved(id, 1), items });
    expect(await find(id)).toMatchObject({ status: 'CONFIRMED', total: Number.MAX_SAFE_INTEGER });
  });

  it('for other lines than were ordered: refused, and the order stays as it was', async () => {
    const { id } = await place();
    await expect(answer(reserved(id, 1))).rejects.toThrow('other lines than were ordered');
    expect(await find(id)).toMatchObject({ status: 'PENDING' });
  });
});

describe('the answer of inventory in one statement', () => {
  const decide = stockRepliesAtOnce(changing, () => undefined);

  it('decides a batch, and commits its events with it', async () => {
    const [kept, refused] = [await place(), await place()];
    const events = await atOnce(outbox, decide, [incoming(reserved(kept.id)), incoming(rejected(refused.id))]);
    expect(events?.map((event) => event.event)).toEqual(['OrderConfirmed', 'OrderCancelled']);
    expect([(await find(kept.id)).status, (await find(refused.id)).status]).toEqual(['CONFIRMED', 'CANCELLED']);
    expect(await eventsOf(kept.id)).toMatchObject([{ event: 'OrderCreated' }, { event: 'OrderConfirmed' }]);
  });

  it('writes nothing of a batch in which an order has changed since it was decided', async () => {
    const [cancelled, other] = [await place(), await place()];
    const batch = [incoming(reserved(cancelled.id)), incoming(reserved(other.id))];
    expect(await atOnce(outbox, decide, batch, () => orders.cancel(cancelled.id))).toBeUndefined();
    expect(await find(other.id)).toMatchObject({ status: 'PENDING', version: 1, items: [{ unitPrice: null }] });
    expect(await eventsOf(other.id)).toHaveLength(1);
  });

  it('leaves to the transaction what has more to write: inventory must be told until it has let go', async () => {
    const { id } = await place();
    await orders.cancel(id);
    expect(await atOnce(outbox, decide, [incoming(reserved(id))])).toBeUndefined();
  });
});

describe('cancel and fulfil', () => {
  it('cancel: PENDING and CONFIRMED become CANCELLED; again is no error', async () => {
    const { id } = await place();
    await answer(reserved(id));
    expect(await orders.cancel(id)).toEqual({ type: 'done', orderId: id, repeated: false });
    expect(await orders.cancel(id)).toEqual({ type: 'done', orderId: id, repeated: true });
    expect((await eventsOf(id)).filter((event) => event.event === 'OrderCancelled')).toHaveLength(1);
  });

  it('fulfil before confirm, cancel after fulfil, and an unknown order are refused with the status', async () => {
    const { id } = await place();
    expect(await orders.fulfil(id)).toEqual({ type: 'refused', orderId: id, status: 'PENDING' });
    await answer(reserved(id));
    expect(await orders.fulfil(id)).toMatchObject({ type: 'done' });
    expect(await orders.fulfil(id)).toMatchObject({ type: 'done', repeated: true });
    expect(await orders.cancel(id)).toEqual({ type: 'refused', orderId: id, status: 'FULFILLED' });
    expect(await orders.cancel('ORD-nobody')).toEqual({ type: 'unknown-order', orderId: 'ORD-nobody' });
  });

  it.each<[string, string | undefined, string]>([
    ['nothing', undefined, 'Cancelled on request'],
    ['an empty text', '', 'Cancelled on request'],
    ['blanks and NUL', ' \u0000 ', 'Cancelled on request'],
    ['500 characters', 'x'.repeat(500), 'x'.repeat(500)],
    ['an emoji across the end', `${'x'.repeat(499)}\u{1f600}!`, `${'x'.repeat(499)}\u{1f600}`],
    ['500 emojis and more', '\u{1f600}'.repeat(40_000), '\u{1f600}'.repeat(500)],
    ['half a character', 'a\ud83d', 'a\ufffd'],
  ])('a cancel for a reason of %s is done', async (_case, message, kept) => {
    const { id } = await place();
    expect(await orders.cancel(id, message)).toMatchObject({ type: 'done' });
    expect(await find(id)).toMatchObject({ status: 'CANCELLED', reason: { code: 'REQUESTED', message: kept } });
  });

  it('a cancel and a fulfil at the same moment, 50 times: exactly one wins', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, async () => (await place()).id));
    await answer(...ids.map((id) => reserved(id)));
    const outcomes = await Promise.all(ids.map((id) => Promise.all([orders.cancel(id), orders.fulfil(id)])));
    for (const pair of outcomes) expect(pair.map((outcome) => outcome.type).sort()).toEqual(['done', 'refused']);
  });
});

describe('updateOrder', () => {
  const atOnce = AbortSignal.abort();
  const update = (orderId: string, quantity: number, more: { expectedVersion?: number } = {}) =>
    orders.update({ orderId, items: [{ productId: 1, quantity }], ...more }, 'update-1', atOnce);
  const heard = (body: EventOf<'StockAmended'> | EventOf<'AmendmentRejected'>) => {
    const handlers = stockReplyHandlers({ newId: uuidv7, tellAgainAfterMs: 30_000 }, () => undefined);
    return handle(outbox, (tx) => handlers[body.event]!(tx, [incoming(body)], leaveOut));
  };
  const granted = (order_id: string, quantity: number, amendment = 1): EventOf<'StockAmended'> => ({
    ...{ event: 'StockAmended', order_id, amendment, items: [{ product_id: 1, quantity, unit_price: 1_999 }] },
  });
  const refused = (order_id: string, amendment = 1): EventOf<'AmendmentRejected'> => ({
    ...{ event: 'AmendmentRejected', order_id, amendment, code: 'INSUFFICIENT_STOCK', reason: 'Insufficient stock' },
  });
  const confirmed = async () => {
    const { id } = await place();
    await answer(reserved(id));
    return id;
  };
  const amendmentOf = async (id: string) => (await orders.amendments([id])).get(id)!;

  it('asks inventory first, and the order follows its answer: lines, price, timeline and OrderUpdated (S0.6)', async () => {
    const id = await confirmed();
    expect(await update(id, 5)).toMatchObject({ type: 'under-way', order: { version: 2, items: [{ quantity: 2 }] } });
    expect((await eventsOf(id)).at(-1)).toMatchObject({
      ...{ event: 'AmendReservation', order_id: id, amendment: 1, items: [{ product_id: 1, quantity: 5 }] },
    });
    expect(await heard(granted(id, 5))).toEqual([
      {
        ...{ event: 'OrderUpdated', order_id: id, customer_id: 'CUST-1', version: 3, total: 9_995, currency: 'EUR' },
        items: [{ product_id: 1, quantity: 5, unit_price: 1_999 }],
      },
    ]);
    expect(await find(id)).toMatchObject({
      status: 'CONFIRMED',
      version: 3,
      total: 9_995,
      items: [{ quantity: 5, unitPrice: 1_999 }],
    });
    expect((await orders.timelines([id])).get(id)!.at(-1)).toMatchObject({ event: 'StockAmended', detail: 'product 1: 2 → 5' });
    expect(await amendmentOf(id)).toMatchObject({ number: 1, status: 'APPLIED', lines: [{ productId: 1, quantity: 5 }] });
    // Late and repeated answers, to it and to the order itself, change nothing more.
    expect([await heard(granted(id, 5)), await heard(refused(id)), await answer(reserved(id, 2))]).toEqual([[], [], []]);
    expect(await update(id, 5)).toMatchObject({ type: 'updated', order: { version: 3 } });
  });

  it('refused by inventory: the order keeps its lines, no order.updated goes out, and it may be tried again (S0.6)', async () => {
    const id = await confirmed();
    await update(id, 99);
    const before = await eventsOf(id);
    expect(await heard(refused(id))).toEqual([]);
    expect(await eventsOf(id)).toEqual(before);
    expect(await find(id)).toMatchObject({ version: 2, total: 3_998, items: [{ quantity: 2 }] });
    expect(await amendmentOf(id)).toMatchObject({ status: 'REJECTED', reason: { code: 'INSUFFICIENT_STOCK' } });
    expect(await update(id, 99)).toMatchObject({ type: 'under-way' });
    expect((await eventsOf(id)).at(-1)).toMatchObject({ amendment: 2 });
  });

  it('one at a time: the same again joins the one under way, another is turned away, fulfilling too', async () => {
    const id = await confirmed();
    const answers = await Promise.all([...Array.from({ length: 10 }, () => update(id, 5)), update(id, 6)]);
    expect(answers.map(({ type }) => type).sort()).toEqual(['amending', ...Array<string>(10).fill('under-way')].sort());
    expect(await database.amendment.count({ where: { orderId: id } })).toBe(1);
    expect(await orders.fulfil(id)).toEqual({ type: 'refused', orderId: id, status: 'CONFIRMED', amending: true });
  });

  it('cancelled meanwhile: the change is overtaken, and its late answer changes nothing', async () => {
    const id = await confirmed();
    await update(id, 5);
    await orders.cancel(id);
    expect(await amendmentOf(id)).toMatchObject({ status: 'OVERTAKEN' });
    expect([await heard(granted(id, 5)), await heard(refused(id))]).toEqual([[], []]);
    expect(await find(id)).toMatchObject({ status: 'CANCELLED', items: [{ quantity: 2 }] });
  });

  it('an answer for other lines than were asked for is refused, and the change waits on', async () => {
    const id = await confirmed();
    await update(id, 5);
    await expect(heard(granted(id, 4))).rejects.toThrow('other lines than were ordered');
    expect(await amendmentOf(id)).toMatchObject({ status: 'PENDING' });
  });

  it.each<[string, () => Promise<unknown>, object]>([
    ['a PENDING order', async () => update((await place()).id, 5), { type: 'refused', status: 'PENDING' }],
    ['an unknown order', () => update('ORD-nobody', 5), { type: 'unknown-order' }],
    ['an old version', async () => update(await confirmed(), 5, { expectedVersion: 1 }), { type: 'version-moved', version: 2 }],
    [
      'nothing left',
      async () => update(await confirmed(), 0),
      { type: 'invalid', fields: [{ path: 'items', code: 'too_small' }] },
    ],
    [
      'a negative quantity',
      async () => update(await confirmed(), -1),
      { type: 'invalid', fields: [{ path: 'items.0.quantity' }] },
    ],
    ['too much', async () => update(await confirmed(), 1_001), { type: 'invalid', fields: [{ path: 'items.0.quantity' }] }],
    ['an id with NUL', () => update('a\u0000b', 1), { type: 'invalid', fields: [{ path: 'orderId' }] }],
  ])('refuses %s', async (_what, ask, outcome) => {
    const before = await database.amendment.count();
    expect(await ask()).toMatchObject(outcome);
    expect(await database.amendment.count()).toBe(before);
  });

  it('the database refuses a second change under way by itself', async () => {
    const id = await confirmed();
    await update(id, 5);
    const [row] = await database.amendment.findMany({ where: { orderId: id } });
    const second = { ...row!, number: 2, before: [], lines: [], reasonLines: undefined };
    await expect(database.amendment.create({ data: second })).rejects.toThrow();
  });

  it('a lost question is asked again by the watchdog, until it is answered', async () => {
    const id = await confirmed();
    await update(id, 5);
    const asked = (await eventsOf(id)).at(-1);
    await database.ordersOutbox.deleteMany();
    await database.amendment.updateMany({ where: { orderId: { not: id } }, data: { watchAt: new Date(8.64e14) } });
    const waited = (ms: number) => database.$executeRaw`
      UPDATE orders.amendments SET requested_at = requested_at - ${ms} * interval '1 millisecond',
        watch_at = watch_at - ${ms} * interval '1 millisecond' WHERE order_id = ${id}`;
    const watchdog = orders.startWatchdog();
    await waited(31_000);
    expect(await watchdog.look()).toMatchObject({ retold: 1 });
    expect(await watchdog.look()).toMatchObject({ retold: 0 });
    expect(await eventsOf(id)).toEqual([asked]);
    await heard(granted(id, 5));
    await database.ordersOutbox.deleteMany();
    await waited(3_600_000);
    expect(await watchdog.look()).toMatchObject({ retold: 0 });
    await watchdog.stop();
  });
});

describe('the watchdog', () => {
  const waited = (ids: string[], ms: number) => database.$executeRaw`
    UPDATE orders.orders SET created_at = created_at - ${ms} * interval '1 millisecond', watch_at = watch_at - ${ms} * interval '1 millisecond',
      deadline_at = deadline_at - ${ms} * interval '1 millisecond' WHERE id = ANY(${ids}::text[])`;
  const clearOutbox = () => database.ordersOutbox.deleteMany();
  const settleOthers = () =>
    database.$executeRaw`UPDATE orders.orders SET watch_at = watch_at + interval '1 day' WHERE status = 'PENDING'`;

  it('asks again for an order that waits too long, once per doubling of its age, and not while its event is still in the outbox or the queue is long', async () => {
    await settleOthers();
    const { id } = await place();
    await waited([id], 31_000);
    const watchdog = orders.startWatchdog();
    expect(await watchdog.look()).toMatchObject({ expired: 0, republished: 0 });
    await clearOutbox();
    await database.$executeRaw`UPDATE orders.orders SET watch_at = clock_timestamp() WHERE id = ${id}`;
    expect(asked).toBe(1);
    queued = Infinity;
    expect(await watchdog.look()).toMatchObject({ expired: 0, republished: 0 });
    queued = 0;
    expect(await watchdog.look()).toMatchObject({ expired: 0, republished: 1 });
    expect(await watchdog.look()).toMatchObject({ expired: 0, republished: 0 });
    // Nothing was late any more, so nobody was asked.
    expect(asked).toBe(3);
    expect(await eventsOf(id)).toMatchObject([{ event: 'OrderCreated', items: [{ product_id: 1, quantity: 2 }] }]);
    await watchdog.stop();
  });

  it('expires at the deadline, tells inventory, and two watchdogs at once do it once', async () => {
    await settleOthers();
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await place('CUST-late')).id));
    await waited(ids, 61_000);
    const [one, two] = [orders.startWatchdog(), orders.startWatchdog()];
    const looks = await Promise.all([one.look(), two.look()]);
    expect(looks[0].expired + looks[1].expired).toBe(20);
    expect(await find(ids[0]!)).toMatchObject({ status: 'CANCELLED', reason: { code: 'EXPIRED' } });
    expect((await eventsOf(ids[0]!)).map((event) => event.event)).toEqual(['OrderCreated', 'OrderCancelled']);
    await Promise.all([one.stop(), two.stop()]);
  });

  describe('of closings', () => {
    const hear = (event: 'StockReleased' | 'StockCommitted', order_id: string) => {
      const handlers = stockReplyHandlers({ newId: uuidv7, tellAgainAfterMs: 30_000 }, () => undefined);
      return handle(outbox, (tx) => handlers[event]!(tx, [incoming({ event, order_id, items: [] })], leaveOut));
    };
    const waitedForAnswer = (id: string, ms: number) => database.$executeRaw`
      UPDATE orders.closings SET closed_at = closed_at - ${ms} * interval '1 millisecond', watch_at = watch_at - ${ms} * interval '1 millisecond'
      WHERE order_id = ${id}`;
    const settled = async () => {
      await settleOthers();
      await database.closing.deleteMany();
      return orders.startWatchdog();
    };

    it('tells inventory of a cancelled order again, until it has answered (F19)', async () => {
      const watchdog = await settled();
      const { id } = await place();
      await orders.cancel(id, 'changed my mind');
      await waitedForAnswer(id, 31_000);
      // Its event still waits in the outbox: saying it twice would not help.
      expect(await watchdog.look()).toMatchObject({ retold: 0 });
      await clearOutbox();
      await waitedForAnswer(id, 61_000);
      expect(await watchdog.look()).toMatchObject({ retold: 1 });
      expect(await watchdog.look()).toMatchObject({ retold: 0 });
      expect(await eventsOf(id)).toEqual([
        {
          event: 'OrderCancelled',
          order_id: id,
          customer_id: 'CUST-1',
          version: 2,
          code: 'REQUESTED',
          reason: 'changed my mind',
        },
      ]);
      await clearOutbox();
      await hear('StockReleased', id);
      await waitedForAnswer(id, 3_600_000);
      expect(await watchdog.look()).toMatchObject({ retold: 0 });
      await watchdog.stop();
    });

    it('tells of a fulfilled order again, until it has answered', async () => {
      const watchdog = await settled();
      const { id } = await place();
      await answer(reserved(id));
      await orders.fulfil(id);
      await clearOutbox();
      await waitedForAnswer(id, 31_000);
      expect(await watchdog.look()).toMatchObject({ retold: 1 });
      expect(await eventsOf(id)).toEqual([{ event: 'OrderFulfilled', order_id: id, customer_id: 'CUST-1', version: 3 }]);
      await hear('StockCommitted', id);
      expect(await database.closing.count()).toBe(0);
      await watchdog.stop();
    });

    it('remembers what a late reservation of a cancelled order is told, and not what inventory rejected itself', async () => {
      const watchdog = await settled();
      const { id } = await place();
      await answer(rejected(id));
      expect(await database.closing.count()).toBe(0);
      await answer(reserved(id));
      expect(await database.closing.findMany()).toMatchObject([{ orderId: id }]);
      await watchdog.stop();
    });

    it('gives up after a day: another inventory service may never answer', async () => {
      const watchdog = await settled();
      const { id } = await place();
      await orders.cancel(id);
      await clearOutbox();
      await waitedForAnswer(id, 86_401_000);
      expect(await watchdog.look()).toMatchObject({ retold: 0 });
      expect(await database.closing.count()).toBe(0);
      await watchdog.stop();
    });
  });
});
