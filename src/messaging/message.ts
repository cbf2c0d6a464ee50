import { createHash } from 'node:crypto';

import { bareEvents, events, routes, text, type AnyEvent, type EventOf, type EventType } from '../contracts';
import { type MessageProperties, type Publication } from './broker';

const envelopeText = text(200);

/** A message that is to be published: the body every program may read, and the envelope around it. */
export interface OutgoingMessage {
  /** The event id, a UUIDv7: the same on every repetition, so that a receiver can tell a repetition from news. */
  id: string;
  body: AnyEvent;
  /** The whole conversation, from the first request on. */
  correlationId: string;
  /** The message that caused this one. */
  causationId?: string;
  traceparent?: string;
}

/** A message as a handler gets it: its body checked, its envelope filled in where a bare client sent none. */
export interface IncomingMessage<T extends EventType = EventType> {
  id?: string;
  body: EventOf<T>;
  correlationId: string;
  traceparent?: string;
}

/** What a message must be beside valid JSON: thrown with a reason for people, it ends in the dead letters at once. */
export class PoisonMessage extends Error {
  override name = 'PoisonMessage';
}

/** The message that follows from `cause`: same conversation, one step on. */
export function followUp(cause: IncomingMessage, body: AnyEvent, newId: () => string): OutgoingMessage {
  return { id: newId(), body, correlationId: cause.correlationId, causationId: cause.id, traceparent: cause.traceparent };
}

/** What the message is about: the order, or else the product. Messages of one aggregate are kept in order. */
export function aggregateOf(body: AnyEvent): string {
  return typeof body.order_id === 'string' ? body.order_id : `product:${body.product_id as number}`;
}

/** An outbox row, ready to go out. */
export interface StoredMessage {
  id: string;
  type: EventType;
  aggregateId: string;
  /** The body as JSON, byte for byte as it was committed. */
  json: string;
  correlationId: string;
  causationId: string | null;
  traceparent: string | null;
  createdAt: Date;
}

/**
 * The envelope on the wire: AMQP properties for AMQP people, CloudEvents 1.0 attributes as `cloudEvents:*` headers for everyone
 * else, W3C `traceparent` for tracing. The body stays flat and needs none of it. Throws UnknownEvent.
 */
export function toPublication(message: StoredMessage): Publication {
  if (!Object.hasOwn(routes, message.type)) throw new UnknownEvent(message.type);
  const route = routes[message.type];
  const headers: Record<string, unknown> = {
    'cloudEvents:specversion': '1.0',
    'cloudEvents:id': message.id,
    'cloudEvents:source': `/holdfast/${route.exchange}`,
    'cloudEvents:type': message.type,
    'cloudEvents:time': message.createdAt.toISOString(),
    'cloudEvents:subject': message.aggregateId,
    'cloudEvents:correlationid': message.correlationId,
  };
  if (message.causationId) headers['cloudEvents:causationid'] = message.causationId;
  if (message.traceparent) headers.traceparent = message.traceparent;
  return {
    exchange: route.exchange,
    routingKey: routingKeyOf(message.type, message.json),
    mandatory: route.mandatory,
    body: Buffer.from(message.json),
    properties: {
      messageId: message.id,
      type: message.type,
      correlationId: message.correlationId,
      appId: 'holdfast',
      contentType: 'application/json',
      timestamp: Math.floor(message.createdAt.getTime() / 1000),
      headers,
    },
  };
}

/** An event that another version of Holdfast has written: only a relay that knows its type can publish it. */
export class UnknownEvent extends Error {
  override name = 'UnknownEvent';

  constructor(type: string) {
    super(
      `The outbox holds an event of type ${type}, which this version does not know: a relay of the version that wrote it must run.`,
    );
  }
}

/** The routing key of an event: as it stands in its route, or filled in from its body. */
export function routingKeyOf(type: EventType, json: string): string {
  const { key } = routes[type];
  if (!key.includes('{')) return key;
  const body = JSON.parse(json) as Record<string, unknown>;
  return key.replace(/\{(\w+)\}/g, (_braces, field: string) => keyWord(String(body[field])));
}

/** What a customer's queue is bound by: all that `notification_exchange` says of the customer's orders. */
export function customerKey(customerId: string): string {
  return `client.${keyWord(customerId)}.order.#`;
}

/**
 * One word of a routing key: percent-encoded, dots and stars too, so that nobody's id is two words or fits another's binding; and
 * what would not fit into the 255 bytes of a key is replaced by its hash.
 */
function keyWord(value: string): string {
  const encode = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  const encoded = encodeURIComponent(value.toWellFormed()).replace(/[.*]/g, encode);
  return encoded.length <= 100 ? encoded : `sha256-${createHash('sha256').update(value).digest('base64url')}`;
}

/**
 * Reads what came off a queue. Only the body counts: a bare message from any client in any language is as good as our own.
 * Throws PoisonMessage naming what is wrong when it is not JSON, not an event among `expected`, or not of that event's shape.
 */
export function parseMessage(body: Buffer, properties: MessageProperties, expected: readonly EventType[]): IncomingMessage {
  const event = parseEvent(parseJson(body), expected);
  return {
    id: usable(properties.messageId),
    body: event,
    correlationId: usable(properties.correlationId) ?? aggregateOf(event),
    traceparent: usable(properties.headers.traceparent),
  };
}

/**
 * A foreign envelope is a courtesy, never a reason to refuse the message: what cannot be stored is left out. Most have no
 * `traceparent`, and zod takes long to say what nobody asks: why a thing that is missing is no text.
 */
function usable(value: unknown): string | undefined {
  return typeof value === 'string' ? envelopeText.safeParse(value).data : undefined;
}

/** Throws PoisonMessage saying what is wrong with it. */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) throw new PoisonMessage('The body is empty: expected a JSON object.');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new PoisonMessage(`The body is not JSON: ${(error as Error).message}.`);
  }
}

function parseEvent(json: unknown, expected: readonly EventType[]): AnyEvent {
  const name = typeof json === 'object' && json !== null ? (json as { event?: unknown }).event : undefined;
  const type = expected.find((candidate) => candidate === name || (name === undefined && bareEvents.includes(candidate)));
  if (!type) throw new PoisonMessage(`Unknown event ${named(name)}: this queue takes ${expected.join(', ')}.`);
  const parsed = events[type].safeParse(name === undefined && isRecord(json) ? { event: type, ...json } : json);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new PoisonMessage(`Not a valid ${type}: ${problems.slice(0, 5).join('; ')}.`);
}

function isRecord(json: unknown): json is object {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** A name may be a megabyte, or no text at all but lists in lists that no recursion comes to the end of. */
function named(name: unknown): string {
  if (name === undefined) return 'undefined';
  if (typeof name !== 'string') return `of type ${typeof name}`;
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}
