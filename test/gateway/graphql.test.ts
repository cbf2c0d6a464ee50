import { Unavailable } from '../../src/observability';
import { oneOfThree } from '../support/eventually';
import { errorOf, startGateway } from './startGateway';

describe('GraphQL over HTTP', () => {
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  beforeAll(async () => (gateway = await startGateway()));
  afterAll(() => gateway.stop());

  const order = (quantity: string, more = '') =>
    `mutation { createOrder(input: { customerId: "C", items: [{ productId: 1, quantity: ${quantity} }] ${more} }) { __typename } }`;
  const orderWith = (input: unknown) => ({
    query: 'mutation Place($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }',
    variables: { input },
  });

  describe('answers', () => {
    it('a mutation', async () => {
      const answer = await gateway.post({ query: order('2') });
      expect(answer.status).toBe(200);
      expect(await answer.json()).toEqual({ data: { createOrder: { __typename: 'Order' } } });
    });

    it('a query by GET that passed a preflight', async () => {
      const answer = await fetch(`${gateway.url}/graphql?query={__typename}`, { headers: { 'apollo-require-preflight': '1' } });
      expect(await answer.json()).toEqual({ data: { __typename: 'Query' } });
    });

    it("with the caller's request id, correlation id and idempotency key in the context", async () => {
      const ids = { 'x-request-id': 'req-7', 'x-correlation-id': 'corr-7', 'idempotency-key': 'key-7' };
      const answer = await gateway.post({ query: '{ facts { requestId correlationId idempotencyKey } }' }, ids);
      expect(answer.headers.get('x-request-id')).toBe('req-7');
      expect(gateway.lines.find((line) => line['msg'] === 'resolving')).toMatchObject({
        requestId: 'req-7',
        correlationId: 'corr-7',
      });
      expect(await answer.json()).toEqual({
        data: { facts: { requestId: 'req-7', correlationId: 'corr-7', idempotencyKey: 'key-7' } },
      });
    });

    it('with a request id of its own instead of one that is unfit to be written', async () => {
      for (const unfit of ['x'.repeat(129), 'a"b', 'a b']) {
        const answer = await gateway.post({ query: '{ facts { requestId } }' }, { 'x-request-id': unfit });
        expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      }
    });
  });

  describe('names the field of a value that does not fit', () => {
    const items = (item: object) => ({ customerId: 'C', items: [{ productId: 1, quantity: 1 }, item] });
    it.each([
      ['fractional, in a variable', orderWith(items({ productId: 1, quantity: 1.5 })), 'input.items[1].quantity'],
      ['2^31, in a variable', orderWith(items({ productId: 1, quantity: 2 ** 31 })), 'input.items[1].quantity'],
      ['missing, in a variable', orderWith(items({ productId: 1 })), 'input.items[1].quantity'],
      ['unknown, in a variable', orderWith({ customerId: 'C', items: [], colour: 'red' }), 'input.colour'],
      [
        '__proto__, in a variable',
        '{"query":"mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }","variables":{"input":{"customerId":"C","items":[],"__proto__":{"a":1}}}}',
        'input.__proto__',
      ],
      ['misleading, in a variable', orderWith({ customerId: ['" at "x.y"; '], items: [] }), 'input.customerId'],
      ['absent altogether', orderWith(undefined), 'input'],
      ['fractional, written in the document', { query: order('1.5') }, 'input.items[0].quantity'],
      ['2^31, written in the document', { query: order('2147483648') }, 'input.items[0].quantity'],
      ['unknown, written in the document', { query: order('1', 'colour: "red"') }, 'input.colour'],
      [
        'missing, written in the document',
        { query: 'mutation { createOrder(input: { items: [] }) { __typename } }' },
        'input.customerId',
      ],
    ])('%s', async (_case, body, field) => {
      const answer = await gateway.post(body);
      expect(answer.status).toBe(400);
      const { message, extensions } = await errorOf(answer);
      expect(extensions).toEqual({ code: 'BAD_USER_INPUT', field, requestId: answer.headers.get('x-request-id') });
      expect(message).toContain(field);
    });
  });

  describe('refuses', () => {
    it.each([
      ['malformed JSON', '{"query":', {}, 400, 'BAD_USER_INPUT'],
      ['no JSON at all', '', {}, 400, 'BAD_USER_INPUT'],
      ['JSON that is no request', '[]', {}, 400, 'BAD_USER_INPUT'],
      ['another content type', '{}', { 'content-type': 'text/plain' }, 415, 'BAD_USER_INPUT'],
      ['another charset', '{}', { 'content-type': 'application/json; charset=utf-16' }, 415, 'BAD_USER_INPUT'],
      ['a compressed body', '{}', { 'content-encoding': 'gzip' }, 415, 'BAD_USER_INPUT'],
      ['batches', '[{"query":"{__typename}"},{"query":"{__typename}"}]', {}, 400, 'BAD_USER_INPUT'],
      [
        'an idempotency key that is too long',
        '{"query":"{__typename}"}',
        { 'idempotency-key': 'k'.repeat(201) },
        400,
        'BAD_USER_INPUT',
      ],
      ['a syntax error', '{"query":"{"}', {}, 400, 'GRAPHQL_PARSE_FAILED'],
      ['an unknown field', '{"query":"{ nothing }"}', {}, 400, 'GRAPHQL_VALIDATION_FAILED'],
      [
        'an operation that is not in the document',
        '{"query":"query A { __typename }","operationName":"B"}',
        {},
        400,
        'BAD_USER_INPUT',
      ],
    ])('%s', async (_case, body, headers, status, code) => {
      const answer = await gateway.post(body, headers);
      expect(answer.status).toBe(status);
      expect((await errorOf(answer)).extensions).toMatchObject({ code, requestId: answer.headers.get('x-request-id') });
    });

    it('a GET without preflight, as another site could send it', async () => {
      const answer = await fetch(`${gateway.url}/graphql?query={__typename}`);
      expect(answer.status).toBe(400);
      expect((await errorOf(answer)).extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
    });

    it.each(['HEAD', 'OPTIONS', 'PUT', 'DELETE'])('the method %s', async (method) => {
      const answer = await fetch(`${gateway.url}/graphql`, { method });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, POST']);
      const text = await answer.text();
      if (method !== 'HEAD') expect(text).toContain(`not by ${method}`);
    });

    it.each([
      ['of the document', { query: '{ order }' }, 'Cannot query field'],
      [
        'of a variable',
        {
          query: 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }',
          variables: { input: { customerId: 'CUST-1', items: [], customerld: 'CUST-1' } },
        },
        'is not defined by type',
      ],
    ])('suggestions in production, which would give the schema away: %s', async (_case, query, fault) => {
      expect((await errorOf(await gateway.post(query))).message).toContain('Did you mean');
      const production = await startGateway({ production: true });
      const { message } = await errorOf(await production.post(query));
      expect(message).toContain(fault);
      expect(message).not.toContain('Did you mean');
      await production.stop();
    });

    it('introspection in production', async () => {
      const production = await startGateway({ production: true });
      const answer = await production.post({ query: '{ __schema { types { name } } }' });
      expect(answer.status).toBe(400);
      expect((await errorOf(answer)).message).toBe('Introspection is off here: see schema.graphql.');
      await production.stop();
    });
  });

  describe('a body over the limit', () => {
    it.each([
      ['10 MiB', 'x'.repeat(10 * 1024 * 1024)],
      ['a little too much', 'x'.repeat(100 * 1024 + 1)],
    ])('is answered with the limit: %s', async (_case, body) => {
      const answer = await gateway.post(body);
      expect(answer.status).toBe(413);
      expect((await errorOf(answer)).extensions).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', limitBytes: 102_400 });
    });

    it('is answered too when its length was not told', async () => {
      const body = new Blob([new Uint8Array(3 * 1024 * 1024)]).stream();
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${gateway.url}/graphql`, { method: 'POST', headers, body, duplex: 'half' });
      expect(answer.status).toBe(413);
    });
  });

  describe('masks', () => {
    it('a fault, and logs it whole under the same request id', async () => {
      const answer = await gateway.post({ query: '{ fault }' }, { 'x-request-id': 'req-fault' });
      const text = await answer.text();
      expect(text).not.toMatch(/secret_table|stack|at /);
      expect(JSON.parse(text)).toMatchObject({
        data: { fault: null },
        errors: [
          {
            message: 'Something went wrong on our side. Quote request id req-fault when you report it.',
            extensions: { code: 'INTERNAL', requestId: 'req-fault' },
          },
        ],
      });
      const line = gateway.lines.find((logged) => logged['requestId'] === 'req-fault' && logged['level'] === 'error');
      expect(JSON.stringify(line)).toContain('secret_table');
    });

    it('no refusal that has a code of the list', async () => {
      const answer = await gateway.post({ query: '{ conflict }' });
      expect(await errorOf(answer)).toMatchObject({ message: 'Other payload.', extensions: { code: 'IDEMPOTENCY_CONFLICT' } });
    });
  });

  it('says the same while tokens cannot be checked, and lets nobody keep an answer', async () => {
    const down = new Unavailable('Tokens cannot be checked right now.', { retryAfterSeconds: 5 });
    const unsure = await startGateway({ identity: { callerOf: () => Promise.reject(down) } });
    const answer = await unsure.post({ query: '{ __typename }' }, { authorization: 'Bearer x' });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await errorOf(answer)).toMatchObject({ message: down.message, extensions: { code: 'SERVICE_UNAVAILABLE' } });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    await unsure.stop();
  });

  it('says 503 and when to come back while something is down', async () => {
    const answer = await gateway.post({ query: '{ down }' });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '3']);
    expect((await errorOf(answer)).extensions).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryAfterSeconds: 3 });
  });

  describe('survives', () => {
    const deep = (levels: number) => '{self'.repeat(levels) + '{__typename}' + '}'.repeat(levels);
    it.each([
      ['selections 500 deep', { query: deep(500) }],
      ['selections 7,000 deep', { query: deep(7_000) }],
      ['lists 40,000 deep in the document', { query: `{ orders(first: ${'['.repeat(40_000)}) { __typename } }` }],
      [
        'lists 40,000 deep in a variable',
        `{"query":"query($first: Int) { orders(first: $first) { __typename } }","variables":{"first":${'['.repeat(40_000)}${']'.repeat(40_000)}}}`,
      ],
      ['JSON 90,000 deep', '['.repeat(90_000)],
      ['4,900 aliases', { query: `{${Array.from({ length: 4_900 }, (_, n) => `a${n}:down`).join(' ')}}` }],
      ['the same field 14,000 times', { query: `{${'down '.repeat(14_000)}}` }],
      ['a fragment that contains itself', { query: '{ ...f } fragment f on Query { ...f }' }],
      ['NUL and lone surrogates', { query: order('1', 'idempotencyKey: "\\u0000\\uD800"') }],
    ])('%s', async (_case, body) => {
      await oneOfThree(async () => {
        const startedAtMs = performance.now();
        const answer = await gateway.post(body);
        expect(await answer.text()).not.toMatch(/node_modules|\.js:/);
        expect(performance.now() - startedAtMs).toBeLessThan(5_000);
      });
      expect((await gateway.post({ query: '{ __typename }' })).status).toBe(200);
    });
  });
});
