import { type Logger } from '../../observability';
import { type Delivery, type MessageProperties, UnroutableError } from '../broker';
import { createAcks, type Acks } from './acks';
import { type AmqpChannel, type AmqpConnection, type AmqpMessage, type AmqpProperties, type PublishOptions } from './amqp';
import { type Link } from './rabbitmqLink';
import { type Outgoing, type Publisher } from './rabbitmqPublisher';
import { retryQueue } from './rabbitmqQueues';
import { deadLetterExchange, deadLetterHeaders, deadQueue, deliveryLimitReason, storyHeaders } from './wireNames';

export interface ConsumerOptions {
  queue: string;
  prefetch: number;
  onDelivery(delivery: Delivery): void;
  publisher: Publisher;
  link: Link;
  /** Declares again what was declared: the queue may have been deleted under us. */
  redeclare: () => Promise<void>;
  onChange: () => void;
  /** Cancelled, and the last delivery in hand is settled. */
  onEnd(): void;
  log?: Logger;
}

/** Consumes one queue on a channel of its own, and does so again after every loss of that channel, until it is cancelled. */
export class Consumer {
  /** Set while deliveries flow. */
  private session?: Session;
  private attaching = false;
  private cancelled = false;
  /** Why nothing is consumed at the moment; for the status. */
  trouble?: string;

  constructor(private readonly options: ConsumerOptions) {}

  get queue(): string {
    return this.options.queue;
  }

  /** Starts consuming on this connection; rejects when the broker refuses. */
  async attach(connection: AmqpConnection): Promise<void> {
    if (this.session || this.attaching || this.cancelled) return;
    this.attaching = true;
    try {
      // Until it is the session of this consumer, its loss is a failure to open and says so by itself.
      const session = await openSession(connection, this.options, (why) => this.session && this.lost(this.session, why));
      if (this.cancelled) return await session.end();
      if (!session.isOpen()) throw new Error('the channel was closed at once');
      this.session = session;
      this.trouble = undefined;
      this.options.onChange();
    } finally {
      this.attaching = false;
    }
  }

  /** Attaches, and keeps trying with a growing pause as long as the connection does not do it first. */
  async restore(): Promise<void> {
    const { link, redeclare, queue, log, onChange } = this.options;
    for (let pauseMs = 50; !this.session && !this.cancelled; pauseMs = Math.min(pauseMs * 2, 5_000)) {
      try {
        const connection = await link.ready();
        await redeclare();
        await this.attach(connection);
      } catch (error) {
        if (this.cancelled || link.state === 'closed') return;
        this.trouble = `queue "${queue}" is not consumed: ${(error as Error).message}`;
        onChange();
        log?.warn({ queue, why: (error as Error).message }, 'Cannot consume; trying again.');
        await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
      }
    }
  }

  async cancel(): Promise<void> {
    this.cancelled = true;
    this.trouble = undefined;
    if (!this.session) return this.options.onEnd();
    await this.session.cancel();
  }

  /** Sends the acks that are due and gives everything else back to the queue. */
  async close(): Promise<void> {
    this.cancelled = true;
    await this.session?.end();
  }

  private lost(session: Session, why: string): void {
    if (session.isOpen()) return;
    this.session = undefined;
    if (this.cancelled) return this.options.onEnd();
    this.trouble = `queue "${this.queue}" is not consumed: ${why}`;
    this.options.onChange();
    void this.restore();
  }
}

/** One channel's life. Deliveries belong to it: once it is gone, settling them does nothing, for the broker has them back. */
interface Session {
  isOpen(): boolean;
  cancel(): Promise<void>;
  end(): Promise<void>;
}

async function openSession(
  connection: AmqpConnection,
  options: ConsumerOptions,
  onLost: (why: string) => void,
): Promise<Session> {
  const { queue, prefetch, log } = options;
  const channel = await connection.createChannel();
  let isOpen = true;
  let isCancelled = false;
  let fault = 'the channel was closed';
  channel.on('error', (error: Error) => (fault = error.message));
  channel.on('handler-error', (error: Error) => log?.error({ err: error, queue }, 'A listener of ours threw.'));
  channel.on('close', () => {
    isOpen = false;
    onLost(fault);
  });
  const settlement = settlementOn(
    channel,
    () => isOpen,
    () => isCancelled,
    options,
  );
  // Per consumer, never `global`: a quorum queue closes the connection over that.
  await channel.prefetch(prefetch, false);
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message) return hand(message, settlement, options);
    fault = 'the queue was deleted';
    channel.close().catch(() => undefined);
  });
  const end = async () => {
    if (!isOpen) return;
    settlement.acks.flush();
    await channel.close().catch(() => undefined);
  };
  return {
    isOpen: () => isOpen,
    async cancel() {
      if (!isOpen || isCancelled) return;
      await channel.cancel(consumerTag).catch(() => undefined);
      isCancelled = true;
      settlement.endWhenDone();
    },
    end,
  };
}

/** The ways a delivery of one channel is settled. */
interface Settlement {
  acks: Acks;
  isOpen(): boolean;
  reject(message: AmqpMessage, requeue: boolean): void;
  /** After a cancel the channel lives on for the deliveries in hand, and no longer. */
  endWhenDone(): void;
}

function settlementOn(
  channel: AmqpChannel,
  isOpen: () => boolean,
  isCancelled: () => boolean,
  { log, queue }: ConsumerOptions,
): Settlement {
  const send = (work: () => void) => {
    if (!isOpen()) return;
    try {
      work();
    } catch (error) {
      log?.warn({ queue, why: (error as Error).message }, 'A settlement came too late; the broker delivers again.');
    }
    endWhenDone();
  };
  const acks = createAcks((tag, allUpTo) => send(() => channel.ack(tagged(tag), allUpTo)));
  const endWhenDone = () => {
    if (isOpen() && isCancelled() && acks.openCount() === 0) channel.close().catch(() => undefined);
  };
  return {
    acks,
    isOpen,
    endWhenDone,
    reject(message, requeue) {
      acks.settled(message.fields.deliveryTag);
      // reject and not nack: RabbitMQ 4.3 no longer counts a nack towards the delivery limit.
      send(() => channel.reject(message, requeue));
    },
  };
}

/** amqplib takes the delivery tag from a message. */
function tagged(deliveryTag: number): AmqpMessage {
  return { fields: { deliveryTag } } as AmqpMessage;
}

function hand(message: AmqpMessage, settlement: Settlement, options: ConsumerOptions): void {
  settlement.acks.open(message.fields.deliveryTag);
  const delivery = new RabbitmqDelivery(message, settlement, options);
  const giveBack = (error: unknown) => {
    options.log?.error({ err: error, queue: options.queue }, 'A consumer threw: its delivery goes back into the queue.');
    delivery.giveBack();
  };
  try {
    const result: unknown = options.onDelivery(delivery);
    if (result instanceof Promise) result.catch(giveBack);
  } catch (error) {
    giveBack(error);
  }
}

class RabbitmqDelivery implements Delivery {
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly body: Buffer;
  readonly properties: MessageProperties;
  readonly redelivered: boolean;
  readonly attempt: number;
  private isSettled = false;

  constructor(
    private readonly message: AmqpMessage,
    private readonly settlement: Settlement,
    private readonly options: ConsumerOptions,
  ) {
    const headers = message.properties.headers ?? {};
    this.queue = options.queue;
    const givenUp = givenUpByBroker(headers);
    this.exchange = textOr(headers[storyHeaders.exchange], givenUp?.exchange ?? message.fields.exchange);
    this.routingKey = textOr(headers[storyHeaders.routingKey], givenUp?.['routing-keys']?.[0] ?? message.fields.routingKey);
    this.body = message.content;
    this.properties = shownProperties(message.properties);
    this.redelivered = message.fields.redelivered;
    this.attempt = attemptOf(headers[storyHeaders.attempt]);
  }

  ack(): void {
    if (!this.take()) return;
    this.settlement.acks.ack(this.message.fields.deliveryTag);
  }

  async retry(delayMs: number): Promise<void> {
    if (!this.take()) return;
    const waitMs = Math.min(Math.max(0, Math.round(delayMs)), 2 ** 31);
    await this.moveTo('', retryQueue(this.queue, waitMs), { [storyHeaders.attempt]: this.attempt + 1 }, String(waitMs));
  }

  async deadLetter(reason: string): Promise<void> {
    if (!this.take()) return;
    // A dead letter that is refused once more stays with the dead letters of its queue.
    const key = this.queue.endsWith(deadSuffix) ? this.queue.slice(0, -deadSuffix.length) : this.queue;
    await this.moveTo(deadLetterExchange, key, {
      ...deadLetterHeaders(this.queue, this.attempt, reason),
      [storyHeaders.attempt]: undefined,
    });
  }

  giveBack(): void {
    if (!this.take()) return;
    this.settlement.reject(this.message, true);
  }

  private take(): boolean {
    if (this.isSettled) return false;
    this.isSettled = true;
    return true;
  }

  /**
   * Publishes a copy, and acks the original only when the copy is confirmed: a crash in between leaves two, never none. While
   * no confirm can be had the copy is published again; once the channel is gone, the broker has the original back anyway.
   */
  private async moveTo(
    exchange: string,
    routingKey: string,
    headers: Record<string, unknown>,
    expiration?: string,
  ): Promise<void> {
    const outgoing: Outgoing = {
      exchange,
      routingKey,
      body: this.message.content,
      options: { ...copiedProperties(this.message.properties), headers: this.storyOf(headers), expiration, mandatory: true },
      uncounted: true,
    };
    while (this.settlement.isOpen()) {
      try {
        await this.options.publisher.publish(outgoing);
        this.settlement.acks.ack(this.message.fields.deliveryTag);
        return;
      } catch (error) {
        if (this.options.publisher.isClosed()) return this.settlement.reject(this.message, true);
        if (isTransient(error)) {
          await new Promise((resolve) => setTimeout(resolve, copyAgainMs).unref());
          await this.options.redeclare().catch(() => undefined);
          continue;
        }
        // No such queue of ours, or headers that cannot be copied: the queue's own dead-lettering takes it as it is.
        this.options.log?.warn({ queue: this.queue, why: (error as Error).message }, 'A message could not be copied; rejected.');
        return this.settlement.reject(this.message, false);
      }
    }
  }

  private storyOf(changes: Record<string, unknown>): Record<string, unknown> {
    const headers: Record<string, unknown> = {
      ...this.message.properties.headers,
      [storyHeaders.exchange]: this.exchange,
      [storyHeaders.routingKey]: this.routingKey,
      ...changes,
    };
    for (const name of Object.keys(headers)) if (headers[name] === undefined) delete headers[name];
    return headers;
  }
}

const deadSuffix = deadQueue('');
const copyAgainMs = 250;

function isTransient(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnconfirmedError' && !(error instanceof UnroutableError);
}

/** What the sender sent, and for a message that the broker itself gave up, why it did. */
function shownProperties(properties: AmqpProperties): MessageProperties {
  const { messageId, type, correlationId, replyTo, appId, contentType, timestamp } = properties as MessageProperties;
  const shown: MessageProperties = { headers: shownHeaders(properties.headers ?? {}) };
  return Object.assign(shown, defined({ messageId, type, correlationId, replyTo, appId, contentType, timestamp }));
}

function shownHeaders(headers: Record<string, unknown>): Record<string, unknown> {
  const story = new Set<string>([...Object.values(storyHeaders), ...brokerHeaders]);
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
function givenUpByBroker(headers: Record<string, unknown>): Death | undefined {
  const [latest] = (Array.isArray(headers['x-death']) ? headers['x-death'] : []) as Death[];
  return latest?.reason === 'delivery_limit' ? latest : undefined;
}

/** What RabbitMQ adds on its own when it moves a message. */
const brokerHeaders = ['x-death', 'x-first-death-exchange', 'x-first-death-queue', 'x-first-death-reason', 'x-delivery-count'];

/** Everything a sender may have set, but `userId`, which would have to be ours, and the expiration. */
function copiedProperties(properties: AmqpProperties): Omit<PublishOptions, 'headers' | 'mandatory'> {
  const { contentType, contentEncoding, priority, correlationId, replyTo, messageId, timestamp, type, appId } =
    properties as unknown as PublishOptions;
  const kept = { contentType, contentEncoding, priority, correlationId, replyTo, messageId, timestamp, type, appId };
  return { persistent: true, ...defined(kept) };
}

function defined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}

function attemptOf(header: unknown): number {
  return Number.isSafeInteger(header) && Number(header) > 0 ? Number(header) : 1;
}
