import { v7 as uuidv7 } from 'uuid';

import { type EventOf } from '../../src/contracts';
import { type Database, type Transaction } from '../../src/database';
import { type InventoryContext, reconcile } from '../../src/inventory';
import { amendReservation } from '../../src/inventory/amendReservation';
import { commitReservation, releaseReservation } from '../../src/inventory/closeReservation';
import { reserveStock, reserveStockAtOnce } from '../../src/inventory/reserveStock';
import { type IncomingMessage, type Outbox } from '../../src/messaging';
import {
  anOrderCreated,
  aProduct,
  atOnce,
  handle,
  incoming,
  inventoryOn,
  leaveOut,
  settle,
  silentOutbox,
} from '../support/anOrder';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;
let database: Database;
let inventory: InventoryContext;
let outbox: Outbox;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
  inventory = inventoryOn(database);
  outbox = silentOutbox(database, 'inventory');
});
afterEach(async () => {
  expect(await reconcile(database, { repair: false })).toMatchObject({ drift: [], oversold: [] });
});
afterAll(() => testDatabase.drop());

const ways = ['in one statement where that will do', 'in a transaction'];
let isShort = true;
const reserve = (...batch: IncomingMessage<'OrderCreated'>[]) => {
  const work = (tx: Transaction) => reserveStock(uuidv7)(tx, batch, leaveOut);
  return isShort ? settle(outbox, reserveStockAtOnce(uuidv7), batch, work) : handle(outbox, work);
};
const cancel = (...ids: string[]) => {
  const batch = ids.map((order_id) => incoming<'OrderCancelled'>({ event: 'OrderCancelled', order_id }));
  return handle(outbox, (tx) => releaseReservation(uuidv7)(tx, batch, leaveOut));
};
const fulfil = (...ids: string[]) => {
  const batch = ids.map((order_id) => incoming<'OrderFulfilled'>({ event: 'OrderFulfilled', order_id }));
  return handle(outbox, (tx) => commitReservation(uuidv7)(tx, batch, leaveOut));
};
const stockOf = async (productId: number) => {
  const product = await inventory.product({ id: productId });
  return [product!.onHand, product!.reserved, product!.available];
};

describe.each(ways)('reserveStock, %s', (way) => {
  beforeEach(() => (isShort = way === 'in one statement where that will do'));
  const order = (id: string) => `ORD-${way}-${id}`;

  it('reserved: answers exactly as the contract says (S2.8)', async () => {
    const product = await aProduct(inventory, 5);
    const [answer] = await reserve(anOrderCreated(order('r1'), [product, 2]));
    expect(JSON.stringify(answer)).toBe(
      `{"event":"StockReserved","order_id":"${order('r1')}","items":[{"product_id":${product},"quantity":2,"unit_price":1999}]}`,
    );
    expect(await stockOf(product)).toEqual([5, 2, 3]);
  });

  it('rejected: holds nothing of any line, and answers with the figures (S1.7, S2.7, S2.9)', async () => {
    const [plenty, short] = [await aProduct(inventory, 5), await aProduct(inventory, 1)];
    const [answer] = await reserve(anOrderCreated(order('r2'), [plenty, 1], [short, 2]));
    expect(JSON.stringify(answer)).toBe(
      `{"event":"StockRejected","order_id":"${order('r2')}","reason":"Insufficient stock","items":[{"product_id":${short},"requested":2,"available":1,"code":"INSUFFICIENT_STOCK"}]}`,
    );
    expect(await stockOf(plenty)).toEqual([5, 0, 5]);
  });

  it('repeated: ten copies in one batch and ten in ten transactions reserve once and are each answered the same', async () => {
    const product = await aProduct(inventory, 50);
    const copies = Array.from({ length: 10 }, () => anOrderCreated(order('r3'), [product, 2]));
    const together = await reserve(...copies);
    const apart = (await Promise.all(copies.map((copy) => reserve(copy)))).flat();
    expect(new Set([...together, ...apart].map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect([...together, ...apart]).toHaveLength(20);
    expect(await stockOf(product)).toEqual([50, 2, 48]);
  });

  it('repeated: a rejection stays a rejection, even when there is stock again', async () => {
    const product = await aProduct(inventory, 0);
    const first = await reserve(anOrderCreated(order('r4'), [product, 1]));
    await inventory.adjustStock({ product: { id: product }, delta: 9, reason: 'RECEIVED' }, 'test');
    expect(await reserve(anOrderCreated(order('r4'), [product, 1]))).toEqual(first);
    expect(await stockOf(product)).toEqual([9, 0, 9]);
  });

  it('merges two lines of one product', async () => {
    const product = await aProduct(inventory, 5);
    const [answer] = await reserve(anOrderCreated(order('r5'), [product, 2], [product, 3]));
    expect(answer).toMatchObject({ event: 'StockReserved', items: [{ product_id: product, quantity: 5 }] });
  });

  it('first come first served within a batch', async () => {
    const product = await aProduct(inventory, 3);
    const answers = await reserve(...['a', 'b', 'c'].map((id) => anOrderCreated(order(`r6${id}`), [product, 2])));
    expect(answers.map((answer) => answer.event)).toEqual(['StockReserved', 'StockRejected', 'StockRejected']);
  });

  it('sells exactly what is there when 400 orders race for 100 units over 8 workers, without a deadlock', async () => {
    const products = [await aProduct(inventory, 100), await aProduct(inventory, 1_000), await aProduct(inventory, 1_000)];
    const orders = Array.from({ length: 400 }, (_, index) => {
      const others = index % 2 === 0 ? [products[1]!, products[2]!] : [products[2]!, products[1]!];
      return anOrderCreated(order(`race-${index}`), [others[0]!, 1], [products[0]!, 1], [others[1]!, 1]);
    });
    const before = await deadlocks();
    const batches = Array.from({ length: 40 }, (_, index) => orders.slice(index * 10, index * 10 + 10));
    // Each batch twice, so that copies of one order meet in different workers too.
    const answers = (await Promise.all([...batches, ...batches].map((batch) => reserve(...batch)))).flat();
    expect(answers).toHaveLength(800);
    const reserved = new Set(answers.filter((answer) => answer.event === 'StockReserved').map((answer) => answer.order_id));
    expect(reserved.size).toBe(100);
    expect(await stockOf(products[0]!)).toEqual([100, 100, 0]);
    expect(await stockOf(products[1]!)).toEqual([1_000, 100, 900]);
    expect(await deadlocks()).toBe(before);
  });

  it('the database refuses by itself to promise more than is there (S1.11)', async () => {
    const product = await aProduct(inventory, 1);
    await expect(database.stock.update({ where: { productId: product }, data: { reserved: 2 } })).rejects.toThrow();
    expect(await stockOf(product)).toEqual([1, 0, 1]);
  });
});

describe('reserveStock in one statement', () => {
  const decide = reserveStockAtOnce(uuidv7);
  const decideThen = (meanwhile: () => Promise<unknown>, ...batch: IncomingMessage<'OrderCreated'>[]) =>
    atOnce(outbox, decide, batch, meanwhile);
  const written = (orderId: string) => database.reservation.count({ where: { orderId } });

  it('does all of a batch of news, rejections too', async () => {
    const product = await aProduct(inventory, 1);
    const batch = [anOrderCreated('ORD-s1', [product, 1]), anOrderCreated('ORD-s2', [product, 1])];
    const answers = await atOnce(outbox, decide, batch);
    expect(answers?.map((answer) => answer.event)).toEqual(['StockReserved', 'StockRejected']);
    expect(await stockOf(product)).toEqual([1, 1, 0]);
    expect(await database.inventoryOutbox.count({ where: { aggregateId: { in: ['ORD-s1', 'ORD-s2'] } } })).toBe(2);
  });

  it.each<[string, (productId: number) => Promise<unknown>]>([
    [
      'units are gone',
      (productId) => inventory.adjustStock({ product: { id: productId }, delta: -4, reason: 'DAMAGED' }, 'test'),
    ],
    ['the price is another', (productId) => inventory.updateProduct(productId, { price: 2_999 }, 'test')],
    ['the product is off sale', (productId) => inventory.updateProduct(productId, { active: false }, 'test')],
    ['another order has them', (productId) => reserve(anOrderCreated(`ORD-other-${productId}`, [productId, 4]))],
  ])('writes nothing when %s since it was decided', async (_what, meanwhile) => {
    const product = await aProduct(inventory, 5);
    const orderId = `ORD-late-${product}`;
    expect(await decideThen(() => meanwhile(product), anOrderCreated(orderId, [product, 2]))).toBeUndefined();
    expect(await written(orderId)).toBe(0);
    expect(await database.inventoryOutbox.count({ where: { aggregateId: orderId } })).toBe(0);
  });

  it.each(['answered', 'cancelled'])('writes nothing of a batch in which an order was %s since', async (what) => {
    const product = await aProduct(inventory, 9);
    const [known, news] = [`ORD-known-${product}`, `ORD-news-${product}`];
    const meanwhile = () => (what === 'answered' ? reserve(anOrderCreated(known, [product, 1])) : cancel(known));
    const batch = [anOrderCreated(known, [product, 1]), anOrderCreated(news, [product, 1])];
    expect(await decideThen(meanwhile, ...batch)).toBeUndefined();
    expect(await written(news)).toBe(0);
    expect(await stockOf(product)).toEqual([9, what === 'answered' ? 1 : 0, what === 'answered' ? 8 : 9]);
  });

  it('leaves copies of one order to the transaction', async () => {
    const product = await aProduct(inventory, 9);
    const copy = anOrderCreated('ORD-copy', [product, 1]);
    expect(await atOnce(outbox, decide, [copy, copy])).toBeUndefined();
  });
});

describe('releaseReservation', () => {
  it('released: gives the units back once, however often it is told', async () => {
    const product = await aProduct(inventory, 5);
    await reserve(anOrderCreated('ORD-c1', [product, 2]));
    expect(await cancel('ORD-c1', 'ORD-c1')).toEqual([
      { event: 'StockReleased', order_id: 'ORD-c1', items: [{ product_id: product, quantity: 2 }] },
    ]);
    expect(await cancel('ORD-c1')).toEqual([{ event: 'StockReleased', order_id: 'ORD-c1', items: [] }]);
    expect(await stockOf(product)).toEqual([5, 0, 5]);
  });

  it('overtaken: a cancel before its order leaves a tombstone, and the late order holds nothing', async () => {
    const product = await aProduct(inventory, 5);
    expect(await cancel('ORD-c2')).toEqual([{ event: 'StockReleased', order_id: 'ORD-c2', items: [] }]);
    expect(await reserve(anOrderCreated('ORD-c2', [product, 2]))).toEqual([
      { event: 'StockReleased', order_id: 'ORD-c2', items: [] },
    ]);
    expect(await stockOf(product)).toEqual([5, 0, 5]);
  });

  it('a released order asked for again is not promised what it no longer holds', async () => {
    const product = await aProduct(inventory, 5);
    await reserve(anOrderCreated('ORD-c3', [product, 2]));
    await cancel('ORD-c3');
    expect(await reserve(anOrderCreated('ORD-c3', [product, 2]))).toMatchObject([{ event: 'StockReleased' }]);
  });

  it('a race of order and cancel, 100 times, always ends with nothing held', async () => {
    const product = await aProduct(inventory, 1_000);
    const ids = Array.from({ length: 100 }, (_, index) => `ORD-cr-${index}`);
    await Promise.all(ids.flatMap((id) => [reserve(anOrderCreated(id, [product, 1])), cancel(id)]));
    expect(await stockOf(product)).toEqual([1_000, 0, 1_000]);
  });
});

describe('commitReservation', () => {
  it('committed: the units leave the house once', async () => {
    const product = await aProduct(inventory, 5);
    await reserve(anOrderCreated('ORD-f1', [product, 2]));
    const items = [{ product_id: product, quantity: 2 }];
    expect(await fulfil('ORD-f1')).toEqual([{ event: 'StockCommitted', order_id: 'ORD-f1', items }]);
    expect(await fulfil('ORD-f1')).toEqual([{ event: 'StockCommitted', order_id: 'ORD-f1', items: [] }]);
    expect(await stockOf(product)).toEqual([3, 0, 3]);
  });

  it('refused with a reason when there is nothing to take', async () => {
    const product = await aProduct(inventory, 0);
    await reserve(anOrderCreated('ORD-f2', [product, 1]));
    await expect(fulfil('ORD-f2')).rejects.toThrow('its reservation is REJECTED');
    await expect(fulfil('ORD-f3')).rejects.toThrow('its reservation does not exist');
  });
});

describe('amendReservation', () => {
  const asking = (order_id: string, amendment: number, lines: [number, number][], more: { decide_before?: string } = {}) =>
    incoming<'AmendReservation'>({
      ...{ event: 'AmendReservation', order_id, amendment, ...more },
      items: lines.map(([product_id, quantity]) => ({ product_id, quantity })),
    });
  const amend = (...batch: ReturnType<typeof asking>[]) => handle(outbox, (tx) => amendReservation(uuidv7)(tx, batch, leaveOut));

  it('amended: only the difference moves, up, down, on and off the order; answers as the contract says (S0.6)', async () => {
    const [a, b] = [await aProduct(inventory, 5), await aProduct(inventory, 5)];
    await reserve(anOrderCreated('ORD-a1', [a, 2]));
    const [up] = await amend(
      asking('ORD-a1', 1, [
        [a, 4],
        [b, 1],
      ]),
    );
    expect(JSON.stringify(up)).toBe(
      `{"event":"StockAmended","order_id":"ORD-a1","amendment":1,"items":[{"product_id":${a},"quantity":4,"unit_price":1999},{"product_id":${b},"quantity":1,"unit_price":1999}]}`,
    );
    expect([await stockOf(a), await stockOf(b)]).toEqual([
      [5, 4, 1],
      [5, 1, 4],
    ]);
    await amend(asking('ORD-a1', 2, [[b, 3]]));
    expect([await stockOf(a), await stockOf(b)]).toEqual([
      [5, 0, 5],
      [5, 3, 2],
    ]);
    const moved = await database.movement.findMany({ where: { orderId: 'ORD-a1' }, orderBy: { id: 'asc' } });
    expect(moved.map(({ productId, kind, amendment, reservedDelta }) => [productId, kind, amendment, reservedDelta])).toEqual([
      ...[
        [a, 'RESERVE', 0, 2],
        [a, 'AMEND', 1, 2],
        [b, 'AMEND', 1, 1],
        [a, 'AMEND', 2, -4],
        [b, 'AMEND', 2, 2],
      ],
    ]);
    await fulfil('ORD-a1');
    expect([await stockOf(a), await stockOf(b)]).toEqual([
      [5, 0, 5],
      [2, 0, 2],
    ]);
  });

  it('rejected: nothing moves of any line, and it stays rejected when there is stock again (S0.6)', async () => {
    const [plenty, short] = [await aProduct(inventory, 9), await aProduct(inventory, 2)];
    await reserve(anOrderCreated('ORD-a2', [plenty, 1], [short, 1]));
    const [answer] = await amend(
      asking('ORD-a2', 1, [
        [plenty, 5],
        [short, 3],
      ]),
    );
    expect(JSON.stringify(answer)).toBe(
      `{"event":"AmendmentRejected","order_id":"ORD-a2","amendment":1,"code":"INSUFFICIENT_STOCK","reason":"Insufficient stock","items":[{"product_id":${short},"requested":3,"available":2,"code":"INSUFFICIENT_STOCK"}]}`,
    );
    await inventory.adjustStock({ product: { id: short }, delta: 9, reason: 'RECEIVED' }, 'test');
    expect(
      await amend(
        asking('ORD-a2', 1, [
          [plenty, 5],
          [short, 3],
        ]),
      ),
    ).toEqual([answer]);
    expect([await stockOf(plenty), await stockOf(short)]).toEqual([
      [9, 1, 8],
      [11, 1, 10],
    ]);
  });

  it('repeated: ten copies in one batch and ten in ten transactions move once and are each answered the same', async () => {
    const product = await aProduct(inventory, 50);
    await reserve(anOrderCreated('ORD-a3', [product, 2]));
    const copies = Array.from({ length: 10 }, () => asking('ORD-a3', 1, [[product, 7]]));
    const together = await amend(...copies);
    const apart = (await Promise.all(copies.map((copy) => amend(copy)))).flat();
    expect(new Set([...together, ...apart].map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(await stockOf(product)).toEqual([50, 7, 43]);
  });

  it('of an order that holds nothing: refused once and for all, also by ten workers at once', async () => {
    const product = await aProduct(inventory, 5);
    await cancel('ORD-a4');
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => amend(asking('ORD-a4', 1, [[product, 1]]), asking('ORD-nobody', 1, [[product, 1]]))),
    );
    expect(new Set(answers.flat().map((answer) => answer.event === 'AmendmentRejected' && answer.code))).toEqual(
      new Set(['NOT_HELD']),
    );
    await reserve(anOrderCreated('ORD-nobody', [product, 2]));
    expect(await amend(asking('ORD-nobody', 1, [[product, 1]]))).toMatchObject([{ code: 'NOT_HELD' }]);
    expect(await stockOf(product)).toEqual([5, 2, 3]);
  });

  it('late: refused as EXPIRED by the clock of the database, unless it was answered in time', async () => {
    const product = await aProduct(inventory, 5);
    await reserve(anOrderCreated('ORD-a5', [product, 2]));
    const late = { decide_before: new Date(Date.now() - 60_000).toISOString() };
    await amend(asking('ORD-a5', 1, [[product, 3]]));
    expect(await amend(asking('ORD-a5', 1, [[product, 3]], late))).toMatchObject([{ event: 'StockAmended' }]);
    expect(await amend(asking('ORD-a5', 2, [[product, 4]], late))).toMatchObject([{ code: 'EXPIRED' }]);
    expect(await stockOf(product)).toEqual([5, 3, 2]);
  });

  it('an order asked for again is answered with what it holds now', async () => {
    const product = await aProduct(inventory, 5);
    await reserve(anOrderCreated('ORD-a6', [product, 2]));
    await amend(asking('ORD-a6', 1, [[product, 4]]));
    expect(await reserve(anOrderCreated('ORD-a6', [product, 2]))).toEqual([
      { event: 'StockReserved', order_id: 'ORD-a6', items: [{ product_id: product, quantity: 4, unit_price: 1_999 }] },
    ]);
  });

  it('a race of changes, cancels and new orders for 30 units ends with nothing oversold, nothing leaked and no deadlock', async () => {
    const products = [await aProduct(inventory, 30), await aProduct(inventory, 1_000)];
    const ids = Array.from({ length: 20 }, (_, index) => `ORD-ar-${index}`);
    await Promise.all(ids.map((id) => reserve(anOrderCreated(id, [products[0]!, 1], [products[1]!, 1]))));
    const before = await deadlocks();
    await Promise.all(
      ids.flatMap((id, index) => [
        amend(
          asking(id, 1, [
            [products[1]!, 2],
            [products[0]!, 3],
          ]),
        ).then(() => amend(asking(id, 2, [[products[1]!, 3]]))),
        amend(
          asking(id, 1, [
            [products[1]!, 2],
            [products[0]!, 3],
          ]),
        ),
        reserve(anOrderCreated(`${id}-new`, [products[0]!, 1])),
        ...(index % 2 === 0 ? [cancel(id)] : []),
      ]),
    );
    await Promise.all(ids.map((id) => amend(asking(id, 3, [[products[1]!, 1]]))));
    expect(await deadlocks()).toBe(before);
    // What is left: one unit of the second product for each order that was not cancelled, and the new orders that found stock.
    expect((await stockOf(products[1]!))[1]).toBe(10);
    expect((await stockOf(products[0]!))[1]).toBeLessThanOrEqual(20);
  });
});

describe('the books', () => {
  it('are append-only: a movement cannot be changed or removed', async () => {
    await aProduct(inventory, 5);
    await expect(database.movement.updateMany({ data: { onHandDelta: 7 } })).rejects.toThrow();
    await expect(database.movement.deleteMany()).rejects.toThrow();
  });

  it('an event is written beside its change: one row in the outbox per answer', async () => {
    const product = await aProduct(inventory, 5);
    const [answer] = (await reserve(anOrderCreated('ORD-b1', [product, 1]))) as [EventOf<'StockReserved'>];
    const rows = await database.inventoryOutbox.findMany({ where: { aggregateId: 'ORD-b1' } });
    expect(rows).toMatchObject([{ type: 'StockReserved', body: answer, correlationId: 'test' }]);
  });
});

describe('reconcile', () => {
  it('reports drift of every kind and repairs it', async () => {
    const [a, b] = [await aProduct(inventory, 10), await aProduct(inventory, 10)];
    await reserve(anOrderCreated('ORD-rec', [a, 3], [b, 3]));
    await database.stock.update({ where: { productId: a }, data: { onHand: 99, reserved: 1 } });
    await database.$executeRaw`UPDATE inventory.reservation_lines SET quantity = 4 WHERE order_id = 'ORD-rec' AND product_id = ${b}`;
    const found = await reconcile(database, { repair: false });
    expect(found.drift).toMatchObject([
      { productId: a, onHand: { counter: 99, movements: 10 }, reserved: { counter: 1, movements: 3, held: 3 } },
      { productId: b, onHand: { counter: 10, movements: 10 }, reserved: { counter: 3, movements: 3, held: 4 } },
    ]);
    expect((await reconcile(database, { repair: true })).repaired).toHaveLength(2);
    expect(await stockOf(a)).toEqual([10, 3, 7]);
    expect(await stockOf(b)).toEqual([10, 4, 6]);
  });

  it('leaves what is oversold to a person', async () => {
    const product = await aProduct(inventory, 2);
    await reserve(anOrderCreated('ORD-over', [product, 2]));
    await database.$executeRaw`UPDATE inventory.reservation_lines SET quantity = 5 WHERE order_id = 'ORD-over'`;
    const outcome = await reconcile(database, { repair: true });
    expect(outcome).toMatchObject({ repaired: [], oversold: [{ productId: product }] });
    await database.$executeRaw`UPDATE inventory.reservation_lines SET quantity = 2 WHERE order_id = 'ORD-over'`;
  });
});

async function deadlocks(): Promise<number> {
  const [row] = await database.$queryRaw<{ deadlocks: bigint }[]>`
    SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`;
  return Number(row!.deadlocks);
}
