import { type Logger } from '../../observability';
import { type Publication, UnconfirmedError, UnroutableError } from '../broker';
import { type AmqpConfirmChannel, type AmqpConnection, type AmqpMessage, type PublishOptions } from './amqp';
import { type Link } from './rabbitmqLink';
import { storyHeaders } from './wireNames';

export interface PublisherOptions {
  link: Link;
  confirmTimeoutMs: number;
  /** How many publications may be unconfirmed on the wire; the rest waits here. */
  windowMax: number;
  /** Declares again what was declared: called when the broker says that an exchange is gone. */
  redeclare: () => Promise<void>;
  log?: Logger;
}

/** What goes out: a publication, or a copy of our own. */
export interface Outgoing extends Publication {
  /** Not part of `unsettled`. */
  uncounted?: boolean;
}

/**
 * Publishes with confirms. A publication waits while there is no channel, while the broker blocks us and while the window is
 * full; it is sent once, and ends in exactly one way: confirmed, returned, or lost sight of within the confirm timeout.
 */
export class Publisher {
  private channel?: AmqpConfirmChannel;
  private readonly waiting = new Set<Pending>();
  private readonly inFlight = new Map<number, Pending>();
  /** Exchanges seen on the broker: publishing to a missing one would close the channel under everyone else's messages. */
  private readonly known = new Set<string>(['']);
  private readonly checks = new Map<string, Promise<void>>();
  /** Of all that is under way, the copies of our own. */
  private uncounted = 0;
  private openedAt = 0;
  private lastNumber = 0;
  private lastConfirmAt = 0;
  private channelError?: string;
  private sweep?: NodeJS.Timeout;
  private closed = false;

  constructor(private readonly options: PublisherOptions) {}

  /** Opens the confirm channel; part of building the link. Selecting confirms is the round trip that shows it to be alive. */
  async open(connection: AmqpConnection): Promise<void> {
    const channel = await connection.createConfirmChannel();
    if (this.channel) return channel.close();
    this.channelError = undefined;
    channel.on('error', (error: Error) => (this.channelError = error.message));
    channel.on('handler-error', (error: Error) => this.options.log?.error({ err: error }, 'A listener of ours threw.'));
    channel.on('return', (message: AmqpMessage) => this.returned(message));
    channel.on('close', () => this.channelLost(channel));
    this.channel = channel;
    this.openedAt = performance.now();
    this.pump();
  }

  publish(outgoing: Outgoing): Promise<void> {
    if (this.known.has(outgoing.exchange)) return this.enqueue(outgoing);
    if (this.closed) return Promise.reject(new UnconfirmedError(CLOSED));
    return this.check(outgoing.exchange).then(() => this.enqueue(outgoing));
  }

  private enqueue(outgoing: Outgoing): Promise<void> {
    if (this.closed) return Promise.reject(new UnconfirmedError(CLOSED));
    const outcome = new Promise<void>((resolve, reject) => {
      const number = ++this.lastNumber;
      this.waiting.add({ outgoing, number, since: performance.now(), returned: false, resolve, reject });
      this.armSweep();
      this.pump();
    });
    if (!outgoing.uncounted) return outcome;
    this.uncounted++;
    return outcome.finally(() => this.uncounted--);
  }

  /** These exchanges are known to exist. */
  declared(exchanges: Iterable<string>): void {
    for (const exchange of exchanges) this.known.add(exchange);
  }

  isClosed(): boolean {
    return this.closed;
  }

  unsettled(): number {
    return Math.max(0, this.inFlight.size + this.waiting.size - this.uncounted);
  }

  /** Sends what was held back while the broker blocked us. */
  pump(): void {
    for (const pending of this.waiting) {
      if (!this.isWritable() || this.inFlight.size >= this.options.windowMax) return;
      if (!this.send(pending)) return;
      this.waiting.delete(pending);
    }
  }

  /** Waits for what is under way, at most for `timeoutMs`; what is open then ends as unconfirmed. */
  async close(timeoutMs: number): Promise<void> {
    this.closed = true;
    const deadline = performance.now() + timeoutMs;
    while (this.inFlight.size + this.waiting.size > 0 && this.isWritable() && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const why = new UnconfirmedError('the connection was closed before the confirm came');
    for (const pending of [...this.inFlight.values(), ...this.waiting]) pending.reject(why);
    this.inFlight.clear();
    this.waiting.clear();
    clearInterval(this.sweep);
    const { channel } = this;
    const answers = this.isWritable();
    this.channel = undefined;
    // A broker that blocks us does not read a polite goodbye either.
    if (answers) await channel?.close().catch(() => undefined);
  }

  private isWritable(): boolean {
    return this.channel !== undefined && this.options.link.state === 'ready';
  }

  /** False when the channel is closing: nothing was written, and the publication goes on waiting. */
  private send(pending: Pending): boolean {
    const { exchange, routingKey, body } = pending.outgoing;
    pending.since = performance.now();
    pending.channel = this.channel;
    try {
      this.channel?.publish(exchange, routingKey, body, optionsOf(pending), (error) => this.confirmed(pending, error));
      this.inFlight.set(pending.number, pending);
    } catch (error) {
      if ((error as Error).name === 'IllegalOperationError') return false;
      // Anything else is about this one message, which cannot be encoded.
      pending.reject(error as Error);
    }
    return true;
  }

  private confirmed(pending: Pending, error: Error | null): void {
    this.lastConfirmAt = performance.now();
    if (!this.inFlight.delete(pending.number)) return;
    const isRefused = error?.message === 'message nacked';
    if (pending.returned) pending.reject(new UnroutableError(pending.outgoing));
    else if (!error) pending.resolve();
    else pending.reject(new UnconfirmedError(isRefused ? 'RabbitMQ refused it' : this.lossReason()));
    if (isRefused) this.replace(pending.channel);
    this.pump();
  }

  /**
   * A channel's first message to a queue, sent after its leader was lost and before there is another, is refused; and RabbitMQ
   * (seen on 3.10) goes on refusing whatever that channel sends there until the lost node is back. A channel opened later finds
   * the new leader. No more than one a second, for the refusal may have another cause, such as a queue that is full.
   */
  private replace(channel: AmqpConfirmChannel | undefined): void {
    if (!channel || channel !== this.channel || performance.now() - this.openedAt < channelAgeMinMs) return;
    this.channel = undefined;
    this.channelError = 'RabbitMQ refused a message on it';
    void this.retire(channel);
    void this.restore();
  }

  /** Closes a channel when everything sent on it has ended, by a confirm or by the confirm timeout. */
  private async retire(channel: AmqpConfirmChannel): Promise<void> {
    while ([...this.inFlight.values()].some((pending) => pending.channel === channel)) {
      await new Promise((resolve) => setTimeout(resolve, 50).unref());
    }
    await channel.close().catch(() => undefined);
  }

  /** A return comes before the confirm of the same publication, which then tells the outcome. */
  private returned(message: AmqpMessage): void {
    const pending = this.inFlight.get(Number(message.properties.headers?.[storyHeaders.publication]));
    if (pending) pending.returned = true;
  }

  private channelLost(channel: AmqpConfirmChannel): void {
    if (this.channel !== channel) return;
    this.channel = undefined;
    const why = new UnconfirmedError(this.lossReason());
    for (const pending of this.inFlight.values()) pending.reject(why);
    this.inFlight.clear();
    this.known.clear();
    this.known.add('');
    if (!this.closed) void this.restore();
  }

  /** A new channel on whichever connection is there; if the connection itself is lost, building the link does it. */
  private async restore(): Promise<void> {
    const { link, redeclare, log } = this.options;
    log?.warn({ why: this.lossReason() }, 'The publishing channel is of no more use; opening another.');
    try {
      const connection = await link.ready();
      if (this.channel || this.closed) return;
      if (this.channelError?.includes('404')) await redeclare().catch(() => undefined);
      await this.open(connection);
    } catch (error) {
      if (!this.closed && !this.channel) link.drop((error as Error).message);
    }
  }

  private lossReason(): string {
    return this.channelError ?? 'the connection was lost';
  }

  /** Asks the broker once, on a channel that may die of it, whether the exchange exists. */
  private check(exchange: string): Promise<void> {
    const running = this.checks.get(exchange);
    if (running) return running;
    const check = this.ask(exchange).finally(() => this.checks.delete(exchange));
    this.checks.set(exchange, check);
    return check;
  }

  private async ask(exchange: string): Promise<void> {
    try {
      const connection = await this.options.link.ready(this.options.confirmTimeoutMs);
      const channel = await connection.createChannel();
      channel.on('error', () => undefined);
      await channel.checkExchange(exchange);
      await channel.close();
      this.known.add(exchange);
    } catch (error) {
      throw new UnconfirmedError((error as Error).message);
    }
  }

  private armSweep(): void {
    this.sweep ??= setInterval(() => this.expire(), Math.max(5, this.options.confirmTimeoutMs / 20));
  }

  private expire(): void {
    const { confirmTimeoutMs, link } = this.options;
    const now = performance.now();
    const isOver = ({ since }: Pending) => now - since >= confirmTimeoutMs;
    const limit = `no confirm came within ${confirmTimeoutMs / 1000} s`;
    for (const pending of this.inFlight.values()) {
      if (!isOver(pending)) break;
      this.inFlight.delete(pending.number);
      pending.reject(new UnconfirmedError(limit));
      // Not one confirm in all that time, and no alarm to explain it: the other side is silent, and TCP may take minutes to say so.
      if (this.isWritable() && now - this.lastConfirmAt >= confirmTimeoutMs) link.drop(limit);
    }
    if (!this.isWritable()) {
      for (const pending of this.waiting) {
        if (!isOver(pending)) break;
        this.waiting.delete(pending);
        pending.reject(new UnconfirmedError(`it could not be sent within ${confirmTimeoutMs / 1000} s: ${link.detail}`));
      }
    }
    if (this.inFlight.size + this.waiting.size > 0) return;
    clearInterval(this.sweep);
    this.sweep = undefined;
  }
}

const CLOSED = 'the broker connection is closed';
const channelAgeMinMs = 1_000;

interface Pending {
  outgoing: Outgoing;
  /** That it was sent on. */
  channel?: AmqpConfirmChannel;
  number: number;
  since: number;
  returned: boolean;
  resolve(): void;
  reject(error: Error): void;
}

/** The broker gives our number back with a returned message: two publications may share a message id. */
function optionsOf({ outgoing: { properties, mandatory, expirationMs }, number }: Pending): PublishOptions {
  const headers = mandatory ? { ...properties.headers, [storyHeaders.publication]: number } : properties.headers;
  const expiration = expirationMs === undefined ? undefined : String(Math.max(1, Math.round(expirationMs)));
  return { ...properties, headers, mandatory, persistent: true, expiration };
}
