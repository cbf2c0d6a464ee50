import { randomUUID } from 'node:crypto';

import { type Logger } from '../../observability';
import { type Delivery, type MessageProperties, UnroutableError } from '../broker';
import { type Acks } from './acks';
import { type AmqpMessage } from './amqp';
import { attemptOf, givenUpByBroker, sentProperties, shownProperties } from './rabbitmqProperties';
import { type Outgoing, type Publisher } from './rabbitmqPublisher';
import { retryQueue } from './rabbitmqQueues';
import { deadLetterExchange, deadLetterHeaderNames, deadLetterHeaders, deadQueue, storyHeaders } from './wireNames';

export interface DeliveryOptions {
  queue: string;
  /** Sends the copies for retries and dead letters. */
  publisher: Publisher;
  /** Declares again what was declared: the queue may have been deleted under us. */
  redeclare: () => Promise<void>;
  log?: Logger;
}

/** The ways a delivery of one channel is settled. */
export interface Settlement {
  acks: Acks;
  isOpen(): boolean;
  reject(message: AmqpMessage, requeue: boolean): void;
  /** After a cancel the channel lives on for the deliveries in hand, and no longer. */
  endWhenDone(): void;
}

/** A message that RabbitMQ handed to us. Settling it after its channel is gone does nothing, for the broker has it back. */
export class RabbitmqDelivery implements Delivery {
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
    private readonly options: DeliveryOptions,
  ) {
    const headers = message.properties.headers ?? {};
    this.queue = options.queue;
    const givenUp = givenUpByBroker(headers);
    // Anyone can forge these headers, so that any of them may be no text at all.
    this.exchange = textOr(headers[storyHeaders.exchange], textOr(givenUp?.exchange, message.fields.exchange));
    this.routingKey = textOr(headers[storyHeaders.routingKey], textOr(givenUp?.['routing-keys']?.[0], message.fields.routingKey));
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
    // Not by the default exchange: a role that may publish there may publish into every queue.
    await this.moveTo(deadLetterExchange, retryQueue(this.queue, waitMs), { [storyHeaders.attempt]: this.attempt + 1 }, waitMs);
  }

  async deadLetter(reason: string): Promise<void> {
    if (!this.take()) return;
    // A dead letter that is refused once more stays with the dead letters of its queue.
    const key = this.queue.endsWith(deadSuffix) ? this.queue.slice(0, -deadSuffix.length) : this.queue;
    // Handed out before, it may have died before: then no header of its own can tell the two copies apart, and none is given.
    const deathId = this.redelivered ? undefined : randomUUID();
    await this.moveTo(deadLetterExchange, key, {
      [deadLetterHeaderNames.death]: undefined,
      ...deadLetterHeaders(this.queue, this.attempt, reason, deathId),
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
    expirationMs?: number,
  ): Promise<void> {
    const outgoing: Outgoing = {
      exchange,
      routingKey,
      body: this.message.content,
      properties: { ...sentProperties(this.message.properties), headers: this.storyOf(headers) },
      mandatory: true,
      expirationMs,
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
      // RabbitMQ takes these for more routing keys: every copy of ours would be sent to the original's recipients once more.
      CC: undefined,
      BCC: undefined,
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

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
