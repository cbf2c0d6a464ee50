import { type AnyEvent, type EventOf } from '../contracts';
import { type Database, type Transaction } from '../database';
import { PoisonMessage, type AtOnce, type Decided, type OutgoingMessage } from '../messaging';
import { rememberClosings, type UnansweredClosing } from './closingRows';
import { coversExactly, decide, totalOf, type CancellationReason, type Decision, type Order, type OrderChange } from './order';
import { lockOrders, readOrders, saveChanges, saveChangesAtOnce, type LockedOrder, type SavedChange } from './orderRows';

/** What became of one change. `secondsOpen`: how old the order was by the database's clock when it was decided. */
export type ChangeOutcome = { change: OrderChange; message?: OutgoingMessage } & (
  | (Decision & { secondsOpen: number })
  | { type: 'unknown' }
);

/**
 * Applies a batch of changes, in their order, each guarded by the transition table: locks the orders by id, decides, saves, and
 * says with each change the event that follows from it. An order nobody knows is no error: another service's orders are
 * answered on the same queue.
 */
export async function changeOrders(
  tx: Transaction,
  changes: OrderChange[],
  { newId, tellAgainAfterMs }: ChangeOptions,
): Promise<ChangeOutcome[]> {
  const orders = await lockOrders(tx, idsOf(changes));
  const { outcomes, saved } = decideAll(orders, changes, newId);
  await saveChanges(tx, saved);
  await rememberClosings(
    tx,
    outcomes.filter(mustBeHeard).map(({ change }) => change.orderId),
    tellAgainAfterMs,
  );
  return outcomes;
}

/**
 * The same without a transaction: decided on what is read without locks, written if that still holds. undefined for a batch that
 * has more to write than orders and events.
 */
export async function changeOrdersAtOnce(
  database: Database,
  changes: OrderChange[],
  { newId }: ChangeOptions,
): Promise<{ outcomes: ChangeOutcome[]; write: Decided['write'] } | undefined> {
  const orders = await readOrders(database, idsOf(changes));
  const { outcomes, saved } = decideAll(orders, changes, newId);
  if (outcomes.some(mustBeHeard)) return undefined;
  const events = outcomes.flatMap((outcome) => outcome.message ?? []);
  const write = (at: AtOnce) => (saved.length === 0 ? Promise.resolve([]) : saveChangesAtOnce(at, saved, events));
  return { outcomes, write };
}

function idsOf(changes: OrderChange[]): string[] {
  return [...new Set(changes.map((change) => change.orderId))];
}

/** Pure, but for the new ids. The orders given are moved on, so that a second change of one finds what the first made of it. */
function decideAll(orders: Map<string, LockedOrder>, changes: OrderChange[], newId: () => string) {
  const saved: SavedChange[] = [];
  const outcomes = changes.map((change): ChangeOutcome => {
    const order = orders.get(change.orderId);
    if (!order) return { change, type: 'unknown' };
    refuseForeignLines(order, change);
    const decision = decide(order, change);
    if (decision.type === 'changed') {
      saved.push({ change, from: decision.from, order: decision.order });
      orders.set(change.orderId, { ...order, ...decision.order });
    }
    return { change, ...decision, secondsOpen: order.secondsOpen, message: eventOf(decision, change, newId) };
  });
  return { outcomes, saved };
}

export interface ChangeOptions {
  newId: () => string;
  /** When a closing that inventory has not answered is told again. */
  tellAgainAfterMs: number;
}

/** Inventory may hold something for this order that it must let go or take out; what it rejected itself it does not hold. */
function mustBeHeard({ change, message }: ChangeOutcome): boolean {
  return (
    change.trigger !== 'StockRejected' && (message?.body.event === 'OrderCancelled' || message?.body.event === 'OrderFulfilled')
  );
}

/** An answer for other lines than were ordered must not confirm the order: what was promised is not what is held. */
function refuseForeignLines(order: LockedOrder, change: OrderChange) {
  if (change.trigger !== 'StockReserved' || coversExactly(order.lines, change.lines)) return;
  throw new PoisonMessage(`StockReserved for ${order.id} names other lines than were ordered: the order is left as it is.`);
}

/** The event that tells the world, or tells inventory once more what to let go. */
function eventOf(decision: Decision, change: OrderChange, newId: () => string): OutgoingMessage | undefined {
  const { order } = decision;
  const envelope = { id: newId(), correlationId: order.correlationId, causationId: change.causationId };
  if (decision.type === 'release') return { ...envelope, body: { event: 'OrderCancelled', ...head(order) } };
  if (decision.type !== 'changed') return undefined;
  switch (change.trigger) {
    case 'StockReserved':
      return { ...envelope, body: confirmed(order, change) };
    case 'StockRejected':
    case 'CancelOrder':
    case 'ExpireOrder':
      return { ...envelope, body: cancelled(order, change.reason) };
    case 'FulfilOrder':
      return { ...envelope, body: { event: 'OrderFulfilled', ...head(order) } };
    default:
      return change satisfies never;
  }
}

/** A closing as it is told again: the same version, so that a subscriber knows it for a repetition. */
export function closingEvent({ orderId, customerId, version, ...closing }: UnansweredClosing): AnyEvent {
  const head = { order_id: orderId, customer_id: customerId, version };
  if (closing.status === 'FULFILLED') return { event: 'OrderFulfilled', ...head };
  const { code, reason } = closing;
  return { event: 'OrderCancelled', ...head, ...(code && { code }), ...(reason !== null && { reason }) };
}

function confirmed(order: Order, change: OrderChange & { trigger: 'StockReserved' }): EventOf<'OrderConfirmed'> {
  const items = change.lines.map((line) => ({ product_id: line.productId, quantity: line.quantity, unit_price: line.unitPrice }));
  return { event: 'OrderConfirmed', ...head(order), items, total: totalOf(change.lines), currency: order.currency };
}

function cancelled(order: Order, reason: CancellationReason): EventOf<'OrderCancelled'> {
  const items = reason.lines.length > 0 ? { items: reason.lines } : {};
  return { event: 'OrderCancelled', ...head(order), code: reason.code, reason: reason.message, ...items };
}

function head(order: Order) {
  return { order_id: order.id, customer_id: order.customerId, version: order.version };
}
