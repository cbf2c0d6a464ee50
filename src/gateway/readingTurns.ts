import { setTimeout } from 'node:timers/promises';

import { type Caller } from '../identity';

/**
 * Who may read a document next. To read one that was never seen takes up to tens of milliseconds in which the process does nothing
 * else, so documents are read one at a time, and after each everybody else has twice as long: whoever sends many of them has a third
 * of the process, and an order on its way meets one of them and not all. Callers take turns, so that a new document of one does not
 * wait for all those of another. One of these is shared by all doors of a process.
 */
export class ReadingTurns {
  /** By caller, whoever is next first. */
  private readonly waiting = new Map<string, (() => void)[]>();
  private isTaken = false;

  /**
   * Resolves to true when the caller may read, which it does at once and without waiting for anything in between; to false when it
   * waits to read too many already.
   */
  async take(caller: Caller | undefined): Promise<boolean> {
    if (this.isTaken) {
      const queue = this.queueOf(nameOf(caller));
      if (queue.length >= WAITING_MAX) return false;
      await new Promise<void>((begin) => queue.push(begin));
    }
    this.isTaken = true;
    void this.passOn();
    return true;
  }

  private queueOf(caller: string): (() => void)[] {
    const queue = this.waiting.get(caller) ?? [];
    this.waiting.set(caller, queue);
    return queue;
  }

  private async passOn(): Promise<void> {
    const startedAtMs = performance.now();
    // What was resolved in this turn of the event loop is done before its next tick, and the reading with it.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const tookMs = performance.now() - startedAtMs;
    await (tookMs < SHORT_MS ? new Promise(setImmediate) : setTimeout(Math.min(REST * tookMs, REST_MAX_MS)));
    const [next] = this.waiting;
    if (!next) return void (this.isTaken = false);
    const [caller, queue] = next;
    const begin = queue.shift()!;
    // Behind all others that wait.
    this.waiting.delete(caller);
    if (queue.length > 0) this.waiting.set(caller, queue);
    begin();
  }
}

/** How long others have, in times of what a reading took; none for what is over before anybody could notice, and not without end. */
const REST = 2;
const SHORT_MS = 1;
const REST_MAX_MS = 100;
/** Of one caller: a shop asks for all its customers by one login, and all at once where a gateway has just started. */
const WAITING_MAX = 1_000;

function nameOf(caller: Caller | undefined): string {
  if (!caller) return 'nobody known';
  return caller.role === 'customer' ? `customer ${caller.customerId}` : `${caller.role} ${caller.name}`;
}
