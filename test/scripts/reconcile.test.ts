import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { aProduct, inventoryOn } from '../support/anOrder';
import { runProgram } from './program';

let test: TestDatabase;

beforeAll(async () => {
  test = await createTestDatabase();
  await aProduct(inventoryOn(test.database), 5);
});
afterAll(() => test.drop());

const reconcile = (...args: string[]) => runProgram('scripts/reconcile.ts', args, { DATABASE_URL: test.url });

it('finds nothing in a shop whose books agree', async () => {
  const { code, stdout } = await reconcile();
  expect(code).toBe(0);
  expect(stdout).toContain('The books agree');
});

it('finds what breaks a promise beside the books, and says which', async () => {
  await test.database.$executeRaw`
    INSERT INTO orders.orders (id, customer_id, status, correlation_id, currency, deadline_at, watch_at)
    VALUES ('without a history', 'c', 'PENDING', 'c', 'EUR', now(), now())`;
  const { code, stdout } = await reconcile('--json');
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({
    drift: [],
    broken: [{ name: 'histories are whole', broken: 1 }],
  });
});

it('finds drift, and mends it when told to', async () => {
  await test.database.$executeRaw`DELETE FROM orders.orders`;
  await test.database.$executeRaw`UPDATE inventory.stock SET on_hand = on_hand + 1`;
  const found = await reconcile();
  expect(found.code).toBe(2);
  expect(found.stdout).toContain('1 products drift; 0 repaired');
  await reconcile('--repair');
  expect(await reconcile()).toMatchObject({ code: 0 });
});
