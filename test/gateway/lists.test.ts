import fc from 'fast-check';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';

import { aHouse, type House } from '../support/aHouse';
import { inventoryOn } from '../support/anOrder';
import { oneOfThree } from '../support/eventually';

/** What lists promise: pages that neither repeat nor miss anything, filters that hold together, and one query however long the list. */
let house: House;
beforeAll(async () => (house = await aHouse({ roles: ['gateway', 'orders', 'inventory'] })));
afterAll(() => house.drop());

type Page = { page: { nodes: { key: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } };

/** Reads a list page by page; `between` happens after each. */
async function walk(list: { field: string; key: string; args: string }, first: number, between?: () => Promise<unknown>) {
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const args: string = `first: ${first}, after: ${JSON.stringify(after)}, ${list.args}`;
    const query = `{ page: ${list.field}(${args}) { nodes { key: ${list.key} } pageInfo { hasNextPage endCursor } } }`;
    const { page } = await house.ask<Page>(query);
    seen.push(...page.nodes.map(({ key }) => key));
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
    await between?.();
  } while (after !== null);
  return seen;
}

const placing =
  'mutation ($input: CreateOrderInput!, $waitFor: Int) { order: createOrder(input: $input, waitFor: $waitFor) { ... on Order { id status } } }';
type Placed = { order: { id: string; status: string } };
async function place(customerId: string, productId: number, more: { quantity?: number; waitFor?: number; key?: string } = {}) {
  const input = { customerId, items: [{ productId, quantity: more.quantity ?? 1 }], idempotencyKey: more.key };
  return (await house.ask<Placed>(placing, { input, waitFor: more.waitFor })).order;
}
async function create(name: string, onHand = 1_000) {
  const result = await inventoryOn(house.database).createProduct({ sku: `S-${uuidv7()}`, name, price: 100, onHand }, 'test');
  if (result.type !== 'done') throw new Error(JSON.stringify(result));
  return result.product;
}

describe('pages of orders', () => {
  it.each(['NEWEST_FIRST', 'OLDEST_FIRST'])(
    '%s: what was there comes once and in order, whatever is placed meanwhile',
    async (sort) => {
      const { id: productId } = await create('paged');
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 5 }), async (count, first) => {
          const customerId = `CUST-${uuidv7()}`;
          const placed: string[] = [];
          for (let index = 0; index < count; index++) placed.push((await place(customerId, productId)).id);
          const list = { field: 'orders', key: 'id', args: `customerId: "${customerId}", sort: ${sort}` };
          let arrivals = 0;
          const seen = await walk(list, first, async () => arrivals++ < 3 && (await place(customerId, productId)));
          expect(seen.filter((id) => placed.includes(id))).toEqual(sort === 'OLDEST_FIRST' ? placed : placed.reverse());
          expect(new Set(seen).size).toBe(seen.length);
        }),
        { numRuns: 5 },
      );
    },
  );

  it('filters by customer, status and time together', async () => {
    const { id: productId } = await create('filtered', 2);
    const customerId = `CUST-${uuidv7()}`;
    const orders: Placed['order'][] = [];
    for (const quantity of [1, 5, 1]) orders.push(await place(customerId, productId, { quantity, waitFor: 10_000 }));
    const times = await house.database.order.findMany({ where: { customerId }, orderBy: { id: 'asc' } });
    const [from, before] = [times[1]!.createdAt, times[2]!.createdAt].map((time) => time.toISOString());
    const listed = (args: string) => walk({ field: 'orders', key: 'id', args: `customerId: "${customerId}", ${args}` }, 10);
    expect(await listed('status: CONFIRMED')).toEqual([orders[2]!.id, orders[0]!.id]);
    expect(await listed(`createdFrom: "${from}"`)).toEqual([orders[2]!.id, orders[1]!.id]);
    expect(await listed(`createdFrom: "${from}", createdBefore: "${before}", sort: OLDEST_FIRST`)).toEqual([orders[1]!.id]);
    expect(await listed(`createdBefore: "${from}", status: CANCELLED`)).toEqual([]);
    expect(await listed('createdFrom: "9999-12-31T00:00:00Z"')).toEqual([]);
    expect(await listed('createdBefore: "0001-01-01T00:00:00Z"')).toEqual([]);
  });
});

describe('pages of products', () => {
  it.each(['ID', 'SKU', 'NAME'])('by %s: what was there comes once and in order, whatever is added meanwhile', async (sort) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'b', 'B', 'ä', 'b 2'), { maxLength: 8 }),
        fc.integer({ min: 1, max: 4 }),
        async (names, first) => {
          const run = uuidv7();
          const products: { sku: string }[] = [];
          for (const name of names) products.push(await create(`${name} ${run}`));
          let arrivals = 0;
          const between = async () => arrivals++ < 3 && create(`b ${run}`);
          const seen = (
            await walk({ field: 'products', key: 'sku', args: `search: "${run}", sort: ${sort}` }, first, between)
          ).filter((sku) => products.some((product) => product.sku === sku));
          const column = { ID: 'id', SKU: 'sku', NAME: 'name' }[sort]!;
          const wanted = await house.database.product.findMany({
            where: { sku: { in: products.map(({ sku }) => sku) } },
            orderBy: [{ [column]: 'asc' }, { id: 'asc' }],
          });
          expect(seen).toEqual(wanted.map(({ sku }) => sku));
        },
      ),
      { numRuns: 4 },
    );
  });

  it('filters by what stands in sku or name to the letter, by stock, and by being for sale', async () => {
    const run = uuidv7();
    const [half, sold] = [await create(`100% wool_${run}`), await create(`100x wool-${run}`, 0)];
    const listed = (args: string) => walk({ field: 'products', key: 'id', args }, 10);
    expect(await listed(`search: "% WOOL_${run}"`)).toEqual([half.id]);
    expect(await listed(`search: "${half.sku.toUpperCase()}"`)).toEqual([half.id]);
    expect(await listed(`search: "${run}", inStock: false`)).toEqual([sold.id]);
    expect(await listed(`search: "${run}", inStock: true, active: true`)).toEqual([half.id]);
    expect(await listed(`search: "${run}", active: false`)).toEqual([]);
    expect(await listed('search: "\\\\"')).toEqual([]);
  });
});

it('asks the database as often for fifty orders as for two', async () => {
  const { id: productId } = await create('counted');
  const customerId = `CUST-${uuidv7()}`;
  await Promise.all(Array.from({ length: 50 }, () => place(customerId, productId, { waitFor: 10_000 })));
  const query = `query ($first: Int!) { orders(customerId: "${customerId}", first: $first) { nodes { id items { productId } timeline { event } amendment { status } } } }`;
  const statementsFor = async (first: number) => {
    const asked = jest.spyOn(Client.prototype, 'query');
    await house.ask(query, { first });
    // What the roles do beside it is written by hand, and quotes no names.
    const statements = asked.mock.calls.map(([statement]) =>
      typeof statement === 'string' ? statement : (statement as unknown as { text: string }).text,
    );
    asked.mockRestore();
    return statements.filter((statement) => /^SELECT .*"orders"\."/s.test(statement)).length;
  };
  await statementsFor(2);
  const few = await statementsFor(2);
  expect(few).toBeGreaterThan(1);
  expect(await statementsFor(50)).toBe(few);
});

it('orders do not wait for two hundred queries of thirty lists each that came before them', async () => {
  const { id: productId } = await create('beside dear queries');
  const other = await house.as({ role: 'customer', customerId: 'CUST-other' });
  const lists = Array.from({ length: 29 }, (_, index) => `a${index}: orders(first: 20) { nodes { id status } }`);
  const dear = { query: `{ ${lists.join(' ')} }` };
  await oneOfThree(async () => {
    let answered = 0;
    const statuses = Array.from({ length: 200 }, () => house.post(dear, other).then(({ status }) => (answered++, status)));
    await Promise.race(statuses);
    const before = answered;
    for (let order = 0; order < 5; order++) await place('CUST-neighbour', productId);
    const answeredMeanwhile = answered - before;
    expect(new Set(await Promise.all(statuses))).toEqual(new Set([200]));
    // First come, first served, all of them are answered before the last order; it takes 33 of them.
    expect(answeredMeanwhile).toBeLessThan(100);
  });
});

describe('createOrder(waitFor:)', () => {
  it('answers with the decision, the first time and again', async () => {
    const { id: productId } = await create('awaited', 2);
    const customerId = `CUST-${uuidv7()}`;
    expect(await place(customerId, productId, { waitFor: 10_000, key: 'k' })).toMatchObject({ status: 'CONFIRMED' });
    expect(await place(customerId, productId, { waitFor: 10_000, key: 'k' })).toMatchObject({ status: 'CONFIRMED' });
    expect(await place(customerId, productId, { waitFor: 10_000, quantity: 3 })).toMatchObject({ status: 'CANCELLED' });
    expect(await place(customerId, productId)).toMatchObject({ status: 'PENDING' });
  });

  it.each([-1, 10_001])('does not wait for %d ms, and places nothing', async (waitFor) => {
    const { id: productId } = await create('not awaited');
    const customerId = `CUST-${uuidv7()}`;
    const input = { customerId, items: [{ productId, quantity: 1 }] };
    const { json } = await house.post({ query: placing, variables: { input, waitFor } });
    expect(json.errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field: 'waitFor' } }]);
    expect(await house.database.order.count({ where: { customerId } })).toBe(0);
  });

  it('answers as it stands when the time is over, and refusals at once', async () => {
    const alone = await aHouse({ roles: ['gateway', 'orders'], testDatabase: house.testDatabase });
    try {
      const { id: productId } = await create('nobody decides');
      await house.stop();
      const before = performance.now();
      const input = { customerId: 'CUST-1', items: [{ productId, quantity: 1 }] };
      const { order } = await alone.ask<Placed>(placing, { input, waitFor: 300 });
      expect(order).toMatchObject({ status: 'PENDING' });
      expect(performance.now() - before).toBeGreaterThanOrEqual(299);
      const refused = await alone.ask<{ order: object }>(placing, { input: { ...input, items: [] }, waitFor: 10_000 });
      expect(refused.order).toEqual({});
      expect(performance.now() - before).toBeLessThan(9_000);
    } finally {
      await alone.stop();
    }
  });
});
