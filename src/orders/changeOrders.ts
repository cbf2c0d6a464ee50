import { type AnyEvent, type EventOf } from '../contracts';
import { type Database, type Transaction } from '../database';
import { PoisonMessage, type AtOnce, type Decided, type OutgoingMessage } from '../messaging';
import { type AmendmentUnderWay } from './amendmentRows';
import { amendmentsFor, saveAmendments } from './amendments';
import { rememberClosings, type UnansweredClosing } from './closingRows';
import { decide, tellingOf, type CancellationReason, type Decision, type Order, type OrderChange, type Telling } from './order';
import { changeInWords, coversExactly, totalOf, type PricedLine } from './orderLines';
import { lockOrders, readOrders, saveChanges, saveChangesAtOnce, type LockedOrder, type SavedChange } from './orderRows';

/** What became of one change. `secondsOpen`: how old the order was by the database's clock when it was decided. */
export type ChangeOutcome = { change: OrderChange; messages: OutgoingMessage[] } & (
  | (Decision & { secondsOpen: number })
  | { type: 'unknown' }
);

/**
 * Applies a batch of changes, in their order, each guarded by the transition table: locks the orders by id, decides, saves, and
 * says with each change the messages that follow from it. An order nobody knows is no error: another service's orders are
 * answered on the same queue.
 */
export async function changeOrders(
  tx: Transaction,
  changes: OrderChange[],
  { newId, tellAgainAfterMs }: ChangeOptions,
): Promise<ChangeOutcome[]> {
  const orders = await lockOrders(tx, idsOf(changes));
  const underWay = await amendmentsFor(tx, changes);
  const { outcomes, saved, decided } = decideAll(orders, changes, newId, underWay);
  await saveAmendments(tx, decided, underWay);
  await saveChanges(tx, saved);
  const remember = (what: 'closings' | 'refunds', some: ChangeOutcome[]) =>
    rememberClosings(tx, what, idsOf(some.map(({ change }) => change)), tellAgainAfterMs);
  await remember('closings', outcomes.filter(mustBeHeard));
  await remember('refunds', outcomes.filter(isRefundDue));
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
  if (outcomes.some((outcome) => mustBeHeard(outcome) || isRefundDue(outcome))) return undefined;
  const events = outcomes.flatMap(({ messages }) => messages);
  const write = (at: AtOnce) => (saved.length === 0 ? Promise.resolve([]) : saveChangesAtOnce(at, saved, events));
  return { outcomes, write };
}

function idsOf(changes: OrderChange[]): string[] {
  return [...new Set(changes.map((change) => change.orderId))];
}

/** Pure, but for the new ids. The orders given are moved on, so that a second change of one finds what the first made of it. */
function decideAll(
  orders: Map<string, LockedOrder>,
  changes: OrderChange[],
  newId: () => string,
  underWay = new Map<string, AmendmentUnderWay>(),
) {
  for (const { orderId, number } of underWay.values()) orders.set(orderId, { ...orders.get(orderId)!, amending: number });
  const saved: SavedChange[] = [];
  const decided: { change: OrderChange; decision: Decision }[] = [];
  const outcomes = changes.map((change): ChangeOutcome => {
    const order = orders.get(change.orderId);
    if (!order) return { change, messages: [], type: 'unknown' };
    const decision = decide(order, change);
    decided.push({ change, decision });
    if (decision.type === 'changed') {
      refuseForeignAnswer(order, change, underWay.get(change.orderId));
      saved.push({ change, from: decision.from, order: decision.order, detail: detailOf(order, change) });
    }
    orders.set(change.orderId, { ...order, ...decision.order });
    return { change, ...decision, secondsOpen: order.secondsOpen, messages: messagesOf(decision, change, newId) };
  });
  return { outcomes, saved, decided };
}

export interface ChangeOptions {
  newId: () => string;
  /** When a closing that inventory or accounts has not answered is told again. */
  tellAgainAfterMs: number;
}

/** Inventory may hold something for this order that it must let go or take out; what it rejected itself it does not hold. */
function mustBeHeard({ change, messages }: ChangeOutcome): boolean {
  const closes = messages.some(({ body }) => body.event === 'OrderCancelled' || body.event === 'OrderFulfilled');
  return closes && change.trigger !== 'StockRejected';
}

function isRefundDue({ messages }: ChangeOutcome): boolean {
  return messages.some(({ body }) => body.event === 'RefundPayment');
}

function detailOf(order: LockedOrder, change: OrderChange): string | undefined {
  return change.trigger === 'StockAmended' ? changeInWords(order.lines, change.lines) : undefined;
}

/**
 * An answer for other lines than were asked for, or for another sum than they cost, must not change the order: what was promised is
 * not what is held or paid.
 */
function refuseForeignAnswer(order: LockedOrder, change: OrderChange, amendment: AmendmentUnderWay | undefined) {
  if (change.trigger === 'StockReserved' || change.trigger === 'StockAmended') {
    const asked = change.trigger === 'StockAmended' ? amendment!.lines : order.lines;
    if (!coversExactly(asked, change.lines))
      throw new PoisonMessage(
        `${change.trigger} for ${order.id} names other lines than were ordered: the order is left as it is.`,
      );
    if (hasTwoPrices(change.lines))
      throw new PoisonMessage(`${change.trigger} for ${order.id} names one product at two prices: the order is left as it is.`);
    if (!Number.isSafeInteger(totalOf(change.lines)))
      throw new PoisonMessage(
        `${change.trigger} for ${order.id} makes a total that cannot be counted to the cent: the order is left as it is.`,
      );
  }
  if (change.trigger === 'PaymentCaptured' && change.amount !== totalOf(change.lines))
    throw new PoisonMessage(`PaymentCaptured for ${order.id} names another sum than it costs: the order is left as it is.`);
}

/** Then the order line could keep neither. */
function hasTwoPrices(lines: PricedLine[]): boolean {
  const prices = new Map(lines.map((line) => [line.productId, line.unitPrice]));
  return lines.some((line) => prices.get(line.productId) !== line.unitPrice);
}

/** The messages that a decision is told by. */
function messagesOf(decision: Decision, change: OrderChange, newId: () => string): OutgoingMessage[] {
  const { order } = decision;
  return tellingOf(decision, change.trigger).map((telling) => ({
    ...{ id: newId(), correlationId: order.correlationId, causationId: change.causationId },
    body: bodyOf(telling, order, change),
  }));
}

function bodyOf(telling: Telling, order: Order, change: OrderChange): AnyEvent {
  switch (telling) {
    case 'OrderReserved':
      return orderReserved(order, linesOf(change));
    case 'OrderConfirmed':
    case 'OrderUpdated':
      return { event: telling, ...head(order), ...priced(order, linesOf(change)) };
    case 'OrderCancelled':
      return { event: telling, ...head(order), ...inTheEvent(cancellationOf(change)) };
    case 'OrderFulfilled':
      return { event: telling, ...head(order) };
    case 'RefundPayment':
    case 'VoidPayment':
      return { event: telling, order_id: order.id, customer_id: order.customerId };
    default:
      return telling satisfies never;
  }
}

/** A closing as it is told again: the same version, so that a subscriber knows it for a repetition. */
export function closingEvent({ orderId, customerId, version, ...closing }: UnansweredClosing): AnyEvent {
  const head = { order_id: orderId, customer_id: customerId, version };
  if (closing.status === 'FULFILLED') return { event: 'OrderFulfilled', ...head };
  const { code, reason } = closing;
  return { event: 'OrderCancelled', ...head, ...(code && { code }), ...(reason !== null && { reason }) };
}

/** What accounts is asked to take the total for. */
export function orderReserved(order: Omit<Order, 'lines' | 'status'>, lines: PricedLine[]): EventOf<'OrderReserved'> {
  return { event: 'OrderReserved', ...head(order), payment: order.payment, ...priced(order, lines) };
}

function linesOf(change: OrderChange): PricedLine[] {
  return 'lines' in change ? change.lines : [];
}

function priced({ currency }: Pick<Order, 'currency'>, lines: PricedLine[]) {
  const items = lines.map((line) => ({ product_id: line.productId, quantity: line.quantity, unit_price: line.unitPrice }));
  return { items, total: totalOf(lines), currency };
}

function cancellationOf(change: OrderChange): CancellationReason | undefined {
  return 'reason' in change && change.trigger !== 'AmendmentRejected' ? change.reason : undefined;
}

function inTheEvent(reason: CancellationReason | undefined) {
  if (!reason) return {};
  const { code, message, lines } = reason;
  return { code, reason: message, ...(lines.length > 0 && { items: lines }) };
}

function head(order: Pick<Order, 'id' | 'customerId' | 'version'>) {
  return { order_id: order.id, customer_id: order.customerId, version: order.version };
}
