import { setImmediate, setTimeout } from 'node:timers/promises';

import { type Caller } from '../identity';

/**
 * Who may read a document next. To read one that was never seen takes up to tens of milliseconds in which the process does nothing else, so
 * documents are read one at a time, and after each everybody else has twice as long: whoever sends many of them has a third of the
 * process, and an order on its way meets one of them and not all. Callers take turns, so that a new document of one does not
 * wait for all those of another.
 */
export class ReadingTurns {
  /** By caller, whoever is next first. */
  private readonly waiting = new Map<string, (() => void)[]>();
  private isTaken = false;

  /** Resolves when the caller may read; it reads at once, and without waiting for anything in between. */
  async take(caller: Caller | undefined): Promise<void> {
    if (this.isTaken) await this.wait(nameOf(caller));
    this.isTaken = true;
    void this.passOn();
  }

  private wait(caller: string): Promise<void> {
    const queue = this.waiting.get(caller) ?? [];
    this.waiting.set(caller, queue);
    return new Promise((begin) => queue.push(begin));
  }

  private async passOn(): Promise<void> {
    const startedAtMs = performance.now();
    await setImmediate();
    await setTimeout(REST * (performance.now() - startedAtMs));
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

/** How long others have, in times of what a reading took. */
const REST = 2;

function nameOf(caller: Caller | undefined): string {
  if (!caller) return 'nobody known';
  return caller.role === 'customer' ? `customer ${caller.customerId}` : `${caller.role} ${caller.name}`;
}
