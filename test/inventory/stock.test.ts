import fc from 'fast-check';

import { decideReservations, mergeWish, type Stock, type Wish } from '../../src/inventory/stock';

const aStock = (productId: number, onHand: number, more: Partial<Stock> = {}): [number, Stock] => [
  productId,
  { productId, sku: `SKU-${productId}`, active: true, unitPrice: 1999, onHand, reserved: 0, ...more },
];
const aWish = (orderId: string, ...lines: [productId: number, quantity: number][]): Wish => ({
  orderId,
  lines: lines.map(([productId, quantity]) => ({ productId, quantity })),
});

describe('decideReservations', () => {
  it('reserves every line at the price of the moment when all can be had', () => {
    const [decision] = decideReservations(new Map([aStock(1, 2), aStock(2, 9)]), [aWish('A', [1, 2], [2, 1])]);
    const lines = [
      { productId: 1, quantity: 2, unitPrice: 1999 },
      { productId: 2, quantity: 1, unitPrice: 1999 },
    ];
    expect(decision).toEqual({ type: 'reserved', orderId: 'A', lines });
  });

  it('rejects the whole order when one line is short, and names only that line with its figures (S2.7)', () => {
    const [decision] = decideReservations(new Map([aStock(1, 5), aStock(2, 1)]), [aWish('A', [1, 1], [2, 3])]);
    const lines = [{ product_id: 2, requested: 3, available: 1, code: 'INSUFFICIENT_STOCK' }];
    expect(decision).toEqual({ type: 'rejected', orderId: 'A', reason: 'Insufficient stock', lines });
  });

  it('counts what is reserved already as gone', () => {
    const [decision] = decideReservations(new Map([aStock(1, 5, { reserved: 4 })]), [aWish('A', [1, 2])]);
    expect(decision).toMatchObject({ type: 'rejected', lines: [{ available: 1 }] });
  });

  it('lets a rejected order leave its units to the next', () => {
    const decisions = decideReservations(new Map([aStock(1, 2), aStock(2, 0)]), [aWish('A', [1, 2], [2, 1]), aWish('B', [1, 2])]);
    expect(decisions.map((decision) => decision.type)).toEqual(['rejected', 'reserved']);
  });

  it('tells an unknown product and one that is not for sale from a shortage', () => {
    const stock = new Map([aStock(1, 5, { active: false })]);
    const [unknown, inactive] = decideReservations(stock, [aWish('A', [9, 1]), aWish('B', [1, 1])]);
    expect(unknown).toMatchObject({
      reason: 'Unknown product',
      lines: [{ product_id: 9, available: 0, code: 'UNKNOWN_PRODUCT' }],
    });
    expect(inactive).toMatchObject({ reason: 'Product is not for sale', lines: [{ product_id: 1, code: 'PRODUCT_INACTIVE' }] });
  });

  it('never promises more than there is, serves in order of arrival, and never half an order', () => {
    const wish = fc.record({
      orderId: fc.uuid(),
      lines: fc.uniqueArray(fc.record({ productId: fc.integer({ min: 1, max: 4 }), quantity: fc.integer({ min: 1, max: 6 }) }), {
        minLength: 1,
        selector: (line) => line.productId,
      }),
    });
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 3, maxLength: 3 }), fc.array(wish, { maxLength: 30 }), (levels, wishes) => {
        const stock = new Map(levels.map((onHand, index) => aStock(index + 1, onHand)));
        const left = new Map(levels.map((onHand, index) => [index + 1, onHand]));
        decideReservations(stock, wishes).forEach((decision, index) => {
          const fits = wishes[index]!.lines.every((line) => (left.get(line.productId) ?? -1) >= line.quantity);
          expect(decision.type).toBe(fits ? 'reserved' : 'rejected');
          if (decision.type === 'rejected') return;
          expect(decision.lines).toHaveLength(wishes[index]!.lines.length);
          for (const line of decision.lines) left.set(line.productId, left.get(line.productId)! - line.quantity);
        });
        for (const units of left.values()) expect(units).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('mergeWish', () => {
  it('makes one line of two lines of one product', () => {
    const lines = [
      { productId: 1, quantity: 2 },
      { productId: 1, quantity: 3 },
    ];
    expect(mergeWish('A', lines)).toEqual(aWish('A', [1, 5]));
  });
});
