import { samples, type EventType } from '../contracts';
import { aggregateOf, toPublication } from './message';

const text = (description: string) => ({ type: 'string', description });

/** The headers of our own messages. A foreign one may come without any of them. */
export const envelopeSchema = {
  type: 'object',
  description: 'CloudEvents 1.0 in binary mode, and W3C trace context. All of it is a courtesy: a bare message works.',
  properties: {
    'cloudEvents:specversion': { type: 'string', const: '1.0' },
    'cloudEvents:id': text('The event id, a UUIDv7: the same on every repetition. AMQP property message_id.'),
    'cloudEvents:source': text('/holdfast/ and the exchange.'),
    'cloudEvents:type': text('The event. AMQP property type.'),
    'cloudEvents:time': {
      type: 'string',
      format: 'date-time',
      description: 'When it happened. AMQP property timestamp, in seconds.',
    },
    'cloudEvents:subject': text('What it is about: the order, or product: and its id.'),
    'cloudEvents:correlationid': text('The conversation, from the first request on. AMQP property correlation_id.'),
    'cloudEvents:causationid': text('The id of the message that caused this one, where there was one.'),
    traceparent: text('W3C trace context.'),
  },
} as const;

/** What the sample of an event travels with: made by the code that makes every envelope. */
export function sampleHeaders(type: EventType): Record<string, unknown> {
  return toPublication({
    ...{ id: '019ac000-0000-7000-8000-000000000001', type, aggregateId: aggregateOf(samples[type]) },
    ...{ json: JSON.stringify(samples[type]), correlationId: 'request-7', causationId: null, traceparent: null },
    createdAt: new Date('2026-11-26T12:00:00.000Z'),
  }).properties.headers;
}
