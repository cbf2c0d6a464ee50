import { type Logger } from '../../observability';
import { type AmqpConnection } from './amqp';

export interface LinkOptions {
  /** For logs: what the connection is for. */
  purpose: string;
  connect: () => Promise<AmqpConnection>;
  /** How many calls of `connect` try every node once; the pauses grow with each such round. */
  triesPerRound: number;
  /** Opens what lives on the connection; its last step must be a round trip to the broker. */
  build: (connection: AmqpConnection) => Promise<void>;
  /** Ends the socket without asking the other side. */
  destroy: (connection: AmqpConnection, reason: string) => void;
  /** An error in words that hold no password. */
  describe(error: unknown): string;
  random: () => number;
  setupTimeoutMs: number;
  reconnectDelayMaxMs: number;
  log?: Logger;
  onChange?: () => void;
}

export type LinkState = 'connecting' | 'ready' | 'blocked' | 'closed';

/**
 * A connection that is supervised by us instead of by amqplib's `recovery`. That one restores a connection only, is deaf while
 * `setup` runs and does not notice a cut there; here one rule covers every case: listeners are on before anything is built, and
 * any fault, also a slow build, tears the whole session down and builds it anew.
 *
 * connecting → ready ⇄ blocked; a fault leads back to connecting, after 0.1, 0.2, 0.4 … s up to the maximum, half of it drawn.
 * The nodes of a cluster are tried in turn, with the same pause before each of one round.
 */
export class Link {
  state: LinkState = 'connecting';
  detail = 'not connected yet';
  private connection?: AmqpConnection;
  private readonly waiters = new Set<() => void>();
  private wake?: () => void;

  constructor(private readonly options: LinkOptions) {}

  start(): void {
    void this.supervise();
  }

  /** The connection once it is built; rejects after `timeoutMs`, if given, or when the link is closed. */
  async ready(timeoutMs = longestTimerMs): Promise<AmqpConnection> {
    const deadline = performance.now() + timeoutMs;
    while (!this.connection) {
      const leftMs = deadline - performance.now();
      if (this.state === 'closed') throw new Error('the connection to RabbitMQ is closed');
      if (leftMs <= 0) throw new Error(`RabbitMQ is not connected: ${this.detail}`);
      await this.nextChange(leftMs);
    }
    return this.connection;
  }

  /** Treats the connection as broken. */
  drop(reason: string): void {
    if (this.connection) this.options.destroy(this.connection, reason);
  }

  async close(timeoutMs: number): Promise<void> {
    const connection = this.connection;
    this.connection = undefined;
    this.change('closed', 'closed');
    this.wake?.();
    if (!connection) return;
    await Promise.race([connection.close().catch(() => undefined), pause(timeoutMs)]);
    this.options.destroy(connection, 'closed by us');
  }

  private async supervise(): Promise<void> {
    const { triesPerRound } = this.options;
    for (let failures = 0; this.state !== 'closed'; ) {
      try {
        const session = await this.open();
        failures = 0;
        throw await session.ended;
      } catch (error) {
        if (this.isClosed()) return;
        this.connection = undefined;
        const why = this.options.describe(error);
        this.change('connecting', why);
        this.options.log?.warn({ purpose: this.options.purpose, why }, 'No connection to RabbitMQ; trying again.');
        await this.rest(Math.floor(failures++ / triesPerRound));
      }
    }
  }

  /** Connects and builds; then `session.ended` settles with the reason when the session is over. */
  private async open(): Promise<{ ended: Promise<Error> }> {
    const { connect, build, destroy, purpose, setupTimeoutMs, log } = this.options;
    const connection = await connect();
    let fault: Error | undefined;
    const ended = new Promise<Error>((resolve) => {
      connection.on('error', (error: Error) => (fault = error));
      connection.on('close', (error?: Error) => resolve(fault ?? error ?? new Error('RabbitMQ closed the connection')));
    });
    connection.on('handler-error', (error: Error) => log?.error({ err: error, purpose }, 'A listener of ours threw.'));
    connection.on('blocked', (reason: string) => this.change('blocked', `RabbitMQ takes no messages for now: ${reason}`));
    connection.on('unblocked', () => this.state === 'blocked' && this.change('ready', 'connected'));
    const slow = timeLimit(setupTimeoutMs, 'RabbitMQ did not answer while the connection was set up');
    try {
      await Promise.race([build(connection), ended.then(rejectWith), slow.passed]);
      if (this.isClosed()) throw new Error('closed by us');
    } catch (error) {
      destroy(connection, 'the connection could not be set up');
      throw error;
    } finally {
      slow.clear();
    }
    this.connection = connection;
    if (this.state !== 'blocked') this.change('ready', 'connected');
    return { ended };
  }

  private isClosed(): boolean {
    return this.state === 'closed';
  }

  private change(state: LinkState, detail: string): void {
    this.state = state;
    this.detail = detail;
    for (const waiter of this.waiters) waiter();
    this.waiters.clear();
    this.options.onChange?.();
  }

  private nextChange(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.waiters.add(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private rest(failures: number): Promise<void> {
    const ceilingMs = Math.min(100 * 2 ** Math.min(failures, 20), this.options.reconnectDelayMaxMs);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ceilingMs / 2 + (this.options.random() * ceilingMs) / 2);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function rejectWith(error: Error): never {
  throw error;
}

function timeLimit(ms: number, message: string): { passed: Promise<never>; clear(): void } {
  let timer: NodeJS.Timeout;
  const passed = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new Error(message)), ms)));
  return { passed, clear: () => clearTimeout(timer) };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

const longestTimerMs = 2 ** 31 - 1;
