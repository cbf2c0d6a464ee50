import { areLinesOf } from '../../src/orders/placedBefore';

/** Whether a wish that cannot be placed now is what was placed under its key. */
const lines = [
  { productId: 1, quantity: 2 },
  { productId: 2, quantity: 5 },
];
const byId = (productId: number, quantity: number) => ({ item: { productId, quantity }, ids: [productId] });
const named = (name: string, quantity: number, ...ids: number[]) => ({ item: { name, quantity }, ids });

it.each<[string, Parameters<typeof areLinesOf>[0], boolean]>([
  ['the same by id', [byId(2, 5), byId(1, 2)], true],
  ['the same in more lines', [byId(1, 1), byId(2, 5), byId(1, 1)], true],
  ['a name that leads nowhere now', [byId(1, 2), named('Old', 5)], true],
  ['a name of several products now', [byId(1, 2), named('Old', 5, 2, 3)], true],
  ['two names that lead nowhere', [named('Older', 5), named('Old', 2)], true],
  ['a lost name in two lines', [named('Old', 1), byId(2, 5), named('Old', 1)], true],
  ['other units of a lost name', [byId(1, 2), named('Old', 4)], false],
  ['other units', [byId(1, 2), byId(2, 4)], false],
  ['a product less', [byId(1, 2)], false],
  ['a product more', [byId(1, 2), byId(2, 5), byId(3, 1)], false],
  ['a lost name more', [byId(1, 2), byId(2, 5), named('Old', 1)], false],
  ['an unknown sku', [byId(1, 2), { item: { sku: 'NO-SUCH', quantity: 5 }, ids: [] }], false],
  ['no units beside', [byId(1, 2), byId(2, 5), byId(3, 0)], false],
  ['units that are none', [byId(1, 2), { item: { productId: 2, quantity: 'five' as unknown as number }, ids: [2] }], false],
  ['a product in two ways', [byId(1, 2), { item: { productId: 2, sku: 'TWO', quantity: 5 }, ids: [2] }], false],
])('%s: %#', (_case, asked, isSame) => {
  expect(areLinesOf(asked, lines)).toBe(isSame);
});
