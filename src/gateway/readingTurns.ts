import { setTimeout } from 'node:timers/promises';

import { CallerQueues, type Asking, type Waiting } from './callerQueues';

/**
 * Who may read a document next. To read one that was never seen takes up to tens of milliseconds in which the process does nothing
 * else, so documents are read one at a time, and after each everybody else has twice as long: whoever sends many of them has a third
 * of the process, and an order on its way meets one of them and not all. Callers take turns, so that a new document of one does not
 * wait for all those of another. One of these is shared by all doors of a process.
 */
export class ReadingTurns {
  private readonly queues = new CallerQueues<Waiting>();
  private isTaken = false;

  /**
   * Resolves to true when the caller may read, which it does at once and without waiting for anything in between; to false when it
   * waits to read too many already, or has left.
   */
  async take(asking: Asking): Promise<boolean> {
    if (this.isTaken) {
      const mayRead = await new Promise<boolean>((begin) => {
        if (!this.queues.add({ asking, begin })) begin(false);
      });
      if (!mayRead) return false;
    }
    this.isTaken = true;
    void this.passOn();
    return true;
  }

  /** How many wait. */
  waiting(): number {
    return this.queues.size();
  }

  private async passOn(): Promise<void> {
    const startedAtMs = performance.now();
    // What was resolved in this turn of the event loop is done before its next tick, and the reading with it.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const tookMs = performance.now() - startedAtMs;
    await (tookMs < SHORT_MS ? new Promise(setImmediate) : setTimeout(Math.min(REST * tookMs, REST_MAX_MS)));
    const next = this.queues.next();
    if (next) next.begin(true);
    else this.isTaken = false;
  }
}

/** How long others have, in times of what a reading took; none for what is over before anybody could notice, and not without end. */
const REST = 2;
const SHORT_MS = 1;
const REST_MAX_MS = 100;
