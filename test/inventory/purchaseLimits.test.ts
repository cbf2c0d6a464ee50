import fc from 'fast-check';
import { v7 as uuidv7 } from 'uuid';

import { type AnyEvent } from '../../src/contracts';
import { type Database } from '../../src/database';
import { reconcile, type InventoryContext } from '../../src/inventory';
import { amendReservation } from '../../src/inventory/amendReservation';
import { commitReservation, releaseReservation } from '../../src/inventory/closeReservation';
import { reserveStock, reserveStockAtOnce } from '../../src/inventory/reserveStock';
import { decideReservations, Purchases, type Stock, type Wish } from '../../src/inventory/stock';
import { type Outbox } from '../../src/messaging';
import { aProduct, atOnce, handle, incoming, inventoryOn, leaveOut, settle, silentOutbox } from '../support/anOrder';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** How many units of a product one customer may have: decided under the locks of the stock, so that no race passes it. */
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

const anOrder = (customer_id: string | undefined, productId: number, quantity: number, order_id = `ORD-${uuidv7()}`) => {
  const items = [{ product_id: productId, quantity }];
  return incoming<'OrderCreated'>({ event: 'OrderCreated', order_id, items, ...(customer_id && { customer_id }) });
};
/** As the consumer does it. */
const reserve = (...batch: ReturnType<typeof anOrder>[]) =>
  settle(outbox, reserveStockAtOnce(uuidv7), batch, (tx) => reserveStock(uuidv7)(tx, batch, leaveOut));
const amend = (order_id: string, amendment: number, productId: number, quantity: number) => {
  const items = [{ product_id: productId, quantity }];
  const batch = [incoming<'AmendReservation'>({ event: 'AmendReservation', order_id, amendment, items })];
  return handle(outbox, (tx) => amendReservation(uuidv7)(tx, batch, leaveOut));
};
const cancel = (order_id: string) => {
  const batch = [incoming<'OrderCancelled'>({ event: 'OrderCancelled', order_id })];
  return handle(outbox, (tx) => releaseReservation(uuidv7)(tx, batch, leaveOut));
};
const fulfil = (order_id: string) => {
  const batch = [incoming<'OrderFulfilled'>({ event: 'OrderFulfilled', order_id })];
  return handle(outbox, (tx) => commitReservation(uuidv7)(tx, batch, leaveOut));
};
const setLimit = (productId: number, maxPerCustomer: number) => inventory.updateProduct(productId, { maxPerCustomer }, 'test');
const aLimitedProduct = async (maxPerCustomer: number, onHand = 1_000) => {
  const productId = await aProduct(inventory, onHand);
  await setLimit(productId, maxPerCustomer);
  return productId;
};
const reservedOf = async (productId: number) => (await inventory.product({ id: productId }))!.reserved;
const codesOf = (events: AnyEvent[]) =>
  events.map((event) => (event.event === 'StockRejected' ? event.items![0]!.code : event.event));

describe('an order', () => {
  it('beyond the limit is rejected with its code, and told how many could be had', async () => {
    const productId = await aLimitedProduct(3);
    expect(codesOf(await reserve(anOrder('A', productId, 2)))).toEqual(['StockReserved']);
    const [rejected] = await reserve(anOrder('A', productId, 2));
    expect(rejected).toMatchObject({
      ...{ event: 'StockRejected', reason: 'Purchase limit reached' },
      items: [{ product_id: productId, requested: 2, available: 1, code: 'PURCHASE_LIMIT' }],
    });
    expect(codesOf(await reserve(anOrder('A', productId, 1), anOrder('B', productId, 3)))).toEqual([
      'StockReserved',
      'StockReserved',
    ]);
    expect(await reservedOf(productId)).toBe(6);
  });

  it('in one batch counts those before it', async () => {
    const productId = await aLimitedProduct(3);
    const batch = Array.from({ length: 6 }, () => anOrder('A', productId, 1));
    const reserved = ['StockReserved', 'StockReserved', 'StockReserved'];
    expect(codesOf(await reserve(...batch))).toEqual([...reserved, 'PURCHASE_LIMIT', 'PURCHASE_LIMIT', 'PURCHASE_LIMIT']);
  });

  it('that was cancelled counts no more, one that was fulfilled does', async () => {
    const productId = await aLimitedProduct(3);
    const [kept, dropped] = [anOrder('A', productId, 2), anOrder('A', productId, 1)];
    await reserve(kept, dropped);
    await fulfil(kept.body.order_id);
    expect(codesOf(await reserve(anOrder('A', productId, 1)))).toEqual(['PURCHASE_LIMIT']);
    await cancel(dropped.body.order_id);
    expect(codesOf(await reserve(anOrder('A', productId, 1)))).toEqual(['StockReserved']);
    expect(codesOf(await reserve(anOrder('A', productId, 1)))).toEqual(['PURCHASE_LIMIT']);
  });

  it('of nobody known is counted alone', async () => {
    const productId = await aLimitedProduct(3);
    expect(
      codesOf(
        await reserve(anOrder(undefined, productId, 3), anOrder(undefined, productId, 3), anOrder(undefined, productId, 4)),
      ),
    ).toEqual(['StockReserved', 'StockReserved', 'PURCHASE_LIMIT']);
  });

  it('that is asked for again gets its first answer', async () => {
    const productId = await aLimitedProduct(3);
    const order = anOrder('A', productId, 3);
    expect(await reserve(order)).toEqual(await reserve(order));
    expect(await reservedOf(productId)).toBe(3);
  });
});

describe('no race passes it', () => {
  it('a hundred orders of one customer at once, in ten workers, sell it three', async () => {
    const productId = await aLimitedProduct(3);
    const batches = Array.from({ length: 20 }, () => Array.from({ length: 5 }, () => anOrder('A', productId, 1)));
    const codes = (await Promise.all(batches.map((batch) => reserve(...batch)))).flat();
    expect(codesOf(codes).filter((code) => code === 'StockReserved')).toHaveLength(3);
    expect(codesOf(codes).filter((code) => code === 'PURCHASE_LIMIT')).toHaveLength(97);
    expect(await reservedOf(productId)).toBe(3);
  });

  it('two orders of one customer that grow at the same time', async () => {
    const productId = await aLimitedProduct(3);
    const orders = Array.from({ length: 3 }, () => anOrder('A', productId, 1));
    await reserve(...orders);
    await cancel(orders[2]!.body.order_id);
    const [one, two] = await Promise.all(orders.slice(0, 2).map(({ body }) => amend(body.order_id, 1, productId, 2)));
    expect([one![0]!.event, two![0]!.event].sort()).toEqual(['AmendmentRejected', 'StockAmended']);
    expect(await reservedOf(productId)).toBe(3);
  });

  it('a limit that is set while orders are on their way: what was sold before it counts', async () => {
    for (let attempt = 0; attempt < 5; attempt++) {
      const productId = await aProduct(inventory, 1_000);
      const waves = Array.from({ length: 20 }, () => reserve(anOrder('A', productId, 1)));
      const set = setLimit(productId, 10);
      await Promise.all([...waves, set]);
      const before = await reservedOf(productId);
      const after = codesOf(await reserve(...Array.from({ length: 12 }, () => anOrder('A', productId, 1))));
      expect(after.filter((code) => code === 'StockReserved')).toHaveLength(Math.max(0, 10 - before));
    }
  });

  it('a decision in one statement that was made before the limit came is not written', async () => {
    const productId = await aProduct(inventory, 1_000);
    const batch = [anOrder('A', productId, 5)];
    expect(await atOnce(outbox, reserveStockAtOnce(uuidv7), batch, () => setLimit(productId, 3))).toBeUndefined();
    expect(codesOf(await reserve(...batch))).toEqual(['PURCHASE_LIMIT']);
  });
});

describe('an update of an order', () => {
  it('obeys it: what the order holds already counts once', async () => {
    const productId = await aLimitedProduct(5);
    const [one, two] = [anOrder('A', productId, 2), anOrder('A', productId, 2)];
    await reserve(one, two);
    expect(await amend(one.body.order_id, 1, productId, 4)).toMatchObject([
      {
        ...{ event: 'AmendmentRejected', code: 'PURCHASE_LIMIT', reason: 'Purchase limit reached' },
        items: [{ requested: 4, available: 3, code: 'PURCHASE_LIMIT' }],
      },
    ]);
    expect(await amend(one.body.order_id, 2, productId, 3)).toMatchObject([{ event: 'StockAmended' }]);
    expect(await amend(two.body.order_id, 1, productId, 1)).toMatchObject([{ event: 'StockAmended' }]);
    expect(codesOf(await reserve(anOrder('A', productId, 2)))).toEqual(['PURCHASE_LIMIT']);
    expect(codesOf(await reserve(anOrder('A', productId, 1)))).toEqual(['StockReserved']);
  });

  it('that adds a limited product counts for the next order', async () => {
    const [other, productId] = [await aProduct(inventory, 100), await aLimitedProduct(3)];
    const order = anOrder('A', other, 1);
    await reserve(order);
    expect(await amend(order.body.order_id, 1, productId, 3)).toMatchObject([{ event: 'StockAmended' }]);
    expect(codesOf(await reserve(anOrder('A', productId, 1)))).toEqual(['PURCHASE_LIMIT']);
  });

  it('of an order of nobody known is counted alone', async () => {
    const productId = await aLimitedProduct(3);
    const order = anOrder(undefined, productId, 2);
    await reserve(order, anOrder(undefined, productId, 3));
    expect(await amend(order.body.order_id, 1, productId, 4)).toMatchObject([{ code: 'PURCHASE_LIMIT' }]);
    expect(await amend(order.body.order_id, 2, productId, 3)).toMatchObject([{ event: 'StockAmended' }]);
  });
});

describe('a limit', () => {
  it('is set at the start, changed and lifted; 0 is none', async () => {
    const created = await inventory.createProduct(
      { sku: `SKU-${uuidv7()}`, name: 'x', price: 1, onHand: 9, maxPerCustomer: 2 },
      'r',
    );
    expect(created).toMatchObject({ type: 'done', product: { maxPerCustomer: 2 } });
    const { id } = (created as { product: { id: number } }).product;
    expect(codesOf(await reserve(anOrder('A', id, 3)))).toEqual(['PURCHASE_LIMIT']);
    expect(await inventory.updateProduct(id, { name: 'y' }, 'r')).toMatchObject({ product: { name: 'y', maxPerCustomer: 2 } });
    expect(await setLimit(id, 3)).toMatchObject({ product: { maxPerCustomer: 3 } });
    expect(codesOf(await reserve(anOrder('A', id, 3), anOrder('A', id, 1)))).toEqual(['StockReserved', 'PURCHASE_LIMIT']);
    expect(await setLimit(id, 0)).toMatchObject({ product: { maxPerCustomer: null } });
    expect(codesOf(await reserve(anOrder('A', id, 1)))).toEqual(['StockReserved']);
    await setLimit(id, 5);
    expect(codesOf(await reserve(anOrder('A', id, 2), anOrder('A', id, 1)))).toEqual(['PURCHASE_LIMIT', 'StockReserved']);
  });

  it('that is negative or no whole number is refused', async () => {
    const productId = await aProduct(inventory, 1);
    expect(await setLimit(productId, -1)).toMatchObject({ type: 'invalid', fields: [{ path: 'maxPerCustomer' }] });
    expect(await setLimit(productId, 1.5)).toMatchObject({ type: 'invalid' });
    expect(await inventory.updateProduct(999_999, { maxPerCustomer: 1 }, 'r')).toMatchObject({ type: 'unknown-product' });
  });

  it('where there is none, costs nothing: orders go in one statement, and no line enters the index', async () => {
    const productId = await aProduct(inventory, 10);
    const order = anOrder('A', productId, 1);
    expect(await atOnce(outbox, reserveStockAtOnce(uuidv7), [order])).toHaveLength(1);
    const lines = await database.reservationLine.findMany({ where: { orderId: order.body.order_id } });
    expect(lines).toMatchObject([{ customerId: null }]);
  });

  it('holds for whatever orders come, in whatever batches', () => {
    const wish = fc.record({
      customerId: fc.constantFrom('A', 'B', undefined),
      lines: fc.uniqueArray(fc.record({ productId: fc.constantFrom(1, 2), quantity: fc.integer({ min: 1, max: 4 }) }), {
        minLength: 1,
        selector: ({ productId }) => productId,
      }),
    });
    fc.assert(
      fc.property(
        fc.array(fc.array(wish, { maxLength: 5 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 5 }),
        (batches, limit) => {
          const row = (productId: number, maxPerCustomer: number | null): [number, Stock] => [
            productId,
            { productId, sku: '', active: true, unitPrice: 1, onHand: 20, reserved: 0, maxPerCustomer },
          ];
          const stock = new Map([row(1, limit), row(2, null)]);
          const had = new Map<string, number>();
          for (const batch of batches) {
            const wishes = batch.map((given, index): Wish => ({ ...given, orderId: String(index) }));
            const purchases = new Purchases([...had].map(([customerId, units]) => ({ productId: 1, customerId, units })));
            for (const decision of decideReservations(stock, wishes, purchases)) {
              if (decision.type === 'rejected') continue;
              for (const { productId, quantity } of decision.lines) {
                const before = stock.get(productId)!;
                stock.set(productId, { ...before, reserved: before.reserved + quantity });
                if (productId === 2) continue;
                const total = (decision.customerId === undefined ? 0 : (had.get(decision.customerId) ?? 0)) + quantity;
                expect(total).toBeLessThanOrEqual(limit);
                if (decision.customerId !== undefined) had.set(decision.customerId, total);
              }
            }
          }
          expect([...stock.values()].every(({ onHand, reserved }) => reserved <= onHand)).toBe(true);
        },
      ),
    );
  });
});
