import { type Transaction } from '../database';
import { type OutgoingMessage } from '../messaging';
import { endAmendments, findUnderWay, replaceLines, type AmendmentOutcome, type AmendmentUnderWay } from './amendmentRows';
import { type Decision, type OrderChange, type OrderTrigger } from './order';

/** The amendments under way that some of these changes must know of: answers to them, and what they stand in the way of. */
export async function amendmentsFor(tx: Transaction, changes: OrderChange[]): Promise<Map<string, AmendmentUnderWay>> {
  const concerned = changes.filter(({ trigger }) => concerning.has(trigger)).map(({ orderId }) => orderId);
  return concerned.length === 0 ? new Map() : findUnderWay(tx, [...new Set(concerned)]);
}

/** A fresh order is confirmed without a look at amendments: it has none. */
const concerning = new Set<OrderTrigger>(['CancelOrder', 'FulfilOrder', 'StockAmended', 'AmendmentRejected']);

/** Writes what the decisions have made of the amendments under way, and the new lines of the orders. */
export async function saveAmendments(
  tx: Transaction,
  decided: { change: OrderChange; decision: Decision }[],
  underWay: Map<string, AmendmentUnderWay>,
): Promise<void> {
  await replaceLines(
    tx,
    decided.flatMap(({ change, decision }) =>
      change.trigger === 'StockAmended' && decision.type === 'changed' ? [{ orderId: change.orderId, lines: change.lines }] : [],
    ),
  );
  await endAmendments(
    tx,
    decided.flatMap(({ change, decision }) => endOf(change, decision, underWay.get(change.orderId)) ?? []),
  );
}

function endOf(change: OrderChange, decision: Decision, amendment: AmendmentUnderWay | undefined): AmendmentOutcome | undefined {
  if (!amendment) return undefined;
  const { orderId, number } = amendment;
  if (decision.type === 'keep' && change.trigger === 'AmendmentRejected') {
    return { orderId, number, status: 'REJECTED', reason: change.reason };
  }
  if (decision.type !== 'changed') return undefined;
  return { orderId, number, status: change.trigger === 'StockAmended' ? 'APPLIED' : 'OVERTAKEN' };
}

/** What inventory is asked, the first time and each time it is told again. */
export function amendReservation(amendment: AmendmentUnderWay, newId: () => string): OutgoingMessage {
  const { orderId: order_id, number, lines, decideBefore, correlationId } = amendment;
  const items = lines.map(({ productId, quantity }) => ({ product_id: productId, quantity }));
  const decide_before = decideBefore.toISOString();
  return {
    ...{ id: newId(), correlationId },
    body: { event: 'AmendReservation', order_id, amendment: number, items, decide_before },
  };
}
