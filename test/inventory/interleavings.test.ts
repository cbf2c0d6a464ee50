import { v7 as uuidv7 } from 'uuid';

import { type Database } from '../../src/database';
import { type InventoryContext, reconcile } from '../../src/inventory';
import { commitReservation, releaseReservation } from '../../src/inventory/closeReservation';
import { reserveStock, reserveStockAtOnce } from '../../src/inventory/reserveStock';
import { PoisonMessage, type Outbox } from '../../src/messaging';
import { anOrderCreated, aProduct, handle, incoming, inventoryOn, leaveOut, settle, silentOutbox } from '../support/anOrder';
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
afterAll(() => testDatabase.drop());

const atOnce = reserveStockAtOnce(uuidv7);
const kinds = ['created', 'cancelled', 'fulfilled'] as const;
type Kind = (typeof kinds)[number];
type State = 'none' | 'ACTIVE' | 'RELEASED' | 'COMMITTED';

/** What each message must do in each state, and what inventory must say: the whole of the promise, in one table. */
const expected: Record<State, Record<Kind, [next: State, answers: string]>> = {
  none: { created: ['ACTIVE', 'StockReserved'], cancelled: ['RELEASED', 'StockReleased'], fulfilled: ['none', 'poison'] },
  ACTIVE: {
    created: ['ACTIVE', 'StockReserved'],
    cancelled: ['RELEASED', 'StockReleased'],
    fulfilled: ['COMMITTED', 'StockCommitted'],
  },
  RELEASED: {
    created: ['RELEASED', 'StockReleased'],
    cancelled: ['RELEASED', 'StockReleased'],
    fulfilled: ['RELEASED', 'poison'],
  },
  COMMITTED: {
    created: ['COMMITTED', 'StockReserved'],
    cancelled: ['COMMITTED', 'StockReleased'],
    fulfilled: ['COMMITTED', 'StockCommitted'],
  },
};

/** As the consumer does it: orders in one statement where that will do. */
const deliver = async (kind: Kind, order_id: string, product: number): Promise<string> => {
  const created = [anOrderCreated(order_id, [product, 1])];
  const work: Record<Kind, Parameters<typeof handle>[1]> = {
    created: (tx) => reserveStock(uuidv7)(tx, created, leaveOut),
    cancelled: (tx) =>
      releaseReservation(uuidv7)(tx, [incoming<'OrderCancelled'>({ event: 'OrderCancelled', order_id })], leaveOut),
    fulfilled: (tx) =>
      commitReservation(uuidv7)(tx, [incoming<'OrderFulfilled'>({ event: 'OrderFulfilled', order_id })], leaveOut),
  };
  try {
    const settled = kind === 'created' ? settle(outbox, atOnce, created, work[kind]) : handle(outbox, work[kind]);
    return (await settled).map((body) => body.event).join();
  } catch (error) {
    if (error instanceof PoisonMessage) return 'poison';
    throw error;
  }
};

/** Every sequence of so many messages, duplicates and all. */
const sequences = (length: number): Kind[][] =>
  length === 0 ? [[]] : sequences(length - 1).flatMap((sequence) => kinds.map((kind) => [...sequence, kind]));

/** `npm run test:long` takes the fifth as well. */
const isLong = process.env.HOLDFAST_TESTS === 'long';

it(`every order of created, cancelled and fulfilled up to ${isLong ? 'five' : 'four'} messages, with duplicates, ends as the table says (F16)`, async () => {
  const product = await aProduct(inventory, 1_000);
  const all = [1, 2, 3, 4, ...(isLong ? [5] : [])].flatMap(sequences);
  expect(all).toHaveLength(isLong ? 363 : 120);
  const ends = await eachOf(all, 6, async (sequence) => {
    const orderId = `ORD-${sequence.join('-')}`;
    let state: State = 'none';
    for (const kind of sequence) {
      const [next, answers]: [State, string] = expected[state][kind];
      expect([orderId, kind, await deliver(kind, orderId, product)]).toEqual([orderId, kind, answers]);
      state = next;
    }
    const reservation = await database.reservation.findUnique({ where: { orderId } });
    expect([orderId, reservation?.status ?? 'none']).toEqual([orderId, state]);
    return state;
  });
  const count = (state: State) => ends.filter((end) => end === state).length;
  const { onHand, reserved } = (await inventory.product({ id: product }))!;
  expect({ onHand, reserved }).toEqual({ onHand: 1_000 - count('COMMITTED'), reserved: count('ACTIVE') });
  expect(await reconcile(database, { repair: false })).toMatchObject({ drift: [], oversold: [] });
});

it('the three at the same moment, in any order: one of the ends that the table allows, and the books agree', async () => {
  const product = await aProduct(inventory, 1_000);
  const ends = await eachOf(
    Array.from({ length: 60 }, (_, index) => `ORD-race-${index}`),
    3,
    async (orderId) => {
      await Promise.all([...kinds, 'created' as const, 'cancelled' as const].map((kind) => deliver(kind, orderId, product)));
      return (await database.reservation.findUnique({ where: { orderId } }))!.status;
    },
  );
  expect(ends.filter((end) => end !== 'RELEASED' && end !== 'COMMITTED')).toEqual([]);
  expect((await inventory.product({ id: product }))!.reserved).toBe(0);
  expect(await reconcile(database, { repair: false })).toMatchObject({ drift: [], oversold: [] });
});

it('a repair under load takes nothing that moves for drift, and mends what really drifted', async () => {
  const products = await Promise.all(Array.from({ length: 5 }, () => aProduct(inventory, 500)));
  const [drifted] = products;
  await database.$executeRaw`UPDATE inventory.stock SET reserved = 7 WHERE product_id = ${drifted}`;
  let isDone = false;
  const repairing = (async () => {
    const repaired = [];
    while (!isDone) repaired.push(...(await reconcile(database, { repair: true })).repaired);
    return repaired;
  })();
  await eachOf(
    Array.from({ length: 150 }, (_, index) => index),
    4,
    async (index) => {
      const lines = products.map((product): [number, number] => [product, 1 + (index % 3)]);
      const batch = [anOrderCreated(`ORD-load-${index}`, ...lines)];
      await settle(outbox, atOnce, batch, (tx) => reserveStock(uuidv7)(tx, batch, leaveOut));
      if (index % 2) await deliver('cancelled', `ORD-load-${index}`, drifted!);
      if (index % 5 === 0) await inventory.adjustStock({ product: { id: drifted! }, delta: 3, reason: 'RECEIVED' }, 'test');
    },
  );
  isDone = true;
  expect((await repairing).map((row) => row.productId)).toEqual([drifted]);
  expect(await reconcile(database, { repair: false })).toMatchObject({ drift: [], oversold: [] });
});

/** Does them all, so many side by side, and gives what came out in their order. */
async function eachOf<Item, Result>(items: Item[], width: number, work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index]!);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}
