import { aHouse, type House } from '../support/aHouse';

/** Every bad input that the first issue names, through GraphQL: a clear answer naming the field, and nothing written. */
let house: House;
let product: number;

beforeAll(async () => {
  house = await aHouse();
  const created = await house.ask<{ createProduct: { id: number } }>(
    `mutation { createProduct(input: { sku: "BAD-1", name: "Bad input", price: 100, onHand: 1000 }) { ... on Product { id } } }`,
  );
  product = created.createProduct.id;
});
afterAll(() => house.drop());

const mutation = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename ... on Order { id } ... on ErrorResult { code message } ... on ValidationError { fields { path code message } } } }`;
const order = (input: object) => house.post({ query: mutation, variables: { input } });
const anInput = (more: object = {}) => ({ customerId: 'CUST-bad', items: [{ productId: product, quantity: 1 }], ...more });
const countOrders = () => house.database.order.count();

describe('refused as a result, with the path of the field', () => {
  it.each<[string, () => object, string]>([
    ['quantity 0', () => anInput({ items: [{ productId: product, quantity: 0 }] }), 'items.0.quantity'],
    ['a negative quantity', () => anInput({ items: [{ productId: product, quantity: -3 }] }), 'items.0.quantity'],
    ['more than may be ordered', () => anInput({ items: [{ productId: product, quantity: 100_001 }] }), 'items.0.quantity'],
    ['no items', () => anInput({ items: [] }), 'items'],
    [
      '1,000 items',
      () => anInput({ items: Array.from({ length: 1_000 }, () => ({ productId: product, quantity: 1 })) }),
      'items',
    ],
    ['an empty customer', () => anInput({ customerId: '' }), 'customerId'],
    ['a customer with NUL', () => anInput({ customerId: 'a\u0000b' }), 'customerId'],
    ['a customer of 10,000 characters', () => anInput({ customerId: 'x'.repeat(10_000) }), 'customerId'],
    ['a key of 201 characters', () => anInput({ idempotencyKey: 'k'.repeat(201) }), 'idempotencyKey'],
    ['a product by neither id nor sku', () => anInput({ items: [{ quantity: 1 }] }), 'items.0'],
    ['a product by both', () => anInput({ items: [{ productId: product, sku: 'BAD-1', quantity: 1 }] }), 'items.0'],
    ['an unknown sku', () => anInput({ items: [{ sku: 'NO-SUCH', quantity: 1 }] }), 'items.0.sku'],
    ['a sku with NUL', () => anInput({ items: [{ sku: 'NO\u0000', quantity: 1 }] }), 'items.0.sku'],
    ['a product id below 1', () => anInput({ items: [{ productId: 0, quantity: 1 }] }), 'items.0.productId'],
  ])('%s', async (_case, input, path) => {
    const before = await countOrders();
    const { status, json } = await order(input());
    expect({ status, errors: json.errors }).toEqual({ status: 200, errors: undefined });
    const result = json.data!.createOrder as { __typename: string; code: string; fields: { path: string; message: string }[] };
    expect(result).toMatchObject({ __typename: 'ValidationError', code: 'VALIDATION_FAILED' });
    expect(result.fields.map((field) => field.path)).toContain(path);
    expect(await countOrders()).toBe(before);
  });
});

describe('refused as BAD_USER_INPUT, with the path of the field, by the types of the schema', () => {
  it.each<[string, unknown, string]>([
    ['a fractional quantity', { items: [{ productId: 1, quantity: 1.5 }] }, 'input.items[0].quantity'],
    ['a quantity of 2^31', { items: [{ productId: 1, quantity: 2 ** 31 }] }, 'input.items[0].quantity'],
    ['a quantity in words', { items: [{ productId: 1, quantity: 'two' }] }, 'input.items[0].quantity'],
    ['an unknown field', { coupon: 'FREE' }, 'input.coupon'],
    ['no customer', { customerId: null }, 'input.customerId'],
  ])('%s', async (_case, more, field) => {
    const { json } = await order(anInput(more as object));
    expect(json.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(`${json.errors?.[0]?.extensions.field} ${json.errors?.[0]?.message}`).toContain(field.replace('input.', ''));
    expect(json.errors?.[0]?.extensions.requestId).toBeTruthy();
  });
});

describe('refused before GraphQL', () => {
  it('a body of 10 MiB', async () => {
    const { status, json } = await house.post(JSON.stringify({ query: mutation, padding: 'x'.repeat(10 * 1024 * 1024) }));
    expect(status).toBe(413);
    expect(json.errors?.[0]?.extensions.code).toBe('PAYLOAD_TOO_LARGE');
  });

  it('malformed JSON', async () => {
    const { status, json } = await house.post('{"query": "mutation');
    expect(status).toBe(400);
    expect(json.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });
});

describe('what cannot be stored is the caller’s to mend, wherever it stands', () => {
  it.each([
    '{ order(id: "\\u0000") { id } }',
    '{ product(sku: "a\\u0000") { id } }',
    'mutation { cancelOrder(orderId: "\\u0000", message: "\\u0000") { __typename } }',
    '{ orders(customerId: "\\u0000") { nodes { id } } }',
  ])('%s', async (query) => {
    const { json } = await house.post({ query });
    const code = json.errors?.[0]?.extensions.code;
    expect(code === undefined || code === 'BAD_USER_INPUT').toBe(true);
    expect(JSON.stringify(json)).not.toMatch(/select|insert|prisma|at .*\.ts/i);
  });

  it.each([
    '{ orders(first: 0) { nodes { id } } }',
    '{ orders(first: 101) { nodes { id } } }',
    '{ products(after: "garbage") { nodes { id } } }',
  ])('%s', async (query) => {
    const { json } = await house.post({ query });
    expect(json.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });
});

describe('many orders at once', () => {
  const createOrders =
    'mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { __typename ... on Order { id } } }';
  const send = (inputs: object[], headers?: Record<string, string>) =>
    house.post({ query: createOrders, variables: { inputs } }, headers);

  it('each is answered in its place, and one header makes the whole call repeatable', async () => {
    const inputs = [anInput(), anInput({ items: [] }), anInput()];
    const answers = await Promise.all([1, 2].map(() => send(inputs, { 'idempotency-key': 'bulk-1' })));
    const [first, second] = answers.map(({ json }) => json.data!.createOrders as { __typename: string; id?: string }[]);
    expect(first!.map((result) => result.__typename)).toEqual(['Order', 'ValidationError', 'Order']);
    expect(second).toEqual(first);
    expect(first![0]!.id).not.toBe(first![2]!.id);
  });

  const idsIn = async (inputs: object[], headers: Record<string, string>) => {
    const { json } = await send(inputs, headers);
    return (json.data!.createOrders as { __typename: string; id?: string }[]).map(({ __typename, id }) => id ?? __typename);
  };

  it('a header of 200 characters will do, and is repeated as any other', async () => {
    const headers = { 'idempotency-key': 'k'.repeat(200) };
    const inputs = Array.from({ length: 12 }, () => anInput());
    const ids = await idsIn(inputs, headers);
    expect(new Set(ids.filter((id) => id.startsWith('ORD-'))).size).toBe(12);
    expect(await idsIn(inputs, headers)).toEqual(ids);
  });

  it('the key of one in many is nobody else’s, and a key that looks like it is one as any other', async () => {
    const own = anInput({ idempotencyKey: 'zz#0' });
    const [alone] = await idsIn([own], {});
    const many = { 'idempotency-key': 'zz' };
    const [first] = await idsIn([anInput()], many);
    expect(first).toMatch(/^ORD-/);
    expect(first).not.toBe(alone);
    expect([await idsIn([own], {}), await idsIn([anInput()], many)]).toEqual([[alone], [first]]);
    const { json } = await send([anInput({ idempotencyKey: 'zz#0', items: [{ sku: 'NO-SUCH', quantity: 1 }] })]);
    expect(json.data!.createOrders).toMatchObject([{ __typename: 'IdempotencyConflictError' }]);
  });

  it('more than 100 are refused whole', async () => {
    const before = await countOrders();
    const { json } = await send(Array.from({ length: 101 }, () => anInput()));
    expect(json.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'inputs' });
    expect(await countOrders()).toBe(before);
  });

  it('the orders of nobody are nobody’s', async () => {
    const { orders } = await house.ask<{ orders: { nodes: object[] } }>('{ orders(customerId: "") { nodes { id } } }');
    expect(orders.nodes).toEqual([]);
  });
});

describe('closing an order twice, too late or too early', () => {
  const close = async (verb: string, id: string) => {
    const data = await house.ask<Record<string, Record<string, unknown>>>(
      `mutation { ${verb}(orderId: "${id}") { __typename ... on Order { status } ... on ErrorResult { code message } ... on OrderStateError { status } } }`,
    );
    return data[verb]!;
  };
  const placed = async (quantity: number) => {
    const { json } = await order(anInput({ items: [{ productId: product, quantity }] }));
    return (json.data!.createOrder as { id: string }).id;
  };

  it('answers each clearly', async () => {
    const id = await placed(1);
    expect(await close('cancelOrder', id)).toMatchObject({ __typename: 'Order', status: 'CANCELLED' });
    expect(await close('cancelOrder', id)).toMatchObject({ __typename: 'Order', status: 'CANCELLED' });
    expect(await close('fulfilOrder', id)).toMatchObject({
      __typename: 'OrderStateError',
      code: 'ORDER_STATE_CONFLICT',
      status: 'CANCELLED',
    });
    expect(await close('cancelOrder', 'ORD-nobody')).toMatchObject({ __typename: 'UnknownOrderError', code: 'UNKNOWN_ORDER' });
  });
});

describe('products and stock', () => {
  const ask = async (field: string) => {
    const data = await house.ask<Record<string, Record<string, unknown>>>(
      `mutation { result: ${field} { __typename ... on Product { onHand reserved available } ... on ErrorResult { code message } } }`,
    );
    return data.result!;
  };

  it('a sku is given once', async () => {
    expect(await ask(`createProduct(input: { sku: "BAD-1", name: "Again", price: 1 })`)).toMatchObject({ code: 'SKU_TAKEN' });
  });

  it('stock follows adjustStock and setStock, and neither goes below what is promised or behind somebody’s back (S2.1)', async () => {
    const name = 'sku: "STOCK-1"';
    await ask(`createProduct(input: { ${name}, name: "Stock", price: 1, onHand: 5 })`);
    expect(await ask(`adjustStock(input: { ${name}, delta: 3, reason: RECEIVED, reference: "DN-7" })`)).toMatchObject({
      onHand: 8,
    });
    expect(await ask(`adjustStock(input: { ${name}, delta: -9, reason: LOST })`)).toMatchObject({ code: 'STOCK_BELOW_RESERVED' });
    expect(await ask(`adjustStock(input: { ${name}, delta: 2147483647, reason: RECEIVED })`)).toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    expect(await ask(`adjustStock(input: { ${name}, delta: 0, reason: OTHER })`)).toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(await ask(`setStock(input: { ${name}, onHand: 6, compareOnHand: 7, reason: CORRECTION })`)).toMatchObject({
      code: 'STOCK_MOVED',
    });
    expect(await ask(`setStock(input: { ${name}, onHand: 6, compareOnHand: 8, reason: CORRECTION })`)).toMatchObject({
      onHand: 6,
    });
    expect(await ask(`adjustStock(input: { sku: "NOPE", delta: 1, reason: OTHER })`)).toMatchObject({ code: 'UNKNOWN_PRODUCT' });
  });

  it('lists page by page, stable while products are added (S2.1)', async () => {
    const page = (after: string) =>
      house.ask<{ products: { nodes: { sku: string }[]; pageInfo: { endCursor: string; hasNextPage: boolean } } }>(
        `{ products(first: 1${after}) { nodes { sku } pageInfo { endCursor hasNextPage } } }`,
      );
    const { products: one } = await page('');
    await ask(`createProduct(input: { sku: "LATER", name: "Later", price: 1 })`);
    const { products: two } = await page(`, after: "${one.pageInfo.endCursor}"`);
    expect([one.nodes[0]!.sku, two.nodes[0]!.sku]).toEqual(['BAD-1', 'STOCK-1']);
    expect(one.pageInfo.hasNextPage).toBe(true);
  });
});
