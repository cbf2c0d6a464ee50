import { setImmediate, setTimeout } from 'node:timers/promises';

import { isPassingFault, type Database } from '../database';
import { type Logger, type Metrics } from '../observability';
import { type Channels, type Outcome } from './channels/channel';
import { deliveryPauseMs, type RetryLimits } from './deliveryBackoff';
import { pruneFinished, recordAttempts, takeDue, type Attempted, type TakenDelivery } from './deliveryRows';

export interface DispatcherOptions {
  database: Database;
  channels: Channels;
  log: Logger;
  metrics: Metrics;
  /** 0 to below 1, for the jitter of retries. */
  random: () => number;
  retry: RetryLimits;
  /** How long one attempt may take; the channels keep to it. */
  timeoutMs: number;
  /** Deliveries on their way from this process: in all, and to one receiver. */
  concurrencyMax: number;
  perReceiverMax: number;
  /** How often it is looked for what has become due. */
  lookIntervalMs: number;
  /** Finished deliveries are kept for so long. */
  keepDays: number;
  /** How long a stop waits for what is on its way. */
  drainMs: number;
}

/**
 * Sends deliveries: takes what is due under a lease, sends it outside of any transaction, writes down what it met with. A receiver
 * that is slow holds up its own few, and nobody else; a customer with many such receivers holds up its own share. A crash at any
 * moment leaves a lease that ends, and the delivery is sent again under the same event id. Any number of dispatchers may run.
 */
export class Dispatcher {
  private readonly sending = { toReceiver: new Map<string, number>(), forCustomer: new Map<string, number>() };
  private readonly underWay = new Set<Promise<void>>();
  private met: Attempted[] = [];
  private recording: Promise<void> | undefined;
  private running: Promise<void> | undefined;
  private pause = new AbortController();
  private isStopping = false;
  private pruneAt = 0;

  constructor(private readonly options: DispatcherOptions) {}

  start(): Promise<void> {
    this.running = this.run();
    return Promise.resolve();
  }

  /** Takes no more, and waits for what is on its way; what takes too long is sent again when its lease has ended. */
  async stop(): Promise<void> {
    const { drainMs, channels } = this.options;
    this.isStopping = true;
    this.pause.abort();
    await this.running;
    const limit = new AbortController();
    const { signal } = limit;
    await Promise.race([Promise.allSettled(this.underWay), setTimeout(drainMs, undefined, { signal }).catch(() => undefined)]);
    limit.abort();
    await Promise.all(Object.values(channels).map((channel) => channel.close()));
    await this.recording;
  }

  private async run() {
    const { log } = this.options;
    while (!this.isStopping) {
      try {
        await this.prune();
        await this.take();
      } catch (error) {
        log.warn({ err: error }, 'the database cannot serve; deliveries wait');
      }
      await this.rest();
    }
  }

  private async take() {
    const { database, timeoutMs, concurrencyMax, perReceiverMax } = this.options;
    const limit = concurrencyMax - this.underWay.size;
    if (limit <= 0) return;
    const leaseMs = timeoutMs + LEASE_MARGIN_MS;
    for (const delivery of await takeDue(database, { leaseMs, limit, perReceiverMax, sending: this.sending })) {
      const work = this.deliver(delivery).finally(() => this.underWay.delete(work));
      this.underWay.add(work);
    }
  }

  /** Until the next look; a place that has become free is a reason to look at once. */
  private async rest() {
    if (this.isStopping) return;
    const { signal } = this.pause;
    await setTimeout(this.options.lookIntervalMs, undefined, { signal }).catch(() => undefined);
    this.pause = new AbortController();
  }

  private async deliver(delivery: TakenDelivery) {
    const { metrics } = this.options;
    const { channel } = delivery;
    this.count(delivery, 1);
    const startedAt = performance.now();
    const outcome = await this.attempt(delivery);
    metrics.notificationAttempts.inc({ channel, outcome: outcome.type });
    await this.record(this.judge(delivery, outcome, Math.round(performance.now() - startedAt)));
    this.count(delivery, -1);
    this.pause.abort();
  }

  private count({ receiver, customerId }: TakenDelivery, more: 1 | -1) {
    const { toReceiver, forCustomer } = this.sending;
    add(toReceiver, receiver, more);
    add(forCustomer, customerId, more);
  }

  private attempt(delivery: TakenDelivery): Promise<Outcome> | Outcome {
    const { channels, retry } = this.options;
    const { attempt, isWanted, channel } = delivery;
    if (!isWanted) return { type: 'failed', error: 'The subscription is not active any more', hopeless: true };
    // Taken more often than it may be tried: nobody lived to write down what became of it.
    if (attempt > retry.attemptsMax)
      return { type: 'failed', error: 'Each process that sent it ended before it could say what became of it', hopeless: true };
    return channels[channel].send(delivery);
  }

  private judge({ id, attempt, at, ...delivery }: TakenDelivery, outcome: Outcome, durationMs: number): Attempted {
    const { log, retry, random } = this.options;
    const met = { id, attempt, at, durationMs, status: outcome.status };
    if (outcome.type === 'delivered') return { ...met, state: 'DELIVERED' };
    const error = storable(outcome.error);
    const pauseMs = outcome.hopeless ? undefined : deliveryPauseMs(attempt, retry, random);
    const { channel, orderId, receiver } = delivery;
    log.warn({ deliveryId: id, channel, orderId, receiver, attempt, error, pauseMs }, 'a notification was not delivered');
    return { ...met, error, pauseMs, state: pauseMs === undefined ? 'DEAD' : 'WAITING' };
  }

  /** Whatever was met with while the last was written down is written down together. */
  private record(met: Attempted): Promise<void> {
    this.met.push(met);
    return (this.recording ??= this.writeDown());
  }

  private async writeDown() {
    await setImmediate();
    while (this.met.length > 0) await this.write(this.met.splice(0, RECORD_BATCH_MAX));
    this.recording = undefined;
  }

  /** While the database is away it is tried again, until a stop: a receipt that is not written down is a delivery sent twice. */
  private async write(batch: Attempted[]) {
    const { database, log } = this.options;
    for (;;) {
      try {
        return await recordAttempts(database, batch);
      } catch (error) {
        log.warn({ err: error, attempts: batch.length }, 'what became of deliveries could not be written down');
        if (this.isStopping || !isPassingFault(error)) return;
        await setTimeout(WRITE_PAUSE_MS);
      }
    }
  }

  /** A batch a look while there is one to prune, then not for an hour. */
  private async prune() {
    const { database, keepDays } = this.options;
    if (performance.now() < this.pruneAt) return;
    const pruned = await pruneFinished(database, keepDays, PRUNE_BATCH_MAX);
    if (pruned === 0) this.pruneAt = performance.now() + PRUNE_INTERVAL_MS;
  }
}

/** What is at 0 is forgotten. */
function add(counts: Map<string, number>, key: string, more: number) {
  const count = (counts.get(key) ?? 0) + more;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

/** For the way to the database and back. */
const LEASE_MARGIN_MS = 20_000;
const RECORD_BATCH_MAX = 200;
const WRITE_PAUSE_MS = 1_000;
const PRUNE_BATCH_MAX = 1_000;
const PRUNE_INTERVAL_MS = 3_600_000;

/** NUL is the one character that Postgres cannot keep; and a reason is for people. */
function storable(error: string): string {
  return error.replaceAll('\u0000', '\ufffd').toWellFormed().slice(0, 500);
}
