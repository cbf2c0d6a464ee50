import fc from 'fast-check';

import { decideAmendments, differencesOf, type Amendment, type Held } from '../../src/inventory/amendment';
import { type Stock } from '../../src/inventory/stock';

const lines = (...pairs: [productId: number, quantity: number][]) =>
  pairs.map(([productId, quantity]) => ({ productId, quantity }));
const held = (...pairs: [number, number][]): Held => ({
  ...{ isActive: true, lastNumber: 0 },
  lines: lines(...pairs).map((line) => ({ ...line, unitPrice: 70 })),
});
const stockOf = (...rows: [productId: number, onHand: number, reserved: number, active?: boolean][]) =>
  new Map(
    rows.map(([productId, onHand, reserved, active = true]): [number, Stock] => [
      productId,
      { productId, sku: `SKU-${productId}`, active, unitPrice: 100, onHand, reserved },
    ]),
  );
const to = (orderId: string, number: number, ...pairs: [number, number][]): Amendment => ({
  ...{ orderId, number, lines: lines(...pairs), isLate: false },
});

describe('decideAmendments', () => {
  it('amended: only the difference moves; what is held keeps its price, what is new takes the price of today (S0.6)', () => {
    const stock = stockOf([1, 10, 8], [2, 5, 0], [3, 9, 9]);
    const [decision] = decideAmendments(stock, new Map([['A', held([1, 8], [3, 4])]]), [to('A', 1, [1, 10], [2, 1])]);
    expect(decision).toEqual({
      ...{ type: 'amended', orderId: 'A', number: 1 },
      lines: [
        { productId: 1, quantity: 10, unitPrice: 70 },
        { productId: 2, quantity: 1, unitPrice: 100 },
      ],
      differences: [
        { productId: 1, units: 2 },
        { productId: 2, units: 1 },
        { productId: 3, units: -4 },
      ],
    });
  });

  it('rejected: all or nothing, with the figures; what the order holds counts as available to it', () => {
    const stock = stockOf([1, 10, 8], [2, 5, 5]);
    const [decision] = decideAmendments(stock, new Map([['A', held([1, 8], [2, 1])]]), [to('A', 1, [1, 11], [2, 3])]);
    expect(decision).toMatchObject({
      ...{ type: 'rejected', code: 'INSUFFICIENT_STOCK', reason: 'Insufficient stock' },
      lines: [
        { product_id: 1, requested: 11, available: 10, code: 'INSUFFICIENT_STOCK' },
        { product_id: 2, requested: 3, available: 1, code: 'INSUFFICIENT_STOCK' },
      ],
    });
  });

  it.each<[string, Amendment, Held | undefined, string]>([
    ['an unknown product', to('A', 1, [1, 2], [9, 1]), held([1, 2]), 'UNKNOWN_PRODUCT'],
    ['more of a product that is not for sale', to('A', 1, [4, 3]), held([4, 2]), 'PRODUCT_INACTIVE'],
    ['an order that holds nothing', to('A', 1, [1, 2]), { ...held([1, 2]), isActive: false }, 'NOT_HELD'],
    ['an order that nobody knows', to('A', 1, [1, 2]), undefined, 'NOT_HELD'],
    ['one that a later one overtook', to('A', 2, [1, 2]), { ...held([1, 1]), lastNumber: 3 }, 'OVERTAKEN'],
    ['one that comes too late', { ...to('A', 1, [1, 2]), isLate: true }, held([1, 1]), 'EXPIRED'],
  ])('rejected: %s', (_what, amendment, before, code) => {
    const stock = stockOf([1, 10, 2], [4, 10, 2, false]);
    const known = before ? new Map([['A', before]]) : new Map<string, Held>();
    expect(decideAmendments(stock, known, [amendment])).toMatchObject([{ type: 'rejected', code }]);
  });

  it('fewer of a product that is not for sale are always granted', () => {
    const decisions = decideAmendments(stockOf([4, 2, 2, false]), new Map([['A', held([4, 2])]]), [to('A', 1, [4, 1])]);
    expect(decisions).toMatchObject([{ type: 'amended', differences: [{ productId: 4, units: -1 }] }]);
  });

  it('one after the other: what one lets go the next may have, and an order is amended from where it was left', () => {
    const books = new Map([
      ['A', held([1, 5])],
      ['B', held([1, 5])],
    ]);
    const asked = [to('B', 1, [1, 7]), to('A', 1, [1, 3]), to('B', 2, [1, 7]), to('A', 2, [1, 4])];
    expect(decideAmendments(stockOf([1, 10, 10]), books, asked).map(({ type }) => type)).toEqual([
      ...['rejected', 'amended', 'amended', 'rejected'],
    ]);
  });

  it('whatever is asked for: nothing is promised that is not there, and the differences lead from what was held to what is', () => {
    const some = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 6 })), {
      selector: ([productId]) => productId,
      minLength: 1,
    });
    fc.assert(
      fc.property(
        some,
        some,
        some,
        fc.array(fc.tuple(fc.constantFrom('A', 'B'), some), { maxLength: 8 }),
        (a, b, spare, asked) => {
          const reservedOf = (id: number) =>
            [...a, ...b].reduce((sum, [product, units]) => sum + (product === id ? units : 0), 0);
          const free = new Map([1, 2, 3].map((id) => [id, spare.find(([product]) => product === id)?.[1] ?? 0]));
          const stock = stockOf(
            ...[1, 2, 3].map((id): [number, number, number] => [id, reservedOf(id) + free.get(id)!, reservedOf(id)]),
          );
          const books = new Map([
            ['A', held(...a)],
            ['B', held(...b)],
          ]);
          const decisions = decideAmendments(
            stock,
            books,
            asked.map(([id, pairs], index) => to(id, index + 1, ...pairs)),
          );
          const now = new Map(
            [...books].map(([id, { lines: before }]) => [id, before as { productId: number; quantity: number }[]]),
          );
          for (const decision of decisions) {
            if (decision.type === 'rejected') continue;
            expect(decision.differences).toEqual(differencesOf(now.get(decision.orderId)!, decision.lines));
            now.set(decision.orderId, decision.lines);
            for (const { productId, units } of decision.differences) free.set(productId, free.get(productId)! - units);
            expect(Math.min(...free.values())).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });
});
