import { gzipSync } from 'node:zlib';

import { below, pick, type Random } from '../random';
import { type Operation } from './operations';
import { plainHeaders, type RequestBody } from './request';
import { hostileNumbers, someBytes } from './values';

/** A request that somebody made to do harm. */
export function hostileRequest(operation: Operation, random: Random): RequestBody {
  const [name, make] = pick(hostile, random);
  const made = make(random, operation);
  const request = typeof made === 'string' ? { body: JSON.stringify({ query: made }) } : made;
  return { name, headers: plainHeaders, body: '', ...request };
}

type Maker = (random: Random, operation: Operation) => string | Partial<RequestBody>;

const aSize = (random: Random, max: number) => 1 + below(max, random);
const repeated = (count: number, make: (index: number) => string) => Array.from({ length: count }, (_, i) => make(i)).join(' ');
const post = (more: string, length: number | string) =>
  `POST /graphql HTTP/1.1\r\nhost: fuzz\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n${more}\r\n`;
const chunked = `POST /graphql HTTP/1.1\r\nhost: fuzz\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
const order = (more: string) =>
  `mutation { createOrder(input: { customerId: "fuzz", items: [{ productId: 1, quantity: 1 }] ${more} }) { __typename } }`;
const creation = 'mutation ($inputs: [CreateOrderInput!]!)';

/** Documents as texts; whatever needs more of HTTP than a document as a request. */
const documents: [string, Maker][] = [
  ['deep selections', (random) => nested(aSize(random, 500), 'orders { nodes ', '{ __typename }')],
  ['deep inline fragments', (random) => `{ ${nested(aSize(random, 500), '... on Query ', '{ __typename }')} }`],
  ['deep lists', (random) => `{ orders(first: ${'['.repeat(aSize(random, 20_000))}) { __typename } }`],
  ['deep objects', (random) => order(`idempotencyKey: ${'{a:'.repeat(aSize(random, 5_000))}1`)],
  [
    'introspection of types of types',
    (random) => `{ __schema { types { ${nested(aSize(random, 12), 'fields { type ', '{ name }')} } } }`,
  ],
  ['aliases of nothing', (random) => `{ ${repeated(aSize(random, 5_000), (i) => `a${i}: __typename`)} }`],
  ['aliases of lists', (random) => `{ ${repeated(aSize(random, 500), (i) => `a${i}: orders(first: 100) { nodes { id } }`)} }`],
  ['aliases of single rows', (random) => `{ ${repeated(aSize(random, 600), (i) => `a${i}: product(id: ${i}) { id }`)} }`],
  [
    'lists in lists',
    (random) =>
      `{ ${repeated(aSize(random, 200), (i) => `a${i}: products(first: 100) { nodes { movements(first: 100) { nodes { id at reason orderId } } } }`)} }`,
  ],
  [
    'lists in one list',
    (random) =>
      `{ products(first: 100) { nodes { ${repeated(aSize(random, 400), (i) => `a${i}: movements(first: 100) { nodes { id } }`)} } } }`,
  ],
  [
    'timelines of all orders',
    (random) =>
      `{ ${repeated(aSize(random, 200), (i) => `a${i}: orders(first: 100) { nodes { timeline { at } reason { lines { code } } } }`)} }`,
  ],
  [
    'aliases of mutations',
    (random) => `mutation { ${repeated(aSize(random, 500), (i) => `a${i}: cancelOrder(orderId: "none") { __typename }`)} }`,
  ],
  [
    'many creations',
    (random) =>
      `mutation { ${repeated(aSize(random, 100), (i) => `a${i}: createOrder(input: { customerId: "fuzz", items: [{ productId: 1, quantity: 1 }] }) { __typename }`)} }`,
  ],
  ['the same field again and again', (random) => `{ ${'orders { nodes { id } } '.repeat(aSize(random, 800))} }`],
  ['conflicting fields', (random) => `{ ${repeated(aSize(random, 800), (i) => `a: orders(first: ${i}) { nodes { id } }`)} }`],
  ['unknown fields', (random) => `{ ${repeated(aSize(random, 5_000), (i) => `no${i}`)} }`],
  ['directives', (random) => `{ __typename ${'@include(if: true) '.repeat(aSize(random, 1_500))} }`],
  ['unknown directives', (random) => `{ __typename ${repeated(aSize(random, 3_000), (i) => `@no${i}`)} }`],
  ['variables', (random) => `query (${repeated(aSize(random, 2_000), (i) => `$v${i}: Int = ${i}`)}) { __typename }`],
  ['operations', (random) => repeated(aSize(random, 1_000), (i) => `query q${i} { __typename }`)],
  ['a fragment cycle', (random) => cycle(aSize(random, 300))],
  ['fragments that fan out', (random) => fan(aSize(random, 300))],
  ['fragments crosswise', (random) => crosswise(aSize(random, 100))],
  ['fragments of the same fields', (random) => pairs(aSize(random, 150))],
  ['a long name', (random) => `{ ${'a'.repeat(aSize(random, 90_000))} }`],
  ['a long text', (random) => order(`idempotencyKey: "${'\\u0041'.repeat(aSize(random, 15_000))}"`)],
  ['a block of lines', (random) => order(`idempotencyKey: """${'\n '.repeat(aSize(random, 40_000))}"""`)],
  ['comments', (random) => `${'#\n'.repeat(aSize(random, 45_000))}{ __typename }`],
  ['commas', (random) => `${','.repeat(aSize(random, 90_000))}{ __typename }`],
  ['NUL and half a pair', () => order('idempotencyKey: "\\u0000\\uD800"')],
  [
    'a number',
    (random) =>
      `{ orders(first: ${pick(hostileNumbers, random)}) { nodes { id } } product(id: ${pick(hostileNumbers, random)}) { id } }`,
  ],
  ['names of Object', (random) => `{ ${pick(['__proto__', 'constructor', 'toString', 'hasOwnProperty'], random)} }`],
  ['a subscription', () => 'subscription { orders { id } }'],
  ['an argument of Object', () => '{ orders(__proto__: 1, constructor: 2) { nodes { toString } } }'],
];

const bodies: [string, Maker][] = [
  [
    'a number in a variable',
    (random) => ({
      body: `{"query":"query($n: Int) { product(id: $n) { id } }","variables":{"n":${pick(hostileNumbers, random)}}}`,
    }),
  ],
  ['a batch', (random, operation) => ({ body: JSON.stringify(Array.from({ length: aSize(random, 100) }, () => operation)) })],
  [
    'a prototype',
    (_random, { query }) => ({
      body: `{"__proto__":{"query":1},"constructor":{"prototype":{}},"query":${JSON.stringify(query)},"variables":{"__proto__":{"a":1}}}`,
    }),
  ],
  [
    'a prototype in an input',
    () => ({
      body: `{"query":"${creation} { createOrders(inputs: $inputs) { __typename } }","variables":{"inputs":[{"customerId":"fuzz","items":[],"__proto__":{"a":1},"constructor":1}]}}`,
    }),
  ],
  ['deep JSON', (random) => ({ body: '['.repeat(aSize(random, 90_000)) })],
  ['deep JSON that closes', (random) => deepVariable(aSize(random, 40_000))],
  [
    'many keys',
    (random) => ({
      body: `{"query":"{ __typename }","variables":{${repeated(aSize(random, 8_000), (i) => `"k${i}":1,`)}"z":1}}`,
    }),
  ],
  ['the same orders under many names', (random) => manyOrders(aSize(random, 60), aSize(random, 20))],
  [
    'half a pair in a variable',
    () => ({ body: '{"query":"query($s: String) { product(sku: $s) { id } }","variables":{"s":"\\ud800\\u0000"}}' }),
  ],
  ['bytes', (random) => ({ body: someBytes(aSize(random, 5_000), random) })],
  ['a byte order mark', () => ({ body: '\ufeff{"query":"{ __typename }"}' })],
  ['a body around the limit', (random) => ({ body: padded(100 * 1024 - 5 + below(10, random)) })],
  ['a body over the limit', (random) => ({ body: tenMiB.subarray(0, 100 * 1024 + 1 + below(1024 * 1024, random)) })],
  ['a persisted query', () => ({ body: '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}' })],
  [
    'no query',
    (random) => ({
      body: pick(
        ['{}', '[]', 'null', '1', '""', 'true', '{"query":null}', '{"query":[]}', '{"query":""}', '{"query":" "}'],
        random,
      ),
    }),
  ],
  [
    'another content type',
    (random) => ({
      headers: {
        'content-type': pick(
          [
            'text/plain',
            'application/graphql',
            'multipart/form-data; boundary=x',
            'application/json; charset=utf-16',
            'application/x-www-form-urlencoded',
            ',',
          ],
          random,
        ),
      },
      body: '{"query":"{ __typename }"}',
    }),
  ],
  [
    'a zip bomb',
    (random) => ({
      headers: { ...plainHeaders, 'content-encoding': pick(['gzip', 'deflate', 'br', 'gzip, gzip'], random) },
      body: bomb,
    }),
  ],
];

/** Few, because each of them costs a connection and most of them time. */
const rare: [string, Maker][] = [
  ['10 MiB', () => ({ body: tenMiB })],
  ['a broken chunk', () => ({ raw: { pieces: [chunked, 'zz\r\n{"query"\r\n0\r\n\r\n'], pauseMs: 0, hangUp: false } })],
  ['a huge chunk', () => ({ raw: { pieces: [chunked, 'ffffffffffffffff\r\n{'], pauseMs: 0, hangUp: false } })],
  ['an endless chunk extension', () => ({ raw: { pieces: [chunked, `1;${'a'.repeat(20_000)}`], pauseMs: 0, hangUp: false } })],
  [
    'a body cut short',
    (random) => ({ raw: { pieces: [post('', 500), '{"query":"{'.slice(0, below(11, random))], pauseMs: 20, hangUp: true } }),
  ],
  [
    'a length that lies',
    (random) => ({
      raw: {
        pieces: [post('', pick(['-1', '1e3', '99999999999999999999', '5, 6', 'abc'], random)), '{}'],
        pauseMs: 0,
        hangUp: false,
      },
    }),
  ],
  [
    'two lengths',
    () => ({
      raw: {
        pieces: [post('transfer-encoding: chunked\r\n', 5), '0\r\n\r\nGET /health HTTP/1.1\r\n\r\n'],
        pauseMs: 0,
        hangUp: false,
      },
    }),
  ],
  [
    'many headers',
    (random) => ({
      raw: {
        pieces: [post(Array.from({ length: aSize(random, 3_000) }, (_, i) => `x-${i}: 1\r\n`).join(''), 2), '{}'],
        pauseMs: 0,
        hangUp: false,
      },
    }),
  ],
  [
    'a long header',
    (random) => ({
      raw: { pieces: [post(`x-long: ${'x'.repeat(aSize(random, 40_000))}\r\n`, 2), '{}'], pauseMs: 0, hangUp: false },
    }),
  ],
  ['no HTTP', (random) => ({ raw: { pieces: [someBytes(200, random)], pauseMs: 0, hangUp: false } })],
  [
    'another method',
    (random) => ({
      raw: {
        pieces: [
          `${pick(['DELETE', 'TRACE', 'PATCH', 'PROPFIND', 'FUZZ'], random)} /graphql HTTP/1.1\r\nhost: fuzz\r\nconnection: close\r\n\r\n`,
        ],
        pauseMs: 0,
        hangUp: false,
      },
    }),
  ],
  [
    'a hostile address',
    (random) => ({
      raw: {
        pieces: [
          `GET ${pick(['/graphql?query=%', '/graphql?query=%7B__typename%7D&variables={', '/graphql?extensions=[[', '//graphql', '/%2e%2e/', '/graphql/../health', 'http://other/graphql', '*', '/__proto__', '/constructor'], random)} HTTP/1.1\r\nhost: fuzz\r\napollo-require-preflight: 1\r\nconnection: close\r\n\r\n`,
        ],
        pauseMs: 0,
        hangUp: false,
      },
    }),
  ],
  [
    'a slow body',
    (random) => ({
      raw: {
        pieces: [post('connection: close\r\n', 26), ...'{"query":"{ __typename }"}'.match(/.{1,4}/g)!],
        pauseMs: 50 + below(100, random),
        hangUp: false,
      },
    }),
  ],
  [
    'an expectation',
    () => ({
      raw: {
        pieces: [post('expect: 100-continue\r\nconnection: close\r\n', 26), '{"query":"{ __typename }"}'],
        pauseMs: 20,
        hangUp: false,
      },
    }),
  ],
  [
    'an upgrade',
    () => ({
      raw: {
        pieces: [
          'GET /graphql HTTP/1.1\r\nhost: fuzz\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
        ],
        pauseMs: 0,
        hangUp: false,
      },
    }),
  ],
];

/** Documents come six times, bodies five times as often as what is rare. */
const hostile = [
  ...Array.from({ length: 6 }, () => documents).flat(),
  ...Array.from({ length: 5 }, () => bodies).flat(),
  ...rare,
];

function nested(levels: number, step: string, last: string): string {
  const [opening, closing] = step.includes('{') ? [`{ ${step}`, ' } }'] : [`{ ${step}`, ' }'];
  return opening.repeat(levels) + last + closing.repeat(levels);
}

function cycle(length: number): string {
  return `{ ...f0 } ${repeated(length, (i) => `fragment f${i} on Query { ...f${(i + 1) % length} }`)}`;
}

/** Two of each: the paths through them double at every step. */
function fan(length: number): string {
  const steps = repeated(length, (i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`);
  return `{ ...f0 } ${steps} fragment f${length} on Query { __typename }`;
}

function crosswise(length: number): string {
  const steps = repeated(length, (i) =>
    ['f', 'g'].map((name) => `fragment ${name}${i} on Order { items { productId } ...f${i + 1} ...g${i + 1} }`).join(' '),
  );
  return `{ orders { nodes { ...f0 ...g0 } } } ${steps} fragment f${length} on Order { id } fragment g${length} on Order { id }`;
}

function pairs(length: number): string {
  const spreads = repeated(length, (i) => `...f${i}`);
  return `{ orders { nodes { ${spreads} } } } ${repeated(length, (i) => `fragment f${i} on Order { items { productId } timeline { at } }`)}`;
}

function deepVariable(levels: number): Partial<RequestBody> {
  const value = '['.repeat(levels) + ']'.repeat(levels);
  return { body: `{"query":"query($n: Int) { orders(first: $n) { __typename } }","variables":{"n":${value}}}` };
}

/** One list of orders, placed once per alias: the body stays small, the work does not. */
function manyOrders(aliases: number, orders: number): Partial<RequestBody> {
  const query = `${creation} { ${repeated(aliases, (i) => `a${i}: createOrders(inputs: $inputs) { __typename }`)} }`;
  const inputs = Array.from({ length: orders }, () => ({ customerId: 'fuzz', items: [{ productId: 1, quantity: 1 }] }));
  return { body: JSON.stringify({ query, variables: { inputs } }) };
}

function padded(length: number): string {
  const frame = '{"query":"{ __typename }","padding":""}';
  return frame.replace('""', `"${'x'.repeat(Math.max(0, length - frame.length))}"`);
}

/** Made once: an attacker's own work is not what a neighbour on the same machine is to feel. */
const tenMiB = Buffer.from(padded(10 * 1024 * 1024));
const bomb = gzipSync(Buffer.alloc(1024 * 1024, 0x20));
