import { type Options } from 'amqplib';

import { deadLetterExchange } from '../../src/messaging/brokers/wireNames';
import { queues } from '../../src/contracts';
import { below, pick, type Random } from '../random';
import { chance } from './values';

/** Properties and headers around a payload. None of them may change what becomes of it. */
export interface Envelope {
  name: string;
  options: Options.Publish;
  /** The broker itself may give it up before anyone has read it. */
  mayExpire?: boolean;
}

export interface EnvelopeOf {
  number: number;
  /** Its body is no other's: it may share a message id with others. */
  hasBodyOfItsOwn: boolean;
}

/** Half of the messages come bare, as from any plain client; the others say wrong, huge or hostile things about themselves. */
export function hostileOptions(message: EnvelopeOf, random: Random): Envelope {
  if (chance(0.5, random)) return { name: '', options: {} };
  const envelope = pick(envelopes, random)(message, random);
  // What the broker itself gives up says nothing of its death: without an id, equal bodies are rightly kept as one dead letter.
  const id = message.hasBodyOfItsOwn ? {} : { messageId: `fuzz-${message.number}` };
  return { ...envelope, options: { ...id, ...envelope.options } };
}

const envelopes: ((message: EnvelopeOf, random: Random) => Envelope)[] = [
  ({ number }) => ({
    name: 'our envelope',
    options: {
      messageId: `fuzz-${number}`,
      type: 'OrderCreated',
      correlationId: 'fuzz',
      contentType: 'application/json',
      appId: 'holdfast',
      persistent: true,
    },
  }),
  ({ number, hasBodyOfItsOwn }) => ({
    name: 'the id of others',
    options: { messageId: hasBodyOfItsOwn ? 'the-same' : `fuzz-${number}` },
  }),
  ({ number }, random) => ({
    name: 'a wrong id',
    options: {
      messageId: `${number}${pick(['', ' ', '\u0000', 'é'.repeat(100), "'; --"], random)}`,
      correlationId: pick(['', '\u0000', 'x'.repeat(255), '😀'.repeat(60)], random),
    },
  }),
  (_message, random) => ({
    name: 'a wrong content type',
    options: {
      contentType: pick(['text/xml', 'application/octet-stream', '', '\u0000'], random),
      contentEncoding: pick(['gzip', 'utf-16', 'br', ''], random),
    },
  }),
  (_message, random) => ({
    name: 'a wrong type',
    options: { type: pick(['StockReserved', 'nothing', '', '__proto__', 'x'.repeat(255)], random), appId: 'x'.repeat(255) },
  }),
  (_message, random) => ({
    name: 'a priority',
    options: {
      priority: below(256, random),
      timestamp: pick([0, 1, 2 ** 31, 2 ** 48], random),
      replyTo: pick(['', queues.orderCreated, 'no.such.queue', '\u0000'], random),
    },
  }),
  (_message, random) => ({
    name: 'an expiration',
    options: { expiration: pick(['0', '1', '20', '60000', '4294967295'], random) },
    mayExpire: true,
  }),
  (_message, random) => ({
    name: 'a lie about attempts',
    options: { headers: { 'x-attempt': pick([0, -1, 7, 8, 9, 2 ** 31, 1.5, '3', 'x', null, [1], { a: 1 }, true], random) } },
  }),
  (_message, random) => ({
    name: 'a forged death',
    options: {
      headers: {
        'x-death': pick(deaths, random),
        'x-first-death-queue': pick(['', 'no.such.queue', 7], random),
        'x-delivery-count': pick([0, 19, 20, 21, -1, 'x'], random),
      },
    },
  }),
  (_message, random) => ({ name: 'a forged story', options: { headers: forgedStory(random) } }),
  (_message, random) => ({
    name: 'big headers',
    options: { headers: { big: 'x'.repeat(pick([1_000, 60_000, 64_000, 65_400, 100_000, 126_000, 130_000], random)) } },
  }),
  (_message, random) => ({
    name: 'many headers',
    options: { headers: Object.fromEntries(Array.from({ length: below(2_000, random) }, (_, i) => [`h${i}`, i])) },
  }),
  (_message, random) => ({ name: 'deep headers', options: { headers: { deep: deepTable(1 + below(200, random)) } } }),
  (_message, random) => ({ name: 'odd headers', options: { headers: oddHeaders(random) } }),
  () => ({
    name: 'more recipients',
    options: { headers: { CC: [`${queues.orderFulfilled}.nowhere`, deadLetterExchange], BCC: ['nowhere'] } },
  }),
  (_message, random) => ({
    name: 'a forged trace',
    options: {
      headers: {
        traceparent: pick(['', '00-0-0-0', 'x'.repeat(5_000), 7, { a: 1 }], random),
        tracestate: '\u0000',
        'cloudEvents:id': '',
        'cloudEvents:type': 'None',
        'content-type': 7,
      },
    },
  }),
];

const deaths: unknown[] = [
  'text',
  7,
  {},
  [],
  ['text'],
  [{}],
  [{ reason: 'delivery_limit' }],
  [{ reason: 'delivery_limit', queue: 7, exchange: ['x'], 'routing-keys': 'orders', count: -1 }],
  [{ reason: 'delivery_limit', queue: 'no.such.queue', exchange: 'no.such.exchange', 'routing-keys': ['a', 7], count: 99 }],
  [{ reason: 'expired', queue: queues.orderCreated, count: 1, time: 0 }],
  Array.from({ length: 200 }, () => ({ reason: 'rejected', queue: 'x', exchange: 'y', count: 1 })),
];

function forgedStory(random: Random): Record<string, unknown> {
  const lie = () => pick(['', 'x', '\u0000', 7, -1, null, ['a'], { a: 1 }, 'x'.repeat(3_000), 'no.such.exchange'], random);
  return {
    'x-holdfast-reason': lie(),
    'x-holdfast-queue': lie(),
    'x-holdfast-attempt': lie(),
    'x-holdfast-death': lie(),
    'x-holdfast-exchange': lie(),
    'x-holdfast-routing-key': lie(),
    'x-holdfast-publication': below(50, random),
  };
}

/** Every kind of value that the AMQP tables of the client can hold. */
function oddHeaders(random: Random): Record<string, unknown> {
  return {
    '': 'no name',
    ['n'.repeat(120)]: 1,
    null: null,
    bytes: Buffer.from([0, 255, 10]),
    time: { '!': 'timestamp', value: pick([0, 1, 2 ** 40], random) },
    decimal: { '!': 'decimal', value: { digits: 123, places: 2 } },
    long: 2 ** 52,
    double: pick([0.1, -1e300, 5e-324], random),
    __proto__x: 'a',
    constructor: 'b',
    toString: 'c',
    'é😀': '😀',
    lists: [[[1, 'a', null], []], { a: [{}] }],
  };
}

function deepTable(levels: number): Record<string, unknown> {
  let table: Record<string, unknown> = {};
  for (let level = 0; level < levels; level++) table = { t: table };
  return table;
}
