import { queues, type AnyEvent } from '../contracts';
import { type Transaction } from '../database';
import { failpoint } from '../faults';
import { waitingAggregates, type Outbox, type OutgoingMessage } from '../messaging';
import { type Logger } from '../observability';
import { takeUnansweredAmendments } from './amendmentRows';
import { amendReservation } from './amendments';
import { changeOrders, closingEvent, type ChangeOptions, type ChangeOutcome } from './changeOrders';
import { giveUpClosings, takeUnanswered, type ClosingTable, type UnansweredClosing } from './closingRows';
import { orderCreated } from './createOrder';
import { type OrderChange } from './order';
import { readLines } from './orderRows';
import { watchPayments } from './watchPayments';
import { anyLate, lockOverdue, takeLate } from './watchRows';

export interface WatchdogOptions {
  outbox: Outbox;
  log: Logger;
  changing: ChangeOptions;
  onChanged: (outcomes: ChangeOutcome[]) => void;
  intervalMs: number;
  /** How many orders one transaction takes. */
  batchSizeMax: number;
  /**
   * How many messages wait in a queue of inventory or accounts. While these are many, asking again would only make
   * the queue longer; Infinity while the broker is away, when what is to be said waits in the outbox already.
   */
  queued: (queue: string) => Promise<number>;
}

export interface Watchdog {
  /**
   * One look, now: how many orders it expired, for how many it asked inventory again and for how many accounts, and of how many
   * closings and changes it told again.
   */
  look(): Promise<{ expired: number; republished: number; unpaid: number; retold: number }>;
  stop(): Promise<void>;
}

/**
 * Sees that no order waits for ever. An order PENDING for too long is published again, because its event or the answer may be
 * lost on the way: after 30 s (by default), then each time it has become twice as old. At its deadline it is cancelled as
 * EXPIRED, and whatever is or will be reserved for it is released. Accounts is asked again for payments in the same way. A closing
 * that inventory or accounts has not answered is told again, too, so that no stock stays held, and no money kept, for an order that
 * does not want it; and so is a change of an order's lines, so that none hangs. Time is the database's; any number of watchdogs may
 * run.
 */
export function startWatchdog(options: WatchdogOptions): Watchdog {
  const { outbox, log, batchSizeMax, intervalMs } = options;
  let stopped = false;
  let looking: Promise<unknown> = Promise.resolve();
  let timer = schedule();

  return {
    look,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };

  function schedule(): NodeJS.Timeout {
    const next = setTimeout(() => {
      looking = look()
        .catch((error: unknown) => log.warn({ err: error }, 'watchdog could not look; it will look again'))
        .finally(() => (timer = stopped ? timer : schedule()));
    }, intervalMs);
    return next.unref();
  }

  async function look() {
    failpoint('watchdog.starting');
    const expired = await untilEmpty(giveUpOverdue);
    const late = await outbox.transaction(async (tx) => ({ result: await anyLate(tx), messages: [] }));
    const republished = late.isUndecided ? await askInventory() : 0;
    const unpaid = late.isUnpaid ? await askAccounts() : 0;
    const closings = await outbox.transaction((tx) => tellAgain(tx, options));
    const retold = closings + (await outbox.transaction((tx) => askAgain(tx, options)));
    if (expired + republished + unpaid + retold > 0) {
      failpoint('watchdog.committed');
      log.warn({ expired, republished, unpaid, retold }, 'orders waited too long for an answer');
    }
    return { expired, republished, unpaid, retold };
  }

  async function giveUpOverdue(): Promise<number> {
    const outcomes = await outbox.transaction((tx) => expire(tx, options));
    options.onChanged(outcomes);
    return outcomes.length;
  }

  async function askInventory(): Promise<number> {
    return (await mayAskAgain(queues.orderCreated)) ? outbox.transaction((tx) => republish(tx, options)) : 0;
  }

  async function askAccounts(): Promise<number> {
    const watching = { ...options, mayAskAgain: await mayAskAgain(queues.orderReserved) };
    return outbox.transaction(async (tx) => {
      const messages = await watchPayments(tx, watching);
      failpoint('watchdog.saved');
      return { result: messages.length, messages };
    });
  }

  /** The broker is asked only when there is something to repeat, and never inside a transaction. */
  async function mayAskAgain(queue: string): Promise<boolean> {
    return (await options.queued(queue)) <= batchSizeMax;
  }

  async function untilEmpty(step: () => Promise<number>) {
    let total = 0;
    for (let count = batchSizeMax; count === batchSizeMax && !stopped; ) total += count = await step();
    return total;
  }
}

async function expire(tx: Transaction, { changing, batchSizeMax }: WatchdogOptions) {
  const overdue = await lockOverdue(tx, batchSizeMax);
  const reason = { code: 'EXPIRED' as const, message: 'Inventory gave no answer before the deadline', lines: [] };
  const outcomes = await changeOrders(
    tx,
    overdue.map((orderId): OrderChange => ({ orderId, trigger: 'ExpireOrder', reason })),
    changing,
  );
  if (overdue.length > 0) failpoint('watchdog.saved');
  return { result: outcomes, messages: outcomes.flatMap((outcome) => outcome.messages) };
}

/** At most one batch a look, and never for an order whose event still waits in the outbox: a backlog is not helped by repeating it. */
async function republish(tx: Transaction, { changing, batchSizeMax }: WatchdogOptions) {
  const late = await takeLate(tx, batchSizeMax);
  const inOutbox = await waitingAggregates(
    tx,
    'orders',
    late.map((order) => order.id),
  );
  const messages = await toMessages(
    tx,
    late.filter((order) => !inOutbox.has(order.id)),
    changing.newId,
  );
  if (late.length > 0) failpoint('watchdog.saved');
  return { result: messages.length, messages };
}

/**
 * Inventory is told again what to let go, and accounts what to give back. Inventory may be of another make and never answer, so that
 * is given up in the end; of money nothing is ever given up.
 */
async function tellAgain(tx: Transaction, options: WatchdogOptions) {
  const givenUp = await giveUpClosings(tx, ANSWER_LIMIT_MS, options.batchSizeMax);
  if (givenUp > 0)
    options.log.error({ closings: givenUp }, 'inventory never answered for closed orders; look whether it holds stock for them');
  const messages = [
    ...(await untold(tx, 'closings', closingEvent, options)),
    ...(await untold(tx, 'refunds', refundCommand, options)),
  ];
  return { result: messages.length, messages };
}

/** As with orders, at most one batch a look, and nothing that still waits in the outbox. */
async function untold(
  tx: Transaction,
  table: ClosingTable,
  bodyOf: (closing: UnansweredClosing) => AnyEvent,
  { changing, batchSizeMax }: WatchdogOptions,
): Promise<OutgoingMessage[]> {
  const late = await takeUnanswered(tx, table, batchSizeMax);
  const inOutbox = await waitingAggregates(
    tx,
    'orders',
    late.map(({ orderId }) => orderId),
  );
  const untold = late.filter(({ orderId }) => !inOutbox.has(orderId));
  return untold.map((closing) => ({
    ...{ id: changing.newId(), correlationId: closing.correlationId },
    body: bodyOf(closing),
  }));
}

function refundCommand({ orderId, customerId }: UnansweredClosing): AnyEvent {
  return { event: 'RefundPayment', order_id: orderId, customer_id: customerId };
}

/** What inventory has answered it answers the same again; what it never heard of in time it refuses. So each ends, however late. */
async function askAgain(tx: Transaction, { changing, batchSizeMax }: WatchdogOptions) {
  const late = await takeUnansweredAmendments(tx, batchSizeMax, ASK_AGAIN_MAX_MS);
  const inOutbox = await waitingAggregates(
    tx,
    'orders',
    late.map(({ orderId }) => orderId),
  );
  const messages = late
    .filter(({ orderId }) => !inOutbox.has(orderId))
    .map((amendment) => amendReservation(amendment, changing.newId));
  return { result: messages.length, messages };
}

/** An hour: whoever waits for an answer since yesterday shall not wait until tomorrow once inventory is back. */
const ASK_AGAIN_MAX_MS = 3_600_000;

/** A day: no outage that stock should be held through is longer. */
const ANSWER_LIMIT_MS = 86_400_000;

async function toMessages(
  tx: Transaction,
  orders: { id: string; customerId: string; correlationId: string }[],
  newId: () => string,
): Promise<OutgoingMessage[]> {
  const lines = await readLines(
    tx,
    orders.map((order) => order.id),
  );
  return orders.map((order) => orderCreated({ ...order, lines: lines.filter((line) => line.orderId === order.id) }, newId));
}
