import { type Options } from 'amqplib';

import { bareEvents, queues } from '../../src/contracts';
import { below, pick, seededRandom, type Random } from '../random';
import { hostileOptions } from './envelopes';
import { anyJson, chance, hostileNumbers, someBytes, wounded, type KnownValues } from './values';

/** Every queue whose consumer changes something or tells somebody of it. */
export type WorkQueue = Exclude<(typeof queues)[keyof typeof queues], typeof queues.unrouted>;
export const workQueues: readonly WorkQueue[] = Object.values(queues).filter((queue) => queue !== queues.unrouted);

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
  const made = make({ good, known, random });
  const bytes = bytesOf(made.body);
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

export function bytesOf(body: Made['body']): Buffer {
  if (Buffer.isBuffer(body)) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
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

export type Body = Record<string, unknown>;
type Made = { body: Buffer | string | Body; fate: Payload['fate'] };
export type Maker = (source: { good: Body; known: KnownValues; random: Random }) => Made;

interface Good {
  orderId: string;
  /** Lines that can be had. */
  items: { product_id: number; quantity: number }[];
  known: KnownValues;
  random: Random;
}

function goodBody(queue: WorkQueue, orderId: string, known: KnownValues, random: Random): Body {
  return goodBodies[queue]({ orderId, items: someItems(known, random), known, random });
}

export function someItems({ productIds }: KnownValues, random: Random): Good['items'] {
  const line = () => ({ product_id: pick(productIds, random), quantity: 1 + below(3, random) });
  return Array.from({ length: 1 + below(4, random) }, line);
}

const created = ({ orderId, items }: Good): Body => ({ event: 'OrderCreated', order_id: orderId, items });
const requested = ({ orderId, items }: Good): Body => ({
  ...{ event: 'OrderRequested', order_id: orderId, user_id: 'fuzz', order: items },
});
/** Nobody has an account under the id of an order: no money is taken by rubbish. */
const payer = ({ orderId }: Good) => ({ order_id: orderId, customer_id: orderId });

/** A message that each queue's consumer must make something of, though it be about an order that nobody knows. */
const goodBodies: Record<WorkQueue, (source: Good) => Body> = {
  [queues.orderCreated]: created,
  [queues.orderCancelled]: ({ orderId }) => ({ event: 'OrderCancelled', order_id: orderId }),
  [queues.orderFulfilled]: ({ orderId }) => ({ event: 'OrderFulfilled', order_id: orderId }),
  [queues.amendReservation]: ({ orderId, items, random }) => ({
    ...{ event: 'AmendReservation', order_id: orderId, amendment: 1 + below(3, random), items },
  }),
  [queues.stockReplies]: ({ orderId, items, random }) =>
    chance(0.5, random)
      ? { event: 'StockReserved', order_id: orderId, items: items.map((line) => ({ ...line, unit_price: 1_999 })) }
      : { event: 'StockRejected', order_id: orderId, reason: 'Insufficient stock' },
  [queues.orderReserved]: (source) => ({
    ...{ event: 'OrderReserved', ...payer(source), total: below(100_000, source.random), currency: 'EUR' },
  }),
  [queues.paymentClosings]: (source) => ({ event: pick(['VoidPayment', 'RefundPayment'], source.random), ...payer(source) }),
  [queues.paymentReplies]: (source) => {
    const money = { amount: below(100_000, source.random), currency: 'EUR' };
    const answers = [
      { event: 'PaymentCaptured', ...payer(source), ...money },
      { event: 'PaymentDeclined', ...payer(source), code: 'NO_ACCOUNT', reason: 'The customer has no account' },
      { event: 'PaymentRefunded', ...payer(source), ...money },
      { event: 'PaymentUnknown', order_id: source.orderId },
    ];
    return pick(answers, source.random);
  },
  [queues.newOrders]: requested,
  [queues.orderCreateCommands]: requested,
  // Only what is there can be cancelled, and then as often as one likes.
  [queues.orderUpdateCommands]: ({ orderId, known, random }) => ({
    ...{ event: 'OrderChangeRequested', order_id: pick(known.orderIds, random), status: 'CANCELLED', reason: orderId },
  }),
  [queues.paymentCommands]: ({ orderId }) => ({ event: 'PaymentRequested', order_id: orderId }),
  [queues.orderCreations]: created,
  [queues.orderUpdates]: created,
};

export const plain: [string, Maker] = ['good', ({ good }) => ({ body: good, fate: 'processed' })];

/** Strange to look at, and as good as any: these must be processed. */
export const oddities: [string, Maker][] = [
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
  ['good, bare where that will do', ({ good }) => ({ body: bare(good), fate: 'processed' })],
  ['good, and long', ({ good, random }) => ({ body: { ...good, padding: 'x'.repeat(aLength(random)) }, fate: 'processed' })],
];

/** Nothing that anybody could read as an object with fields. */
export const rubbish: [string, Maker][] = [
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
  ['long and broken', ({ random }) => ({ body: `{"event":"${'x'.repeat(aLength(random))}`, fate: 'dead' })],
];

/** Each breaks the contract for certain: these must be dead letters. */
const spoilers: [string, Maker][] = [
  ...rubbish,
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
  // A queue that takes bare events needs no name in them: there another field is gone.
  ['no event', ({ good }) => ({ body: { ...good, [isBare(good) ? neededBy(good) : 'event']: undefined }, fate: 'dead' })],
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
];

/** What chance makes of a good one: whether it is still good, the product may say; that it is settled once, it must. */
export const accidents: [string, Maker][] = [
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

function isBare({ event }: Body): boolean {
  return bareEvents.some((type) => type === event);
}

function neededBy({ event }: Body): string {
  return { OrderRequested: 'user_id', OrderChangeRequested: 'status' }[String(event)] ?? 'order_id';
}

function bare(good: Body): Body {
  return isBare(good) ? { ...good, event: undefined } : good;
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
