import { amendLines, changeInWords, coversExactly, mergeLines, totalOf } from '../../src/orders/orderLines';

describe('the lines of an order', () => {
  it('merges two lines of one product into one, by product id', () => {
    const lines = [
      { productId: 7, quantity: 1 },
      { productId: 2, quantity: 3 },
      { productId: 7, quantity: 4 },
    ];
    expect(mergeLines(lines)).toEqual([
      { productId: 2, quantity: 3 },
      { productId: 7, quantity: 5 },
    ]);
  });

  it('tells an answer for other lines from one for the lines that were ordered', () => {
    const ordered = [{ productId: 1, quantity: 2 }];
    expect(coversExactly(ordered, [{ productId: 1, quantity: 2 }])).toBe(true);
    expect(
      coversExactly(ordered, [
        { productId: 1, quantity: 1 },
        { productId: 1, quantity: 1 },
      ]),
    ).toBe(true);
    expect(coversExactly(ordered, [{ productId: 1, quantity: 1 }])).toBe(false);
    expect(coversExactly(ordered, [{ productId: 2, quantity: 2 }])).toBe(false);
    expect(coversExactly(ordered, [])).toBe(false);
  });

  it('amends: named products get their quantity, 0 takes them off, others stay, new ones are added, in order', () => {
    const lines = [
      { productId: 1, quantity: 2 },
      { productId: 3, quantity: 1 },
    ];
    const to = (...pairs: [number, number][]) => pairs.map(([productId, quantity]) => ({ productId, quantity }));
    expect(amendLines(lines, to([1, 5]))).toEqual(to([1, 5], [3, 1]));
    expect(amendLines(lines, to([3, 0], [2, 4]))).toEqual(to([1, 2], [2, 4]));
    expect(amendLines(lines, to([1, 0], [3, 0]))).toEqual([]);
    expect(changeInWords(lines, amendLines(lines, to([3, 0], [2, 4])))).toBe('product 2: 0 → 4; product 3: 1 → 0');
    expect(changeInWords(lines, lines)).toBe('');
  });

  it('totals in whole minor units', () => {
    expect(
      totalOf([
        { productId: 1, quantity: 3, unitPrice: 1999 },
        { productId: 2, quantity: 1, unitPrice: 1 },
      ]),
    ).toBe(5998);
  });
});
