import { execFileSync } from 'node:child_process';
import { z } from 'zod';

import { aHouse, type House } from '../support/aHouse';
import { eventually } from '../support/eventually';

/** The REST door: its addresses, its refusals, and the document that describes both. */
let house: House;
let productId: number;
/** What is updated. */
let updated: number;

beforeAll(async () => {
  house = await aHouse();
  productId = await addProduct('LAPTOP', 'Laptop', 10);
  await addProduct('MOUSE', 'Mouse', 50);
  updated = await addProduct('CABLE', 'Cable', 100);
});
afterAll(() => house.drop());

async function addProduct(sku: string, name: string, onHand: number) {
  const data = await house.ask<{ createProduct: { id: number } }>(
    `mutation { createProduct(input: { sku: "${sku}", name: "${name}", price: 100, onHand: ${onHand} }) { ... on Product { id } } }`,
  );
  return data.createProduct.id;
}

async function call(path: string, init: RequestInit = {}) {
  const headers = { ...(await house.as({ role: 'operator', name: 'rest' })), ...(init.headers as Record<string, string>) };
  const response = await fetch(`${house.url}${path}`, { ...init, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, json: JSON.parse(text || 'null') as Record<string, unknown> };
}
const post = (body: unknown, headers: Record<string, string> = {}) =>
  call('/create_order', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const patch = (id: unknown, body: unknown, headers: Record<string, string> = {}) =>
  call(`/orders/${String(id)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
const anOrder = (more: object = {}) => ({ customerId: 'CUST-rest', items: [{ sku: 'MOUSE', quantity: 2 }], ...more });
const countOrders = () => house.database.order.count();

describe('POST /create_order', () => {
  it('without a body orders one unit of the first product for sale, and its stock falls (S4.2, S4.5)', async () => {
    const before = (await call('/products')).json;
    expect(before).toMatchObject({ [productId]: { name: 'Laptop', stock: 10 } });
    const { status, headers, json } = await call('/create_order', { method: 'POST' });
    expect({ status, message: json.message }).toEqual({ status: 201, message: 'Order created and message sent!' });
    const location = headers.get('location')!;
    await eventually(async () => (await call(location)).json.status === 'CONFIRMED');
    expect((await call('/products')).json).toMatchObject({ [productId]: { name: 'Laptop', stock: 9 } });
  });

  it('with a body orders what it says; GET /orders/{id} follows it to its price', async () => {
    const { status, headers, json } = await post(anOrder());
    expect({ status, order: json.order }).toMatchObject({
      status: 201,
      order: { customerId: 'CUST-rest', status: 'PENDING', total: null },
    });
    const order = await eventually(async () => {
      const { json: read } = await call(headers.get('location')!);
      return read.status === 'CONFIRMED' ? read : undefined;
    });
    expect(order).toMatchObject({
      id: (json.order as { id: string }).id,
      items: [{ quantity: 2, unitPrice: { minorUnits: 100, currency: 'EUR', decimal: '1.00' } }],
      total: { minorUnits: 200, decimal: '2.00' },
    });
  });

  it('says why an order was cancelled, line by line', async () => {
    const { headers } = await post(anOrder({ items: [{ sku: 'MOUSE', quantity: 99 }] }));
    const order = await eventually(async () => {
      const { json } = await call(headers.get('location')!);
      return json.status === 'CANCELLED' ? json : undefined;
    });
    expect(order.reason).toMatchObject({ code: 'INSUFFICIENT_STOCK', lines: [{ requested: 99, code: 'INSUFFICIENT_STOCK' }] });
  });

  it('ten times at once with one key is one order; the key with other lines is refused', async () => {
    const before = await countOrders();
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(anOrder(), { 'idempotency-key': 'rest-1' })));
    expect(new Set(answers.map(({ json }) => (json.order as { id: string }).id)).size).toBe(1);
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array<number>(9).fill(200), 201]);
    expect(await countOrders()).toBe(before + 1);
    const other = await post(anOrder({ items: [{ productId, quantity: 1 }], idempotencyKey: 'rest-1' }));
    expect(other).toMatchObject({ status: 422, json: { code: 'IDEMPOTENCY_CONFLICT' } });
  });
});

async function confirmed(quantity: number, more: object = {}) {
  const { json } = await post(anOrder({ items: [{ productId: updated, quantity }], ...more }));
  const { id } = json.order as { id: string };
  await eventually(async () => (await call(`/orders/${id}`)).json.status === 'CONFIRMED');
  return id;
}

describe('PATCH /orders/{id}', () => {
  const stock = async () => ((await call('/products')).json[updated] as { stock: number }).stock;
  const wish = (quantity: number, more: object = {}) => ({ items: [{ productId: updated, quantity }], ...more });

  it('changes the quantities, by the difference; the same again changes nothing (S0.6)', async () => {
    const before = await stock();
    const id = await confirmed(2);
    const { status, json } = await patch(id, wish(5));
    expect({ status, json }).toMatchObject({
      status: 200,
      json: { id, version: 3, items: [{ quantity: 5 }], total: { minorUnits: 500 } },
    });
    expect(await patch(id, wish(5))).toMatchObject({ status: 200, json: { version: 3 } });
    expect(await stock()).toBe(before - 5);
    expect(await patch(id, { items: [{ sku: 'CABLE', quantity: 1 }], expectedVersion: 3 })).toMatchObject({
      status: 200,
      json: { version: 4 },
    });
    expect(await stock()).toBe(before - 1);
  });

  it('is a conflict where the stock is short, line by line, and the order keeps its lines (S0.6)', async () => {
    const id = await confirmed(2);
    const { status, json } = await patch(id, wish(1_000));
    expect({ status, json }).toMatchObject({
      status: 409,
      json: {
        code: 'INSUFFICIENT_STOCK',
        orderId: id,
        lines: [{ productId: updated, requested: 1_000, code: 'INSUFFICIENT_STOCK' }],
      },
    });
    expect((await call(`/orders/${id}`)).json).toMatchObject({ version: 2, items: [{ quantity: 2 }] });
  });

  it('is a conflict at another version, for a paid order, and for one that is cancelled', async () => {
    const id = await confirmed(2);
    expect(await patch(id, wish(3, { expectedVersion: 1 }))).toMatchObject({
      status: 409,
      json: { code: 'ORDER_VERSION_CONFLICT', version: 2 },
    });
    await house.ask(`mutation { cancelOrder(orderId: "${id}") { __typename } }`);
    expect(await patch(id, wish(3))).toMatchObject({
      status: 409,
      json: { code: 'ORDER_STATE_CONFLICT', orderStatus: 'CANCELLED' },
    });
    await house.ask('mutation { deposit(input: { customerId: "CUST-rest", amount: 10000, reference: "r" }) { __typename } }');
    const paid = await confirmed(1, { payment: 'BALANCE' });
    expect(await patch(paid, wish(2))).toMatchObject({
      status: 409,
      json: { code: 'ORDER_STATE_CONFLICT', orderStatus: 'CONFIRMED' },
    });
  });

  it('answers 202 with the order as it is while inventory has not decided', async () => {
    const away = await aHouse({ roles: ['gateway', 'orders'] });
    const id = 'ORD-waiting';
    await away.database.$executeRaw`
      INSERT INTO orders.orders (id, customer_id, status, currency, correlation_id, deadline_at, watch_at)
      VALUES (${id}, 'CUST-rest', 'CONFIRMED', 'EUR', 'test', now() + interval '1 hour', now() + interval '1 hour')`;
    await away.database.$executeRaw`
      INSERT INTO orders.order_items (order_id, product_id, quantity, unit_price_minor) VALUES (${id}, 1, 1, 100)`;
    const headers = { 'content-type': 'application/json', ...(await away.as({ role: 'operator', name: 'rest' })) };
    const update = (quantity: number) =>
      fetch(`${away.url}/orders/${id}`, {
        method: 'PATCH',
        headers,
        body: JSON.stringify({ items: [{ productId: 1, quantity }] }),
      });
    const first = await update(2);
    expect([first.status, await first.json()]).toMatchObject([202, { id, items: [{ quantity: 1 }] }]);
    const second = await update(3);
    expect([second.status, await second.json()]).toMatchObject([409, { code: 'UPDATE_UNDER_WAY' }]);
    await away.drop();
  });

  it.each<[string, unknown, string]>([
    ['a negative quantity', wish(-1), 'items.0.quantity'],
    ['a fractional quantity', wish(1.5), 'items.0.quantity'],
    ['a quantity in words', { items: [{ sku: 'CABLE', quantity: 'two' }] }, 'items.0.quantity'],
    ['a quantity of 2^31', { items: [{ sku: 'CABLE', quantity: 2 ** 31 }] }, 'items.0.quantity'],
    ['no items', { items: [] }, 'items'],
    ['1,000 items', { items: Array.from({ length: 1_000 }, () => ({ sku: 'CABLE', quantity: 1 })) }, 'items'],
    [
      'one product twice',
      {
        items: [
          { sku: 'CABLE', quantity: 1 },
          { sku: 'CABLE', quantity: 2 },
        ],
      },
      'items',
    ],
    ['what leaves nothing', { items: [{ sku: 'CABLE', quantity: 0 }] }, 'items'],
    ['a product by neither id nor sku', { items: [{ quantity: 1 }] }, 'items.0'],
    ['an unknown sku', { items: [{ sku: 'NO-SUCH', quantity: 1 }] }, 'items.0.sku'],
    ['a sku with NUL', { items: [{ sku: 'NO\u0000', quantity: 1 }] }, 'items.0.sku'],
    ['a version of 0', { items: [{ sku: 'CABLE', quantity: 1 }], expectedVersion: 0 }, 'expectedVersion'],
    ['an unknown field', { items: [{ sku: 'CABLE', quantity: 1 }], customerId: 'x' }, ''],
    ['a list', [], ''],
    ['null', null, ''],
  ])('refuses %s as a problem that names the field', async (_case, body, path) => {
    const { status, headers, json } = await patch(await anId(), body);
    expect({ status, type: headers.get('content-type'), code: json.code }).toEqual({
      ...{ status: 422, type: 'application/problem+json', code: 'VALIDATION_FAILED' },
    });
    expect((json.fields as { path: string }[]).map((field) => field.path)).toContain(path);
    expect((await call(`/orders/${await anId()}`)).json).toMatchObject({ version: 2, items: [{ quantity: 1 }] });
  });

  it.each<[string, () => ReturnType<typeof call>, number, string]>([
    ['an order that is nobody’s', () => patch('ORD-nobody', wish(1)), 404, 'UNKNOWN_ORDER'],
    ['an id with NUL', () => patch('a%00b', wish(1)), 422, 'VALIDATION_FAILED'],
    ['a broken address', () => patch('%E0%A4', wish(1)), 400, 'BAD_USER_INPUT'],
    ['malformed JSON', () => patch('ORD-1', '{"items":'), 400, 'BAD_USER_INPUT'],
    ['no body', () => call('/orders/ORD-1', { method: 'PATCH' }), 400, 'BAD_USER_INPUT'],
    ['a form', () => patch('ORD-1', 'a=b', { 'content-type': 'text/plain' }), 415, 'BAD_USER_INPUT'],
    ['a body of 10 MiB', () => patch('ORD-1', 'x'.repeat(10 * 1024 * 1024)), 413, 'PAYLOAD_TOO_LARGE'],
    ['another method', () => call('/orders/ORD-1', { method: 'PUT' }), 405, 'METHOD_NOT_ALLOWED'],
  ])('refuses %s', async (_case, ask, status, code) => {
    const answer = await ask();
    expect([answer.status, answer.json.code]).toEqual([status, code]);
  });

  let id: string | undefined;
  const anId = async () => (id ??= await confirmed(1));
});

describe('refuses as a problem after RFC 9457, naming the field, with nothing written', () => {
  it.each<[string, () => unknown, string]>([
    ['quantity 0', () => anOrder({ items: [{ productId, quantity: 0 }] }), 'items.0.quantity'],
    ['a negative quantity', () => anOrder({ items: [{ productId, quantity: -3 }] }), 'items.0.quantity'],
    ['a fractional quantity', () => anOrder({ items: [{ productId, quantity: 1.5 }] }), 'items.0.quantity'],
    ['a quantity in words', () => anOrder({ items: [{ productId, quantity: 'two' }] }), 'items.0.quantity'],
    ['a quantity of 2^31', () => anOrder({ items: [{ productId, quantity: 2 ** 31 }] }), 'items.0.quantity'],
    ['no items', () => anOrder({ items: [] }), 'items'],
    ['1,000 items', () => anOrder({ items: Array.from({ length: 1_000 }, () => ({ productId, quantity: 1 })) }), 'items'],
    ['no customer', () => anOrder({ customerId: undefined }), 'customerId'],
    ['an empty customer', () => anOrder({ customerId: '' }), 'customerId'],
    ['a customer with NUL', () => anOrder({ customerId: 'a\u0000b' }), 'customerId'],
    ['a customer of 10,000 characters', () => anOrder({ customerId: 'x'.repeat(10_000) }), 'customerId'],
    ['a key of 201 characters', () => anOrder({ idempotencyKey: 'k'.repeat(201) }), 'idempotencyKey'],
    ['a product by neither id nor sku', () => anOrder({ items: [{ quantity: 1 }] }), 'items.0'],
    ['a product by both', () => anOrder({ items: [{ productId, sku: 'MOUSE', quantity: 1 }] }), 'items.0'],
    ['an unknown sku', () => anOrder({ items: [{ sku: 'NO-SUCH', quantity: 1 }] }), 'items.0.sku'],
    ['a sku with NUL', () => anOrder({ items: [{ sku: 'NO\u0000', quantity: 1 }] }), 'items.0.sku'],
    ['an unknown field', () => anOrder({ coupon: 'FREE' }), ''],
    ['a list', () => [], ''],
    ['null', () => null, ''],
  ])('%s', async (_case, body, path) => {
    const before = await countOrders();
    const { status, headers, json } = await post(body());
    expect({ status, type: headers.get('content-type'), code: json.code }).toEqual({
      status: 422,
      type: 'application/problem+json',
      code: 'VALIDATION_FAILED',
    });
    expect((json.fields as { path: string }[]).map((field) => field.path)).toContain(path);
    expect(json.requestId).toBe(headers.get('x-request-id'));
    expect(await countOrders()).toBe(before);
  });

  it.each<[string, string, RequestInit, number, string]>([
    ['malformed JSON', '/create_order', json('{"customerId": '), 400, 'BAD_USER_INPUT'],
    ['a body of 10 MiB', '/create_order', json('x'.repeat(10 * 1024 * 1024)), 413, 'PAYLOAD_TOO_LARGE'],
    [
      'a form',
      '/create_order',
      { method: 'POST', body: 'a=b', headers: { 'content-type': 'text/plain' } },
      415,
      'BAD_USER_INPUT',
    ],
    ['a header that is no key', '/create_order', json('{}', { 'idempotency-key': 'a b' }), 400, 'BAD_USER_INPUT'],
    ['another method', '/create_order', { method: 'DELETE' }, 405, 'METHOD_NOT_ALLOWED'],
    [
      'a page of another site',
      '/create_order',
      { method: 'POST', headers: { origin: 'https://evil.example' } },
      403,
      'FORBIDDEN',
    ],
    ['a page of nowhere', '/create_order', { method: 'POST', headers: { origin: 'null' } }, 403, 'FORBIDDEN'],
    ['an order that is nobody’s', '/orders/ORD-nobody', {}, 404, 'UNKNOWN_ORDER'],
    ['an id with NUL', '/orders/a%00b', {}, 400, 'BAD_USER_INPUT'],
    ['a broken address', '/orders/%E0%A4', {}, 400, 'BAD_USER_INPUT'],
    ['an address below an order', '/orders/a/b', {}, 404, 'NOT_FOUND'],
    ['a page of 0', '/products?first=0', {}, 422, 'VALIDATION_FAILED'],
    ['a page of 1,001', '/products?first=1001', {}, 422, 'VALIDATION_FAILED'],
    ['a page after nothing', '/products?after=x', {}, 422, 'VALIDATION_FAILED'],
  ])('%s', async (_case, path, init, status, code) => {
    const before = await countOrders();
    const answer = await call(path, init);
    expect([answer.status, answer.json.code, answer.json.status]).toEqual([status, code, status]);
    expect(JSON.stringify(answer.json)).not.toMatch(/select|insert|prisma|at .*\.ts/i);
    expect(await countOrders()).toBe(before);
  });

  function json(body: string, headers: Record<string, string> = {}): RequestInit {
    return { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } };
  }
});

it('GET /products comes in pages, each naming the next', async () => {
  const seen: string[] = [];
  let path: string | undefined = '/products?first=1';
  while (path) {
    const { headers, json } = await call(path);
    seen.push(...Object.keys(json));
    path = /^<(.+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
  }
  const products = await house.database.product.findMany({ where: { active: true }, orderBy: { id: 'asc' } });
  expect(seen).toEqual(products.map((product) => String(product.id)));
});

it('production wants to be told what to order', async () => {
  const strict = await aHouse({ config: { NODE_ENV: 'production' } });
  const headers = await strict.as({ role: 'customer', customerId: 'CUST-rest' });
  const response = await fetch(`${strict.url}/create_order`, { method: 'POST', headers });
  expect([response.status, await strict.database.order.count()]).toEqual([400, 0]);
  await strict.drop();
});

describe('/openapi.json', () => {
  it('is a valid OpenAPI 3.1 document (S0.7)', async () => {
    const document = JSON.stringify((await call('/openapi.json')).json);
    const program = `
      import { readFileSync } from 'node:fs';
      import { Validator } from '@seriousme/openapi-schema-validator';
      const { valid, errors } = await new Validator().validate(JSON.parse(readFileSync(0, 'utf8')));
      console.log(JSON.stringify({ valid, errors }));`;
    const verdict = execFileSync(process.execPath, ['--input-type=module', '-e', program], { input: document, encoding: 'utf8' });
    expect(JSON.parse(verdict)).toMatchObject({ valid: true });
  });

  it('describes the answers as they are', async () => {
    const { paths } = (await call('/openapi.json')).json as { paths: Record<string, Record<string, Operation>> };
    const { headers, json: placed } = await post(anOrder({ items: [{ sku: 'MOUSE', quantity: 10_000 }] }));
    await eventually(async () => (await call(headers.get('location')!)).json.status === 'CANCELLED');
    const answers: [string, string, number, unknown][] = [
      ['/create_order', 'post', 201, placed],
      ['/orders/{id}', 'get', 200, (await call(headers.get('location')!)).json],
      ['/orders/{id}', 'patch', 200, (await patch(await confirmed(1), { items: [{ sku: 'CABLE', quantity: 2 }] })).json],
      ['/products', 'get', 200, (await call('/products')).json],
    ];
    for (const [path, method, status, json] of answers) {
      const { schema } = paths[path]![method]!.responses[status]!.content['application/json'];
      expect(z.fromJSONSchema(schema).safeParse(json)).toMatchObject({ success: true });
    }
  });

  it('describes what is there', async () => {
    const { paths } = (await call('/openapi.json')).json as { paths: Record<string, Record<string, Operation>> };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { parameters, responses }]) => [
        `${method} ${path}`,
        parameters.map(({ name, in: place }) => `${name} in ${place}`).join(', '),
        Object.keys(responses).join(' '),
      ]),
    );
    expect(operations).toEqual([
      ['post /create_order', 'Idempotency-Key in header', '200 201 400 401 403 413 415 422 429 500 503'],
      ['get /orders/{id}', 'id in path', '200 400 401 403 404 429 500 503'],
      ['patch /orders/{id}', 'id in path', '200 202 400 401 403 404 409 413 415 422 429 500 503'],
      ['get /products', 'first in query, after in query', '200 400 401 422 429 500 503'],
    ]);
  });

  interface Operation {
    parameters: { name: string; in: string }[];
    responses: Record<string, { content: Record<'application/json', { schema: Parameters<typeof z.fromJSONSchema>[0] }> }>;
  }
});
