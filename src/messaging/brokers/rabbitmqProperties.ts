import { type MessageProperties } from '../broker';
import { type AmqpProperties, type PublishOptions } from './amqp';
import { deadLetterHeaders, deliveryLimitReason, storyHeaders } from './wireNames';

/** What the sender sent, and for a message that the broker itself gave up, why it did. */
export function shownProperties(properties: AmqpProperties): MessageProperties {
  const { messageId, type, correlationId, replyTo, appId, contentType, contentEncoding, priority, timestamp } =
    properties as MessageProperties;
  const shown: MessageProperties = { headers: shownHeaders(properties.headers ?? {}) };
  return Object.assign(
    shown,
    defined({ messageId, type, correlationId, replyTo, appId, contentType, contentEncoding, priority, timestamp }),
  );
}

function shownHeaders(headers: Record<string, unknown>): Record<string, unknown> {
  const shown = Object.fromEntries(Object.entries(headers).filter(([name]) => !story.has(name)));
  const givenUp = givenUpByBroker(headers);
  if (!givenUp || 'x-holdfast-reason' in shown) return shown;
  return { ...shown, ...deadLetterHeaders(String(givenUp.queue), attemptOf(headers[storyHeaders.attempt]), deliveryLimitReason) };
}

interface Death {
  reason?: string;
  queue?: string;
  exchange?: string;
  'routing-keys'?: string[];
}

/** RabbitMQ's own note about a message that reached the delivery limit; undefined for any other. */
export function givenUpByBroker(headers: Record<string, unknown>): Death | undefined {
  const [latest] = (Array.isArray(headers['x-death']) ? headers['x-death'] : []) as Death[];
  return latest?.reason === 'delivery_limit' ? latest : undefined;
}

/** What RabbitMQ adds on its own when it moves a message. */
const brokerHeaders = ['x-death', 'x-first-death-exchange', 'x-first-death-queue', 'x-first-death-reason', 'x-delivery-count'];
const story = new Set<string>([...Object.values(storyHeaders), ...brokerHeaders]);

/** Everything a sender may have set, but `userId`, which would have to be ours, and the expiration. */
export function copiedProperties(properties: AmqpProperties): Omit<PublishOptions, 'headers' | 'mandatory'> {
  const { contentType, contentEncoding, priority, correlationId, replyTo, messageId, timestamp, type, appId } =
    properties as unknown as PublishOptions;
  const kept = { contentType, contentEncoding, priority, correlationId, replyTo, messageId, timestamp, type, appId };
  return { persistent: true, ...defined(kept) };
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** 1 for a message that nobody has tried before, or whose header is no such number. */
export function attemptOf(header: unknown): number {
  return Number.isSafeInteger(header) && Number(header) > 0 ? Number(header) : 1;
}
