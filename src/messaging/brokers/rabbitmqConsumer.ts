import { type AmqpConnection } from './amqp';
import { type Link } from './rabbitmqLink';
import { openSession, type Session, type SessionOptions } from './rabbitmqSession';

export interface RabbitmqConsumerOptions extends SessionOptions {
  link: Link;
  onChange: () => void;
  /** Cancelled, and the last delivery in hand is settled. */
  onEnd(): void;
}

/** Consumes one queue on a channel of its own, and does so again after every loss of that channel, until it is cancelled. */
export class RabbitmqConsumer {
  /** Set while deliveries flow. */
  private session?: Session;
  private attaching = false;
  private cancelled = false;
  /** Why nothing is consumed at the moment; for the status. */
  trouble?: string;

  constructor(private readonly options: RabbitmqConsumerOptions) {}

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
      }
      // Without a failure, too, it may not have attached: whoever restores the connection may be about to.
      if (!this.session) await new Promise((resolve) => setTimeout(resolve, pauseMs).unref());
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
