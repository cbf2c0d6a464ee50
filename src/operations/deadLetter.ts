import { createHash } from 'node:crypto';

import { orderId, productId } from '../contracts';
import { deathOf, type Delivery } from '../messaging';

/** A dead letter as it came off its queue, ready to be kept. */
export interface Arrival {
  /** The id it gets if it is a new one. */
  id: string;
  /** Which letter it is, where a replay of that letter died again. */
  letterId?: string;
  deathId?: string;
  exchange: string;
  routingKey: string;
  messageId?: string;
  type?: string;
  correlationId?: string;
  aggregateId?: string;
  body: Buffer;
  bodyDigest: string;
  /** JSON. */
  properties: string;
  reason: string;
  attempt: number;
}

/** As much of a kept letter as tells whether an arrival is the same one. */
export interface KnownLetter {
  id: string;
  messageId: string | null;
  bodyDigest: string;
  deathId: string | null;
  state: 'WAITING' | 'REPLAYED' | 'DISCARDED';
}

export interface Keeping {
  /** Arrivals that nobody has seen before. */
  fresh: Arrival[];
  /** Letters that had been replayed or discarded, and whose message died once more. */
  again: { letterId: string; arrival: Arrival }[];
}

/**
 * Sorts arrivals into new letters, second deaths of known ones, and repetitions, which change nothing. A dead letter may come
 * more often than it died: its keeper was killed before the ack, or it was copied twice on its way. So each is looked for
 *
 * - by the letter it carries, when it is a replay;
 * - by its message id and its body: together, for a sender may use one id for two bodies;
 * - without a message id, by its death; and where not even that is known, by a body that waits already. Messages that are the
 *   same to the byte have the same effect, so one of them stands for all.
 */
export function decideKeeping(known: readonly KnownLetter[], arrivals: readonly Arrival[]): Keeping {
  const letters = [...known];
  const keeping: Keeping = { fresh: [], again: [] };
  for (const arrival of arrivals) {
    const { id, bodyDigest, messageId = null, deathId = null } = arrival;
    const index = letters.findIndex((letter) => isSame(letter, arrival));
    const letter = letters[index];
    if (!letter) {
      keeping.fresh.push(arrival);
      letters.push({ id, messageId, bodyDigest, deathId, state: 'WAITING' });
    } else if (hasDiedAgain(letter, arrival)) {
      keeping.again.push({ letterId: letter.id, arrival });
      letters[index] = { ...letter, deathId, state: 'WAITING' };
    }
  }
  return keeping;
}

function isSame(letter: KnownLetter, { letterId, messageId, deathId, bodyDigest }: Arrival): boolean {
  if (letter.bodyDigest !== bodyDigest) return false;
  if (letter.id === letterId) return true;
  if (messageId !== undefined) return letter.messageId === messageId;
  if (letter.messageId !== null) return false;
  return deathId === undefined ? letter.state === 'WAITING' : letter.deathId === deathId;
}

/** One death may be delivered twice. While a letter waits, only its own replay can die again. */
function hasDiedAgain(letter: KnownLetter, { letterId, deathId }: Arrival): boolean {
  if (deathId !== undefined && deathId === letter.deathId) return false;
  return letter.state !== 'WAITING' || (letter.id === letterId && (deathId ?? null) !== letter.deathId);
}

/** Reads a delivery of a dead-letter queue, or of `unrouted`. Never throws: whatever came can be kept. */
export function readArrival(delivery: Delivery, isUnrouted: boolean, newId: () => string): Arrival {
  const { reason, attempt, deathId, letterId, properties } = deathOf(delivery);
  const { exchange, routingKey, body, redelivered } = delivery;
  const content = contentOf(body);
  const { event } = content;
  return {
    id: newId(),
    letterId: letterId !== undefined && isLetterId(letterId) ? letterId.toLowerCase() : undefined,
    // Nobody gave a message without a queue its death; on its first delivery it cannot have been kept before.
    deathId: isUnrouted && !redelivered ? newId() : deathId,
    exchange: storable(exchange),
    routingKey: storable(routingKey),
    messageId: storableOr(properties.messageId),
    type: storableOr(properties.type) ?? (typeof event === 'string' ? storableOr(event.slice(0, 200)) : undefined),
    correlationId: storableOr(properties.correlationId),
    aggregateId: aggregateOf(content),
    body,
    bodyDigest: createHash('sha256').update(body).digest('hex'),
    properties: JSON.stringify(properties, (_name, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
    reason: isUnrouted ? unroutedReason(exchange, routingKey) : storable(reason ?? untoldReason),
    attempt,
  };
}

/** Letters are known by UUIDs; anything else names none. */
export function isLetterId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

function unroutedReason(exchange: string, routingKey: string): string {
  return storable(
    `No queue is bound to receive it: exchange ${exchange || '(default)'}, routing key ${JSON.stringify(routingKey)}`,
  );
}

const untoldReason = 'Refused by its consumer; the reason did not travel with it, its headers may have left no room';

/** Larger bodies are not looked into: they would hold up everything else in this process. */
const READ_BYTES_MAX = 1_048_576;

function contentOf(body: Buffer): Record<string, unknown> {
  if (body.length > READ_BYTES_MAX) return {};
  try {
    const content: unknown = JSON.parse(body.toString('utf8'));
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function aggregateOf(content: Record<string, unknown>): string | undefined {
  const order = orderId.safeParse(content.order_id);
  if (order.success) return order.data;
  const product = productId.safeParse(content.product_id);
  return product.success ? `product:${product.data}` : undefined;
}

/** NUL is the one character that Postgres cannot keep. */
function storable(text: string): string {
  return text.replaceAll('\u0000', '\ufffd');
}

function storableOr(text: unknown): string | undefined {
  return typeof text === 'string' && text !== '' ? storable(text) : undefined;
}
