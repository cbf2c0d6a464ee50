import { type Database } from '../database';
import { type Logger } from '../observability';
import { readMarks, type OrderMark } from './markRows';

/** Tells of decisions on amendments to whoever waits for them in this process, whichever process decides. Changes of orders: `followOrders`. */
export interface OrderWatch {
  /** Resolves when this amendment is decided, or `signal` is aborted. */
  untilDecided(orderId: string, amendment: number, signal: AbortSignal): Promise<void>;
}

export interface OrderWatchOptions {
  database: Database;
  log: Logger;
  /** Between two looks; nobody looks while nobody waits. */
  intervalMs: number;
}

/**
 * Looks at all orders that somebody waits for, with one query of primary keys each time. A waiter costs an entry here and nothing
 * else, so that a slow listener heaps nothing up: when it asks again, it gets what is true then. Events would tell sooner, and not in
 * a process that has no queue of its own; and an amendment that was rejected changes no order.
 */
export function createOrderWatch({ database, log, intervalMs }: OrderWatchOptions): OrderWatch {
  const waiters = new Set<Waiter>();
  let isLooking = false;

  return {
    untilDecided: (orderId, amendment, signal) =>
      wait(orderId, ({ underWay }) => underWay !== amendment, signal).then(() => undefined),
  };

  function wait(orderId: string, isAwaited: Waiter['isAwaited'], signal: AbortSignal): Promise<OrderMark | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const waiter: Waiter = { orderId, isAwaited, end };
      const onAbort = () => end(undefined);
      function end(mark: OrderMark | undefined) {
        waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
        resolve(mark);
      }
      signal.addEventListener('abort', onAbort);
      waiters.add(waiter);
      if (!isLooking) void look();
    });
  }

  async function look() {
    isLooking = true;
    while (waiters.size > 0) {
      await tellWhoWaits().catch((error: unknown) => log.warn({ err: error }, 'orders could not be watched; looking again'));
      await new Promise((resolve) => setTimeout(resolve, intervalMs));
    }
    isLooking = false;
  }

  async function tellWhoWaits() {
    const marks = await readMarks(database, [...new Set([...waiters].map(({ orderId }) => orderId))]);
    for (const waiter of [...waiters]) {
      const mark = marks.get(waiter.orderId);
      if (mark && waiter.isAwaited(mark)) waiter.end(mark);
    }
  }
}

interface Waiter {
  orderId: string;
  isAwaited: (mark: OrderMark) => boolean;
  end: (mark: OrderMark | undefined) => void;
}
