import { seedProducts } from '../../src/inventory';
import { inventoryOn } from '../support/anOrder';
import { createTestDatabase } from '../support/postgres';

it('adds 24 products with names, skus, prices and stock, and changes nothing when it runs again (S2.16)', async () => {
  const { database, drop } = await createTestDatabase();
  const inventory = inventoryOn(database);
  expect(await seedProducts(inventory, 'seed')).toMatchObject({ created: 24, present: 0 });
  await inventory.adjustStock({ product: { sku: 'MUG-BLUE' }, delta: -7, reason: 'LOST' }, 'test');
  const [one, two] = await Promise.all([seedProducts(inventoryOn(database), 'a'), seedProducts(inventoryOn(database), 'b')]);
  expect([one, two]).toMatchObject([
    { created: 0, present: 24 },
    { created: 0, present: 24 },
  ]);
  const mug = await inventory.product({ sku: 'MUG-BLUE' });
  expect(mug).toMatchObject({ name: 'Enamel mug, blue', price: 1_200, onHand: 93 });
  expect(mug!.updatedAt.getTime()).toBeGreaterThanOrEqual(mug!.createdAt.getTime());
  await drop();
});

it('two seeds of an empty shop at the same moment make 24 products, not 48', async () => {
  const { database, drop } = await createTestDatabase();
  const outcomes = await Promise.all(['a', 'b'].map((name) => seedProducts(inventoryOn(database), name)));
  expect(outcomes[0]!.created + outcomes[1]!.created).toBe(24);
  expect(await database.product.count()).toBe(24);
  await drop();
});
