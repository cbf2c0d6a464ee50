/** Names and limits that both brokers share on the wire, so that a message means the same behind either of them. */

/** Topic exchange for dead letters; the routing key is the queue where the message died. */
export const deadLetterExchange = 'dead_letters';

/** Where the dead letters of a work queue are kept. */
export const deadQueue = (queue: string): string => `${queue}.dead`;

/** A work queue's message may be handed out and lost so often before it counts as one that crashes its consumer. */
export const deliveryLimit = 20;

/** Headers that carry the story of a message; not shown on deliveries, except those of a dead letter. */
export const storyHeaders = {
  attempt: 'x-attempt',
  exchange: 'x-holdfast-exchange',
  routingKey: 'x-holdfast-routing-key',
  publication: 'x-holdfast-publication',
} as const;

/** Headers that tell the story of a dead letter. */
export const deadLetterHeaderNames = {
  reason: 'x-holdfast-reason',
  queue: 'x-holdfast-queue',
  attempt: 'x-holdfast-attempt',
  /** Of this one death: two deliveries with the same are the same dead letter. Missing where nobody could know that. */
  death: 'x-holdfast-death',
  /** Carried by a dead letter that is published again: which one it was. */
  letter: 'x-holdfast-dead-letter',
} as const;

/** Why a message is a dead letter, from where, and at which attempt. */
export function deadLetterHeaders(queue: string, attempt: number, reason: string, deathId?: string): Record<string, unknown> {
  const names = deadLetterHeaderNames;
  const headers = { [names.reason]: clipped(reason), [names.queue]: queue, [names.attempt]: attempt };
  return deathId === undefined ? headers : { ...headers, [names.death]: deathId };
}

/** The reason given to a message that was handed out `deliveryLimit` times and more without ever being settled. */
export const deliveryLimitReason = `Handed out more than ${deliveryLimit} times and never settled: it may crash its consumer`;

/** Headers travel in one frame of at most 64 KiB; a reason is for people and never needs so much. */
function clipped(reason: string): string {
  return reason.length > 2_000 ? `${reason.slice(0, 2_000)}…` : reason;
}
