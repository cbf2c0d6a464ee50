/**
 * The port between Holdfast and a message broker. Two brokers stand behind it, RabbitMQ (`brokers/rabbitmq.ts`) and one in
 * process (`brokers/inProcess.ts`); one contract suite runs over both, so what works embedded works distributed.
 *
 * Words: a **publication** goes in through an exchange; a **delivery** comes out of a queue and is **settled** exactly once:
 * acked, retried later, or dead-lettered with a reason.
 */
export interface Broker {
  /** `rabbitmq` or `in-process`: for logs and health. */
  readonly name: string;
  /** Declares exchanges, queues and bindings, with each queue's retry and dead-letter queues. Safe to repeat. */
  declare(topology: Topology): Promise<void>;
  /**
   * Resolves when the message is safe: on RabbitMQ when the broker confirmed it, in process when every queue it was routed to
   * has settled it (memory keeps no promise, so the outbox row must outlive the work). A dead letter in process holds the
   * confirm until it is settled out of its queue, when somebody has kept it.
   * Rejects with UnroutableError (mandatory, and no queue took it) or UnconfirmedError (lost sight of: publish it again).
   */
  publish(publication: Publication): Promise<void>;
  /** Hands each delivery of the queue to `onDelivery`, restored by itself after a reconnect. */
  consume(queue: string, options: ConsumeOptions, onDelivery: (delivery: Delivery) => void): Promise<Subscription>;
  /** How many messages wait in a queue and how many consumers it has; undefined when there is no such queue. */
  depth(queue: string): Promise<QueueDepth | undefined>;
  /** Publications neither confirmed nor refused yet; dead letters not counted. What intake is limited by. */
  unsettled(): number;
  status(): BrokerStatus;
  /** Stops consuming, waits for confirms that are under way (bounded), then closes. Unsettled deliveries return to their queues. */
  close(): Promise<void>;
}

export interface Topology {
  exchanges: readonly ExchangeDeclaration[];
  queues: readonly QueueDeclaration[];
  bindings: readonly Binding[];
}

export interface ExchangeDeclaration {
  name: string;
  type: 'topic' | 'fanout' | 'direct';
  /** Publications that match no binding of this exchange go to that exchange instead of nowhere. */
  alternate?: string;
}

export type QueueDeclaration =
  /** Durable and replicated, with `<name>.dead` behind it and delayed retries. */
  | { name: string; kind: 'work' }
  /** Durable and bounded: the oldest goes when it is full. For what is kept to be looked at, not to be worked off. */
  | { name: string; kind: 'bounded'; lengthMax: number }
  /** Durable and bounded, for questions that somebody waits with: what has waited for `ttlMs` is dropped, for nobody waits any more. */
  | { name: string; kind: 'requests'; lengthMax: number; ttlMs: number }
  /** Belongs to this connection and ends with it. With a `lengthMax` the oldest that nobody has been handed yet goes when it is full. */
  | { name: string; kind: 'temporary'; lengthMax?: number };

export interface Binding {
  exchange: string;
  /** A routing key; in a topic exchange `*` stands for one word and `#` for any number. */
  key: string;
  to: { queue: string } | { exchange: string };
}

export interface Publication {
  /** `''` is the default exchange, where the routing key names the queue. */
  exchange: string;
  routingKey: string;
  body: Buffer;
  properties: MessageProperties;
  /** Refuse with UnroutableError when no queue takes it. */
  mandatory: boolean;
  /** Dropped when it has waited so long in a queue of requests or a temporary one. */
  expirationMs?: number;
}

/** Only what was sent: a bare message from a foreign client has none of these. */
export interface MessageProperties {
  messageId?: string;
  type?: string;
  correlationId?: string;
  replyTo?: string;
  appId?: string;
  contentType?: string;
  contentEncoding?: string;
  priority?: number;
  /** Seconds since 1970, as AMQP counts. */
  timestamp?: number;
  headers: Record<string, unknown>;
}

export interface ConsumeOptions {
  /** How many deliveries may be unsettled at a time. */
  prefetch: number;
}

/** Settle it once, by one of the three; a second settlement is ignored, as is one on a connection that is gone. */
export interface Delivery {
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly properties: MessageProperties;
  /** True when the broker handed this message out before and never saw it settled. */
  readonly redelivered: boolean;
  /** 1 for the first try; one more after each `retry`. */
  readonly attempt: number;
  ack(): void;
  /** Puts it back into its queue after `delayMs`, as the next attempt; resolves when that is safe. */
  retry(delayMs: number, reason: string): Promise<void>;
  /** Moves it to `<queue>.dead` with the reason in its headers (`x-holdfast-reason`, `-queue`, `-attempt`, `-death`); resolves when that is safe. */
  deadLetter(reason: string): Promise<void>;
}

export interface Subscription {
  /** No new deliveries after this resolves; those already handed out can still be settled. */
  cancel(): Promise<void>;
}

export interface QueueDepth {
  ready: number;
  consumers: number;
}

/** `detail` is for people: what is wrong, or where it is connected to, with no password in it. */
export interface BrokerStatus {
  state: 'ready' | 'connecting' | 'blocked' | 'closed';
  detail: string;
}

/** No queue was bound to take a mandatory publication. */
export class UnroutableError extends Error {
  constructor(publication: Publication) {
    super(
      `No queue takes ${publication.exchange || '(default exchange)'} / ${publication.routingKey}: declare the binding, then publish again.`,
    );
    this.name = 'UnroutableError';
  }
}

/** The broker may or may not have the message: only publishing it again, under the same id, makes it safe. */
export class UnconfirmedError extends Error {
  constructor(why: string) {
    super(`The broker did not confirm the message: ${why}.`);
    this.name = 'UnconfirmedError';
  }
}
