import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { buildSchema, getIntrospectionQuery, Kind, parse } from 'graphql';

import { configFields, readConfig } from '../../src/config';
import {
  costOf,
  DOCUMENT_TOKENS_MAX,
  ENTRY_COST,
  FAULTS_TOLD_MAX,
  LOOKUP_COST,
  MUTATION_COST,
  operationLimits,
} from '../../src/gateway/operationCost';
import { shapeFault } from '../../src/gateway/operationShape';
import { RateLimits } from '../../src/gateway/rateLimits';
import { ReadingTurns } from '../../src/gateway/readingTurns';
import { createLogger } from '../../src/observability/logger';
import { oneOfThree } from '../support/eventually';
import { errorOf, startGateway } from './startGateway';

const schema = buildSchema(readFileSync(join(__dirname, '..', '..', 'schema.graphql'), 'utf8'));

function cost(query: string, variables: Record<string, unknown> = {}): number {
  const document = parse(query);
  const operation = document.definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION)!;
  return costOf({ schema, document, operation, variables });
}

const limit = operationLimits.costMax;
const aliases = (count: number, field: string) => Array.from({ length: count }, (_, index) => `a${index}: ${field}`).join(' ');
const orders = (count: number) => Array.from({ length: count }, () => ({}));

describe('what clients need stays far below the limit', () => {
  it.each<[string, string, Record<string, unknown>?]>([
    ['introspection', getIntrospectionQuery()],
    ['an order', 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }'],
    [
      'a hundred orders in one call',
      'mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { ... on Order { id status } } }',
      { inputs: orders(100) },
    ],
    ['six mutations', `mutation { ${aliases(6, 'cancelOrder(orderId: "1") { __typename }')} }`],
    [
      'a full page of orders with lines and timelines',
      '{ orders(first: 100) { nodes { id status items { productId quantity unitPrice { decimal } } timeline { at event detail } reason { code lines { code } } } } }',
    ],
    ['a hundred lookups', `{ ${aliases(100, 'product(id: 1) { id sku available }')} }`],
  ])('%s', (_case, query, variables = {}) => expect(cost(query, variables)).toBeLessThan(limit));
});

/** Each of these held the gateway up for seconds, or never came to an end; found by fuzzing. */
describe('what asks for far too much is above it', () => {
  it.each<[string, string, Record<string, unknown>?]>([
    ['five hundred cancellations', `mutation { ${aliases(500, 'cancelOrder(orderId: "1") { __typename }')} }`],
    [
      'a hundred orders under sixty names',
      `mutation ($inputs: [CreateOrderInput!]!) { ${aliases(60, 'createOrders(inputs: $inputs) { __typename }')} }`,
      { inputs: orders(100) },
    ],
    ['lists in lists', '{ products(first: 100) { nodes { movements(first: 100) { nodes { id at reason } } } } }'],
    [
      'lists in lists by a variable',
      'query ($n: Int! = 100) { products(first: $n) { nodes { movements(first: $n) { nodes { id at } } } } }',
    ],
    ['many lists in one', `{ products(first: 100) { nodes { ${aliases(9, 'movements(first: 100) { nodes { id } }')} } } }`],
    ['a page beyond every page', `{ ${aliases(300, 'orders(first: 2147483647) { nodes { id } }')} }`],
    [
      'fragments that double at every step',
      `{ ...f0 } ${Array.from({ length: 400 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f400 on Query { __typename }`,
    ],
  ])('%s', (_case, query, variables = {}) => expect(cost(query, variables)).toBeGreaterThan(limit));
});

it('limits and costs are what the settings say of them', () => {
  const { GRAPHQL_COST_MAX: costMax, GRAPHQL_DEPTH_MAX: depthMax } = readConfig({});
  const { GRAPHQL_ALIASES_MAX: aliasesMax, GRAPHQL_REPEATS_MAX: repeatsMax } = readConfig({});
  expect({ costMax, depthMax, aliasesMax, repeatsMax }).toEqual(operationLimits);
  expect(readConfig({}).GRAPHQL_TOKENS_MAX).toBe(DOCUMENT_TOKENS_MAX);
  const { meaning } = configFields().find(({ name }) => name === 'GRAPHQL_COST_MAX')!;
  for (const cost of [LOOKUP_COST, ENTRY_COST, MUTATION_COST]) expect(meaning).toContain(` ${cost.toLocaleString('en')}`);
});

describe('the shape of a document', () => {
  const faultOf = (query: string) => shapeFault(parse(query), operationLimits);
  const deep = (levels: number) => `{ ${'self { '.repeat(levels - 1)} __typename ${'}'.repeat(levels)}`;
  it.each([
    ['what tools ask a schema about itself', getIntrospectionQuery()],
    ['thirty aliases', `{ ${aliases(30, '__typename')} }`],
    ['twenty fields inside one another', deep(20)],
    ['the same field sixty times', `{ ${'__typename '.repeat(60)} }`],
    ['fragments in a circle, which validation refuses', '{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }'],
    ['a fragment that is used twice', '{ ...f self { ...f } } fragment f on Query { self { __typename } }'],
  ])('may be %s', (_case, query) => expect(faultOf(query)).toBeUndefined());

  it.each([
    ['thirty-one aliases', `{ ${aliases(31, '__typename')} }`, '31 aliases'],
    ['twenty-one fields inside one another', deep(21), '21 fields deep'],
    ['the same field sixty-one times', `{ ${'__typename '.repeat(61)} }`, '__typename 61 times'],
    ['sixty-one spreads of fragments', `{ ${'...f '.repeat(61)} } fragment f on Query { __typename }`, '61 times'],
    ['the same answer sixty-one times', `{ self { a: __typename } ${'a '.repeat(60)} }`, 'for a 61 times'],
    [
      'as many by way of fragments',
      `{ ...f0 } ${Array.from({ length: 21 }, (_, i) => `fragment f${i} on Query { self { ...f${i + 1} } }`).join(' ')} fragment f21 on Query { __typename }`,
      '22 fields deep',
    ],
    ['in an operation that is not asked for', `query A { __typename } query B ${deep(300)}`, '300 fields deep'],
  ])('may not be %s', (_case, query, message) => expect(faultOf(query)).toContain(message));
});

/** Does nothing else for so long, as reading a large document does. */
function holdUp(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('over HTTP', () => {
  let gateway: Awaited<ReturnType<typeof startGateway>>;
  beforeAll(async () => (gateway = await startGateway()));
  afterAll(() => gateway.stop());

  it('an operation over the limit is refused before anything of it is done', async () => {
    const answer = await gateway.post({
      query: `mutation { ${aliases(20, 'createOrder(input: { customerId: "C", items: [] }) { __typename }')} }`,
    });
    expect(answer.status).toBe(400);
    const { message, extensions } = await errorOf(answer);
    expect(extensions).toMatchObject({ code: 'BAD_USER_INPUT', requestId: answer.headers.get('x-request-id') });
    expect(message).toContain('too much at once');
  });

  it.each([
    ['aliases', `{ ${aliases(31, '__typename')} }`, '31 aliases'],
    ['levels', `{ ${'self { '.repeat(30)} __typename ${'}'.repeat(31)}`, '31 fields deep'],
    ['repeats', `{ ${'self { __typename } '.repeat(61)} }`, 'self 61 times'],
    ['tokens', `{ ${'__typename '.repeat(DOCUMENT_TOKENS_MAX)} }`, `${DOCUMENT_TOKENS_MAX} tokens`],
  ])('too many %s are refused, each time', async (_case, query, message) => {
    for (const body of [{ query }, { query }, { query, operationName: 'Named' }]) {
      const answer = await gateway.post(body);
      expect(answer.status).toBe(400);
      expect(await errorOf(answer)).toMatchObject({
        message: expect.stringContaining(message) as string,
        extensions: { code: expect.not.stringMatching('VALIDATION') as string },
      });
    }
  });

  /** The rest after a reading is a tenth of a second at most, and both requests must have come by then. */
  const refuseBehindAThousand = async () => {
    const turns = new ReadingTurns();
    const someone = { address: '198.51.100.1' };
    // Were it counted as a refused document, the last request would be one too many.
    const rateLimits = new RateLimits({
      customerPerMinute: 0,
      addressPerMinute: 12,
      log: createLogger({ name: 'test', level: 'silent' }),
    });
    const crowded = await startGateway({ turns, rateLimits, addressOf: () => someone.address });
    try {
      const known = { query: '{ known: __typename }' };
      await crowded.post(known);
      await turns.take(someone).then(() => holdUp(100));
      const queue = Array.from({ length: 1_000 }, () => turns.take(someone));
      const [fresh, again] = await Promise.all([crowded.post({ query: '{ fresh: __typename }' }), crowded.post(known)]);
      await Promise.all(queue);
      expect([fresh.status, fresh.headers.get('retry-after'), again.status]).toEqual([429, '1', 200]);
      expect((await errorOf(fresh)).extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 1 });
      expect((await crowded.post({ query: '{ fresh: __typename }' })).status).toBe(200);
    } finally {
      await crowded.stop();
    }
  };

  it('whoever has a thousand new documents waiting is told to come back, and a document that was read before is not new', () =>
    oneOfThree(refuseBehindAThousand));

  it('a document of many faults is told of twenty', async () => {
    const query = `{ ${Array.from({ length: 300 }, (_, index) => `no${index}`).join(' ')} }`;
    const { errors } = (await (await gateway.post({ query })).json()) as { errors: { message: string }[] };
    expect(errors).toHaveLength(FAULTS_TOLD_MAX + 1);
    expect(errors.at(-1)!.message).toContain('Too many validation errors');
  });

  it.each([101, 40_000])('a variable %i lists deep is refused, and is no fault of ours', async (levels) => {
    const value = '['.repeat(levels) + ']'.repeat(levels);
    const answer = await gateway.post(
      `{"query":"query ($first: Int) { orders(first: $first) { __typename } }","variables":{"first":${value}}}`,
    );
    expect(answer.status).toBe(400);
    expect(await errorOf(answer)).toMatchObject({
      message: 'The JSON is nested more than 100 levels deep.',
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  it('brackets within a text are no levels', async () => {
    const query = `{ __typename } # ${'[{'.repeat(500)} \\" ${'['.repeat(500)}`;
    expect((await gateway.post({ query })).status).toBe(200);
  });
});
