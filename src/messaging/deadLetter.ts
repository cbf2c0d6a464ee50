import { type Delivery, type MessageProperties, type Publication } from './broker';
import { deadLetterHeaderNames } from './brokers/wireNames';

export { deadQueue } from './brokers/wireNames';

/** What the headers of a dead letter tell, apart from what its sender sent. */
export interface Death {
  /** In words; undefined when its headers left no room for it, or when it is no dead letter. */
  reason?: string;
  /** The attempt at which it died. */
  attempt: number;
  /** Of this one death; undefined when nobody could know whether it had died before. */
  deathId?: string;
  /** Which kept dead letter was published again, and died again. */
  letterId?: string;
  /** As they were sent. */
  properties: MessageProperties;
}

export function deathOf({ properties, attempt }: Delivery): Death {
  const { reason, attempt: attemptHeader, death, letter } = deadLetterHeaderNames;
  const { headers } = properties;
  const told = Number(headers[attemptHeader]);
  return {
    reason: textOr(headers[reason]),
    attempt: Number.isSafeInteger(told) && told > 0 && told < 1_000_000 ? told : attempt,
    deathId: textOr(headers[death]),
    letterId: textOr(headers[letter]),
    properties: { ...properties, headers: withoutStory(headers) },
  };
}

/** A kept dead letter that is to be published again. */
export interface ReplayedLetter {
  id: string;
  /** The work queue where it died; undefined when no queue was bound to receive it. */
  queue?: string;
  exchange: string;
  routingKey: string;
  body: Buffer;
  properties: MessageProperties;
}

/**
 * Straight into the queue where it died, over the default exchange: the others that heard it the first time do not hear it again.
 * What no queue had received goes the way it was sent. It says which letter it was, so that it is known again should it die again.
 */
export function toReplay({ id, queue, exchange, routingKey, body, properties }: ReplayedLetter): Publication {
  const headers = { ...withoutStory(properties.headers), [deadLetterHeaderNames.letter]: id };
  const address = queue === undefined ? { exchange, routingKey } : { exchange: '', routingKey: queue };
  return { ...address, body, properties: { ...properties, headers }, mandatory: true };
}

const storyNames = new Set<string>(Object.values(deadLetterHeaderNames));

function withoutStory(headers: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !storyNames.has(name)));
}

function textOr(header: unknown): string | undefined {
  return typeof header === 'string' && header !== '' ? header.slice(0, 2_100) : undefined;
}
