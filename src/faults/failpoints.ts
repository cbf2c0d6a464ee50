import { perform, type Fault } from './actions';

/**
 * The places where the tests of reliability let a process die, stop or fail: between any two steps that a crash could part.
 * `<queue>.<place>` are the points of the consumer of that queue; `order.create` has none, for it is consumed just as
 * `new_orders_queue` is. Off unless `armFailpoints` was told otherwise.
 */
export const failpoints = [
  { name: 'createOrder.starting', place: 'New orders were checked; nothing is written.' },
  { name: 'createOrder.written', place: 'The statement that commits orders and events is sent; its answer has not come.' },
  { name: 'createOrder.committed', place: 'The orders are committed; nobody was told.' },
  { name: 'relay.claimed', place: 'A sweep has leased events to itself; none of them is published.' },
  { name: 'relay.published', place: 'An event has left the process; its confirm has not come.' },
  { name: 'relay.confirmed', place: 'The broker has an event; its row is still in the outbox.' },
  { name: 'relay.removed', place: 'Published events are gone from the outbox.' },
  {
    name: 'order.created.inventory.starting',
    place: 'Orders are in hand; nothing is reserved for them.',
  },
  {
    name: 'reserveStock.inserted',
    place: 'In the transaction: reservations are inserted, which is our inbox; no counter has moved.',
  },
  { name: 'reserveStock.moved', place: 'In the transaction: counters and movements are written; the answers are not.' },
  {
    name: 'order.created.inventory.written',
    place: 'All is written, the answers too; the commit is next, or its statement under way.',
  },
  { name: 'order.created.inventory.committed', place: 'What was reserved is committed; no order is acked.' },
  { name: 'order.created.inventory.acked', place: 'The acks of these orders have left the process.' },
  { name: 'stock.replies.orders.starting', place: 'Answers are in hand; no order is decided.' },
  {
    name: 'stock.replies.orders.written',
    place: 'Decisions and their events are written; the commit is next, or its statement under way.',
  },
  { name: 'stock.replies.orders.committed', place: 'The decisions are committed; no answer is acked.' },
  { name: 'stock.replies.orders.acked', place: 'The acks of these answers have left the process.' },
  { name: 'order.cancelled.inventory.starting', place: 'Cancels are in hand; the transaction that releases has not begun.' },
  { name: 'order.cancelled.inventory.written', place: 'In the transaction: what cancels let go is written; the commit is next.' },
  { name: 'order.cancelled.inventory.committed', place: 'The releases are committed; no cancel is acked.' },
  { name: 'order.cancelled.inventory.acked', place: 'The acks of these cancels have left the process.' },
  {
    name: 'order.fulfilled.inventory.starting',
    place: 'Fulfilments are in hand; the transaction that takes out the goods has not begun.',
  },
  { name: 'order.fulfilled.inventory.written', place: 'In the transaction: what left the stock is written; the commit is next.' },
  { name: 'order.fulfilled.inventory.committed', place: 'What left the stock is committed; no fulfilment is acked.' },
  { name: 'order.fulfilled.inventory.acked', place: 'The acks of these fulfilments have left the process.' },
  { name: 'order.reserved.accounts.starting', place: 'Totals are in hand; the transaction that takes them has not begun.' },
  {
    name: 'capturePayments.inserted',
    place: 'In the transaction: payments are inserted, which is our inbox; no balance has changed.',
  },
  { name: 'capturePayments.booked', place: 'In the transaction: balances and entries are written; the answers are not.' },
  { name: 'order.reserved.accounts.written', place: 'In the transaction: all is written, the answers too; the commit is next.' },
  { name: 'order.reserved.accounts.committed', place: 'What was taken is committed; no order is acked.' },
  { name: 'order.reserved.accounts.acked', place: 'The acks of these orders have left the process.' },
  {
    name: 'payment.closings.accounts.starting',
    place: 'Refunds are in hand; the transaction that gives the money back has not begun.',
  },
  { name: 'closePayments.booked', place: 'In the transaction: the money is back; the payments still stand as CAPTURED.' },
  { name: 'payment.closings.accounts.written', place: 'In the transaction: what is given back is written; the commit is next.' },
  { name: 'payment.closings.accounts.committed', place: 'The refunds are committed; none is acked.' },
  { name: 'payment.closings.accounts.acked', place: 'The acks of these refunds have left the process.' },
  {
    name: 'payment.replies.orders.starting',
    place: 'Answers of accounts are in hand; the transaction that decides the orders has not begun.',
  },
  {
    name: 'payment.replies.orders.written',
    place: 'In the transaction: what the payments decide is written; the commit is next.',
  },
  { name: 'payment.replies.orders.committed', place: 'What the payments decide is committed; no answer is acked.' },
  { name: 'payment.replies.orders.acked', place: 'The acks of these answers of accounts have left the process.' },
  {
    name: 'closeReservation.moved',
    place: 'In the transaction: counters went back or out; the reservations still stand as ACTIVE.',
  },
  { name: 'closeOrder.starting', place: 'A cancel or a fulfilment was asked for; its transaction has not begun.' },
  { name: 'closeOrder.saved', place: 'In the transaction: the order is closed; its event is not written.' },
  { name: 'closeOrder.committed', place: 'The order is closed for good; nobody was told.' },
  {
    name: 'updateOrder.starting',
    place: 'Other quantities were asked for; the transaction that writes the amendment has not begun.',
  },
  {
    name: 'updateOrder.written',
    place: 'In the transaction: the amendment is written, and the question to inventory; the commit is next.',
  },
  { name: 'updateOrder.committed', place: 'The amendment is committed; nobody waits for its answer yet.' },
  {
    name: 'reservation.amend.inventory.starting',
    place: 'Amendments are in hand; the transaction that decides them has not begun.',
  },
  {
    name: 'reservation.amend.inventory.written',
    place: 'In the transaction: what is held instead is written, the answers too; the commit is next.',
  },
  { name: 'reservation.amend.inventory.committed', place: 'The amendments are committed; none is acked.' },
  { name: 'reservation.amend.inventory.acked', place: 'The acks of these amendments have left the process.' },
  {
    name: 'amendReservation.written',
    place: 'In the transaction: the answers are inserted, which is our inbox; no reservation has changed.',
  },
  { name: 'new_orders_queue.starting', place: 'Orders by message are in hand; the transaction that places them has not begun.' },
  {
    name: 'new_orders_queue.written',
    place: 'In the transaction: the orders are written, and what their clients are told; the commit is next.',
  },
  { name: 'new_orders_queue.committed', place: 'The orders are committed; no request is acked.' },
  { name: 'new_orders_queue.acked', place: 'The acks of these requests have left the process.' },
  { name: 'order.update.starting', place: 'Commands are in hand; the transaction that cancels and fulfils has not begun.' },
  {
    name: 'order.update.written',
    place: 'In the transaction: the orders are closed, their events are written; the commit is next.',
  },
  { name: 'order.update.committed', place: 'The closings are committed; no command is acked.' },
  { name: 'order.update.acked', place: 'The acks of these commands have left the process.' },
  {
    name: 'payment.process.starting',
    place: 'Commands to have orders paid are in hand; the transaction that answers them has not begun.',
  },
  { name: 'payment.process.written', place: 'In the transaction: the answers are written; the commit is next.' },
  { name: 'payment.process.committed', place: 'The answers are committed; no command is acked.' },
  { name: 'payment.process.acked', place: 'The acks of these commands to pay have left the process.' },
  { name: 'order.creations.notifications.starting', place: 'Events are in hand of the reaction that speaks of creations.' },
  { name: 'order.creations.notifications.written', place: 'In the transaction: it has nothing to write; the commit is next.' },
  { name: 'order.creations.notifications.committed', place: 'It has spoken; no event is acked.' },
  { name: 'order.creations.notifications.acked', place: 'The acks of these events have left the process.' },
  {
    name: 'order.updates.notifications.starting',
    place: 'Events are in hand of the reaction that tells customers; its transaction has not begun.',
  },
  {
    name: 'order.updates.notifications.written',
    place: 'In the transaction: notices and deliveries are written; the commit is next.',
  },
  { name: 'order.updates.notifications.committed', place: 'The notices are committed; no event is acked.' },
  { name: 'order.updates.notifications.acked', place: 'The acks of the events behind these notices have left the process.' },
  { name: 'watchdog.starting', place: 'The watchdog begins a look.' },
  { name: 'watchdog.saved', place: 'In the transaction: orders are expired or to be repeated; their events are not written.' },
  { name: 'watchdog.committed', place: 'What the look changed is committed.' },
] as const;

export type FailpointName = (typeof failpoints)[number]['name'];

/** A consumer of a queue that is not ours passes its points too: nothing can be armed there. */
export type PassedName = FailpointName | `${string}.${'starting' | 'written' | 'committed' | 'acked'}`;

/** Passes a point: nothing happens, at the cost of one comparison, unless something is armed. */
export function failpoint(name: PassedName): void {
  if (armed === undefined) return;
  const fault = nextFault(armed, name);
  if (fault) perform(fault);
}

/** Passes a point where something was just sent: what is armed waits two turns of the event loop, until the bytes have left the process. */
export function failpointAfterSending(name: PassedName): void {
  if (armed === undefined) return;
  const fault = nextFault(armed, name);
  if (fault?.action === 'throw') perform(fault);
  else if (fault) setImmediate(() => setImmediate(() => perform(fault)));
}

/** From now on these faults happen. Only `armFailpoints` and tests call it; an empty list disarms. */
export function arm(faults: Fault[]): void {
  armed = faults.length === 0 ? undefined : faults.map((fault) => ({ fault, passings: 0 }));
}

let armed: Armed[] | undefined;

interface Armed {
  fault: Fault;
  passings: number;
}

/** Counts a passing, for every fault that waits here. */
function nextFault(waiting: Armed[], name: string): Fault | undefined {
  const here = waiting.filter(({ fault }) => fault.name === name);
  for (const one of here) one.passings++;
  return here.find(({ fault, passings }) => fault.nth === 'every' || fault.nth === passings)?.fault;
}
