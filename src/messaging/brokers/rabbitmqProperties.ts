import { type MessageProperties } from '../broker';
import { type AmqpProperties } from './amqp';
import { deadLetterHeaders, deliveryLimitReason, storyHeaders } from './wireNames';

/** What the sender sent, and for a message that the broker itself gave up, why it did. */
export function shownProperties(properties: AmqpProperties): MessageProperties {
  return { ...sentProperties(properties), headers: shownHeaders(properties.headers ?? {}) };
}

function shownHeaders(headers: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const name of Object.keys(headers)) if (!story.has(name)) shown[name] = headers[name];
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

/** Everything a sender may have set, but headers, `userId`, which would have to be ours, and the expiration. */
export function sentProperties(properties: AmqpProperties): Omit<MessageProperties, 'headers'> {
  const sent: Partial<Record<(typeof sendable)[number], unknown>> = {};
  for (const name of sendable) if (properties[name] !== undefined) sent[name] = properties[name];
  return sent as Omit<MessageProperties, 'headers'>;
}

const sendable = [
  ...(['messageId', 'type', 'correlationId', 'replyTo', 'appId'] as const),
  ...(['contentType', 'contentEncoding', 'priority', 'timestamp'] as const),
];

/** 1 for a message that nobody has tried before, or whose header is no such number. */
export function attemptOf(header: unknown): number {
  return Number.isSafeInteger(header) && Number(header) > 0 ? Number(header) : 1;
}
