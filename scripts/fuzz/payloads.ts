import { type Options } from 'amqplib';

import { queues } from '../../src/contracts';
import { below, pick, seededRandom, type Random } from '../random';
import { hostileOptions } from './envelopes';
import { anyJson, chance, hostileNumbers, someBytes, wounded, type KnownValues } from './values';

/** Every queue whose consumer changes something. */
export const workQueues = [
  queues.orderCreated,
  queues.orderCancelled,
  queues.orderFulfilled,
  queues.stockReplies,
  queues.newOrders,
] as const;
export type WorkQueue = (typeof workQueues)[number];

/** One message for a queue, and what must become of it. */
export interface Payload {
  number: number;
  /** In the header `x-fuzz`: seed and number, which tell its dead letter from those of other runs. */
  mark: string;
  queue: WorkQueue;
  name: string;
  /** Known by how it was made, not by asking the product; `either` where chance made it. */
  fate: 'processed' | 'dead' | 'either';
  /** What a processed one leaves behind: a reservation of this order. */
  orderId: string;
  body: Buffer;
  options: Options.Publish;
}

export interface PayloadOptions {
  seed: number;
  known: KnownValues;
  /** One in so many is bad, all others are good and plain. Without it: everything, mostly bad. */
  oneBadIn?: number;
}

/** The payload of a number. The same seed gives the same one; number 7 of two queues are different ones. */
export function payload(queue: WorkQueue, number: number, { seed, known, oneBadIn }: PayloadOptions): Payload {
  const random = seededRandom(seed * 6_151 + number * 31_337 + workQueues.indexOf(queue) * 12_289);
  const orderId = `FUZZ-${seed}-${workQueues.indexOf(queue)}-${number}`;
  const good = goodBody(queue, orderId, known, random);
  const isPlain = oneBadIn !== undefined && number % oneBadIn !== 0;
  const [name, make] = isPlain ? plain : pick(oneBadIn === undefined ? makers : spoilers, random);
  const made = make({ queue, good, known, random });
  const bytes = Buffer.isBuffer(made.body)
    ? made.body
    : Buffer.from(typeof made.body === 'string' ? made.body : JSON.stringify(made.body));
  const envelope = isPlain
    ? { name: '', options: {} }
    : hostileOptions({ number, hasBodyOfItsOwn: bytes.includes(orderId) }, random);
  const fate = made.fate === 'processed' && envelope.mayExpire ? 'either' : made.fate;
  const mark = `${seed}.${number}`;
  const headers = { ...envelope.options.headers, 'x-fuzz': mark } as Record<string, unknown>;
  return {
    number,
    mark,
    queue,
    name: [name, envelope.name].filter(Boolean).join(', '),
    fate,
    orderId,
    body: bytes,
    options: { ...envelope.options, headers },
  };
}

/** Far beyond anything that anyone would call a message. */
export function hugePayload(queue: WorkQueue, number: number, { seed }: PayloadOptions): Payload {
  const mark = `${seed}.${number}`;
  const body = Buffer.alloc(16 * 1024 * 1024, `${mark} `);
  return { number, mark, queue, name: '16 MiB', fate: 'dead', orderId: '', body, options: { headers: { 'x-fuzz': mark } } };
}

/** The order that a good payload of order.fulfilled needs to have been reserved before. */
export function orderBefore({ orderId }: Payload, known: KnownValues): Buffer {
  return Buffer.from(
    JSON.stringify({ event: 'OrderCreated', order_id: orderId, items: [{ product_id: known.productIds[0]!, quantity: 1 }] }),
  );
}

type Body = Record<string, unknown>;
type Made = { body: Buffer | string | Body; fate: Payload['fate'] };
type Maker = (source: { queue: WorkQueue; good: Body; known: KnownValues; random: Random }) => Made;

function goodBody(queue: WorkQueue, orderId: string, known: KnownValues, random: Random): Body {
  const items = Array.from({ length: 1 + below(4, random) }, () => ({
    product_id: pick(known.productIds, random),
    quantity: 1 + below(3, random),
  }));
  switch (queue) {
    case queues.orderCreated:
      return { event: 'OrderCreated', order_id: orderId, items };
    case queues.orderCancelled:
      return { event: 'OrderCancelled', order_id: orderId };
    case queues.orderFulfilled:
      return { event: 'OrderFulfilled', order_id: orderId };
    case queues.stockReplies:
      return chance(0.5, random)
        ? { event: 'StockReserved', order_id: orderId, items: items.map((line) => ({ ...line, unit_price: 1_999 })) }
        : { event: 'StockRejected', order_id: orderId, reason: 'Insufficient stock' };
    case queues.newOrders:
      return { event: 'OrderRequested', order_id: orderId, user_id: 'fuzz', order: items };
    default:
      return queue satisfies never;
  }
}

const plain: [string, Maker] = ['good', ({ good }) => ({ body: good, fate: 'processed' })];

/** Strange to look at, and as good as any: these must be processed. */
const oddities: [string, Maker][] = [
  plain,
  ['good, written wide', ({ good }) => ({ body: `\n\t ${JSON.stringify(good, null, 4)} \r\n`, fate: 'processed' })],
  [
    'good, with unknown fields',
    ({ good, known, random }) => ({ body: { extra: anyJson(5, known, random), ...good, '': 0, toString: 1 }, fate: 'processed' }),
  ],
  [
    'good, with a prototype',
    ({ good }) => ({
      body: JSON.stringify(good).replace('{', '{"__proto__":{"event":"None"},"constructor":null,'),
      fate: 'processed',
    }),
  ],
  [
    'good, with a deep field',
    ({ good, random }) => ({
      body: JSON.stringify(good).replace('{', `{"deep":${deep(1 + below(3_000, random))},`),
      fate: 'processed',
    }),
  ],
  [
    'good, named twice',
    ({ good }) => ({ body: JSON.stringify(good).replace('{', '{"order_id":"other","order_id":7,'), fate: 'processed' }),
  ],
  ['good, escaped', ({ good }) => ({ body: JSON.stringify(good).replace('order_id', '\\u006frder_id'), fate: 'processed' })],
  ['good, bare where that will do', ({ queue, good }) => ({ body: bare(queue, good), fate: 'processed' })],
  ['good, and long', ({ good, random }) => ({ body: { ...good, padding: 'x'.repeat(aLength(random)) }, fate: 'processed' })],
];

/** Each breaks the contract for certain: these must be dead letters. */
const spoilers: [string, Maker][] = [
  ['nothing', () => ({ body: Buffer.alloc(0), fate: 'dead' })],
  [
    'bytes',
    ({ random }) => ({ body: Buffer.concat([Buffer.from([0xff]), someBytes(below(600, random), random)]), fate: 'dead' }),
  ],
  ['zeros', ({ random }) => ({ body: Buffer.alloc(1 + below(2_000, random)), fate: 'dead' })],
  ['other JSON', ({ known, random }) => ({ body: JSON.stringify([anyJson(5, known, random)]), fate: 'dead' })],
  [
    'a bare value',
    ({ random }) => ({ body: pick(['null', 'true', '0', '""', '[]', '{}', '"OrderCreated"', '1e309'], random), fate: 'dead' }),
  ],
  ['cut short', ({ good, random }) => ({ body: cut(JSON.stringify(good), random), fate: 'dead' })],
  ['two objects', ({ good }) => ({ body: JSON.stringify(good).repeat(2), fate: 'dead' })],
  ['a byte order mark', ({ good }) => ({ body: `\ufeff${JSON.stringify(good)}`, fate: 'dead' })],
  ['wide characters', ({ good }) => ({ body: Buffer.from(JSON.stringify(good), 'utf16le'), fate: 'dead' })],
  [
    'another event',
    ({ good, random }) => ({
      body: {
        ...good,
        event: pick(['StockChanged', 'OrderUpdated', 'ordercreated', 'OrderCreated.v2', '', '__proto__', 'toString'], random),
      },
      fate: 'dead',
    }),
  ],
  [
    'a hostile event',
    ({ good, random }) => ({
      body: { ...good, event: pick([null, 1, [], {}, ['OrderCreated'], 'x'.repeat(100_000)], random) },
      fate: 'dead',
    }),
  ],
  [
    'an event that is deep',
    ({ good, random }) => ({
      body: JSON.stringify(good).replace(/"event":"\w+"/, `"event":${deep(1 + below(100_000, random))}`),
      fate: 'dead',
    }),
  ],
  // A queue that takes one bare event needs no name in it; without its customer nobody could be answered.
  [
    'no event',
    ({ queue, good }) => ({ body: { ...good, [queue === queues.newOrders ? 'user_id' : 'event']: undefined }, fate: 'dead' }),
  ],
  ['no order id', ({ good }) => ({ body: { ...good, order_id: undefined }, fate: 'dead' })],
  [
    'a wrong order id',
    ({ good, random }) => ({
      body: { ...good, order_id: pick([null, 7, '', {}, [], true, 'x'.repeat(201), 'a\u0000b', '\ud800'], random) },
      fate: 'dead',
    }),
  ],
  [
    'wrong items',
    ({ good, random }) =>
      spoiled(good, pick([null, [], {}, 'items', [null], [[]], [7], [{}], [{ product_id: 1 }], [{ quantity: 1 }]], random)),
  ],
  [
    'a wrong quantity',
    ({ good, random }) =>
      spoiled(good, [
        {
          product_id: 1,
          quantity: pick([0, -1, 1.5, '1', null, 2 ** 31, 2 ** 53, -(2 ** 31), true, [1]], random),
          unit_price: 1,
        },
      ]),
  ],
  [
    'a wrong product',
    ({ good, random }) =>
      spoiled(good, [{ product_id: pick([0, -1, 1.5, '1', null, 2 ** 31, 2 ** 53, {}], random), quantity: 1, unit_price: 1 }]),
  ],
  ['a hostile number', ({ good, random }) => ({ body: spoiledText(good, pick(hostileNumbers, random)), fate: 'dead' })],
  [
    'too many lines',
    ({ good, random }) =>
      spoiled(
        good,
        Array.from({ length: 1_001 + below(2_000, random) }, () => ({ product_id: 0, quantity: 1 })),
      ),
  ],
  ['long and broken', ({ random }) => ({ body: `{"event":"${'x'.repeat(aLength(random))}`, fate: 'dead' })],
];

/** What chance makes of a good one: whether it is still good, the product may say; that it is settled once, it must. */
const accidents: [string, Maker][] = [
  ['wounded', ({ good, random }) => ({ body: wounded(JSON.stringify(good), random), fate: 'either' })],
  ['one byte changed', ({ good, random }) => ({ body: changed(JSON.stringify(good), random), fate: 'either' })],
  [
    'one field changed',
    ({ good, known, random }) => ({
      body: { ...good, [pick(Object.keys(good).slice(1), random)]: anyJson(3, known, random) },
      fate: 'either',
    }),
  ],
];

const makers = [...oddities, ...oddities, ...spoilers, ...accidents, ...accidents];

function bare(queue: WorkQueue, good: Body): Body {
  return queue === queues.newOrders ? { ...good, event: undefined } : good;
}

/** Where an event has no items it is spoiled by its order id instead. */
function spoiled(good: Body, items: unknown): Made {
  return { body: good.items ? { ...good, items } : { ...good, order_id: [items] }, fate: 'dead' };
}

function spoiledText(good: Body, number: string): string {
  const text = JSON.stringify(good);
  return good.items
    ? text.replace(/"quantity":\d+/, `"quantity":${number}`)
    : text.replace(/"order_id":"[^"]*"/, `"order_id":${number}`);
}

/** Mostly short; at times up to 1 MiB, because what is always long is never many. */
function aLength(random: Random): number {
  return chance(0.05, random) ? 1024 * 1024 - below(100, random) : below(20_000, random);
}

function cut(text: string, random: Random): string {
  return text.slice(0, 1 + below(text.length - 1, random));
}

function changed(text: string, random: Random): Buffer {
  const bytes = Buffer.from(text);
  bytes[below(bytes.length, random)] = below(256, random);
  return bytes;
}

function deep(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}
