import { inventoryOn, aProduct } from '../support/anOrder';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
});
afterEach(() => jest.useRealTimers());
afterAll(() => testDatabase.drop());

it('changes what is given, leaves the rest, and takes the time from the database, however wrong our own clock is', async () => {
  const inventory = inventoryOn(testDatabase.database);
  const id = await aProduct(inventory, 5, { price: 1_999 });
  const before = (await inventory.product({ id }))!;
  onlyTheDateIs(new Date('2099-01-01'));
  const result = await inventory.updateProduct(id, { price: 2_099, active: false }, 'test');
  if (result.type !== 'done') throw new Error(`refused: ${JSON.stringify(result)}`);
  expect(result.product).toMatchObject({ name: before.name, sku: before.sku, price: 2_099, active: false, onHand: 5 });
  expect(result.product.updatedAt.getFullYear()).toBeLessThan(2099);
  expect(result.product.updatedAt.getTime()).toBeGreaterThanOrEqual(before.updatedAt.getTime());
});

it('a name or a sku with control characters is refused, and one that was given before stays readable', async () => {
  const inventory = inventoryOn(testDatabase.database);
  const [id, name] = [await aProduct(inventory, 5), 'Mug\u001b[2J\r\n\u009b'];
  const fault = { type: 'invalid', fields: [{ path: 'name', message: 'must not contain control characters' }] };
  expect(await inventory.updateProduct(id, { name }, 'test')).toMatchObject(fault);
  expect(await inventory.createProduct({ sku: 'CONTROLLED', name, price: 1 }, 'test')).toMatchObject(fault);
  const sku = await inventory.createProduct({ sku: 'MUG\u001b[2J', name: 'Mug', price: 1 }, 'test');
  expect(sku).toMatchObject({ ...fault, fields: [{ path: 'sku' }] });
  await testDatabase.database.product.update({ where: { id }, data: { name } });
  expect(await inventory.product({ id })).toMatchObject({ name });
  expect(await inventory.updateProduct(id, { price: 2 }, 'test')).toMatchObject({ type: 'done', product: { name } });
});

it('an unknown product is said to be unknown', async () => {
  const result = await inventoryOn(testDatabase.database).updateProduct(2_147_483_647, { price: 1 }, 'test');
  expect(result).toEqual({ type: 'unknown-product', key: { id: 2_147_483_647 } });
});

function onlyTheDateIs(now: Date) {
  const timers = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'] as const;
  jest.useFakeTimers({ now, doNotFake: [...timers, 'nextTick', 'queueMicrotask', 'performance', 'hrtime'] });
}
