import { setTimeout as startTimer } from 'node:timers';
import { setImmediate, setTimeout } from 'node:timers/promises';

import { isPassingFault, type Database } from '../database';
import { type Broker, type Delivery, type Subscription } from '../messaging';
import { type Logger } from '../observability';
import { readArrival, type Arrival } from './deadLetter';
import { areWaiting, keepArrivals } from './deadLetterRows';

export interface KeeperOptions {
  /** Where the letters come from: a dead-letter queue, or `unrouted`. */
  from: string;
  /** The queue they stand under in the table: the one where they died. */
  queue: string;
  /** Given for `unrouted`, which anyone can fill with a misspelt key: letters are taken only while fewer than this many wait. */
  unroutedMax?: number;
  database: Database;
  broker: Broker;
  log: Logger;
  newId: () => string;
}

/** A delivery and what was read of it, once: a second try must not make another letter of it. */
interface InHand {
  delivery: Delivery;
  arrival: Arrival;
}

/**
 * Takes dead letters off their queue into the table, where an operator can work with them. Each is acked after the commit that
 * keeps it, so a crash at any moment leaves it in one of the two places or in both, and what is in both is known again.
 */
export class DeadLetterKeeper {
  private waiting: InHand[] = [];
  private working: Promise<void> | undefined;
  private subscription: Subscription | undefined;
  private readonly stopping = new AbortController();

  constructor(private readonly options: KeeperOptions) {}

  async start(): Promise<void> {
    const { broker, from, newId, unroutedMax } = this.options;
    this.subscription = await broker.consume(from, { prefetch: BATCH_MAX }, (delivery) =>
      this.take({ delivery, arrival: readArrival(delivery, unroutedMax !== undefined, newId) }),
    );
  }

  /** Takes no more, keeps what is in hand, and is done. While the database is away it leaves them to the broker. */
  async stop(): Promise<void> {
    await this.subscription?.cancel();
    this.stopping.abort();
    await this.working;
  }

  private take(letter: InHand) {
    this.waiting.push(letter);
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  private async work() {
    await setImmediate();
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, batchSize(this.waiting));
      await this.keep(batch);
    }
  }

  /** A database that is away is nobody's fault: the batch waits in hand for as long as it takes, or until a stop. */
  private async keep(batch: InHand[]): Promise<void> {
    const { database, queue, log } = this.options;
    const arrivals = batch.map(({ arrival }) => arrival);
    for (let tries = 0; ; tries++) {
      try {
        if (!(await this.isFull())) {
          const { fresh, again } = await keepArrivals(database, queue, arrivals);
          if (fresh.length + again.length > 0) log.info({ queue, kept: fresh.length, again: again.length }, 'dead letters kept');
          return batch.forEach(({ delivery }) => delivery.ack());
        }
        if (tries === 0) log.warn({ queue }, 'so many unrouted messages wait that no more are taken: discard what is not needed');
      } catch (error) {
        if (!isPassingFault(error)) return this.keepOneByOne(batch, error);
        log.warn({ err: error, queue, letters: batch.length }, 'the database cannot serve; dead letters wait in hand');
      }
      const { signal } = this.stopping;
      await setTimeout(PAUSE_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  }

  private async isFull(): Promise<boolean> {
    const { database, queue, unroutedMax } = this.options;
    return unroutedMax !== undefined && (await areWaiting(database, queue, unroutedMax));
  }

  /** No letter is known that the table refuses. Should one come, it holds up none of the others, and stays with the broker. */
  private async keepOneByOne(batch: InHand[], error: unknown) {
    const { log, queue } = this.options;
    if (batch.length > 1) {
      for (const letter of batch) await this.keep([letter]);
      return;
    }
    const [letter] = batch;
    log.error(
      { err: error, queue, messageId: letter?.arrival.messageId },
      'a dead letter cannot be kept; it is tried again later',
    );
    startTimer(() => letter && !this.stopping.signal.aborted && this.take(letter), REFUSED_PAUSE_MS).unref();
  }
}

/** How many letters share one transaction at most. */
const BATCH_MAX = 100;

/** And how many bytes of bodies, so that one statement stays within its time. A single letter may be larger. */
const BATCH_BYTES_MAX = 4 * 1_048_576;

const PAUSE_MS = 1_000;
const REFUSED_PAUSE_MS = 30_000;

function batchSize(letters: InHand[]): number {
  let bytes = 0;
  const tooMany = letters.findIndex(({ arrival }, index) => {
    bytes += arrival.body.length;
    return index >= BATCH_MAX || (index > 0 && bytes > BATCH_BYTES_MAX);
  });
  return tooMany === -1 ? letters.length : tooMany;
}
