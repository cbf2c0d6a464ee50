import { type Transaction } from '../database';
import { waitingAggregates, type OutgoingMessage } from '../messaging';
import { changeOrders, orderReserved, type ChangeOptions } from './changeOrders';
import { type OrderChange } from './order';
import { readPricedLines, takeUnpaid, type UnpaidOrder } from './paymentRows';

export interface PaymentWatchOptions {
  changing: ChangeOptions;
  batchSizeMax: number;
  /** False while so many captures wait that asking again would only make the queue longer. */
  mayAskAgain: boolean;
}

/**
 * Asks accounts again about orders that wait for their payment, because the question or the answer may be lost on the way: before
 * the deadline for the money, after it whether the money came in time. Nothing is decided here: a RESERVED order ends by what
 * accounts answers, so that it is never given up while its capture is under way. At most one batch a look, and nothing that still
 * waits in the outbox.
 */
export async function watchPayments(tx: Transaction, options: PaymentWatchOptions): Promise<OutgoingMessage[]> {
  const { changing, batchSizeMax, mayAskAgain } = options;
  const unpaid = await takeUnpaid(tx, batchSizeMax, changing.tellAgainAfterMs);
  const inOutbox = await waitingAggregates(
    tx,
    'orders',
    unpaid.map(({ id }) => id),
  );
  const untold = unpaid.filter(({ id }) => !inOutbox.has(id));
  return [
    ...(await askWhatCameFirst(tx, untold.filter(isOverdue), changing)),
    ...(mayAskAgain ? await askForPayment(tx, untold.filter(isInTime), changing.newId) : []),
  ];
}

const isOverdue = (order: UnpaidOrder) => order.isOverdue;
const isInTime = (order: UnpaidOrder) => !order.isOverdue;

async function askWhatCameFirst(tx: Transaction, orders: UnpaidOrder[], changing: ChangeOptions): Promise<OutgoingMessage[]> {
  if (orders.length === 0) return [];
  const reason = { code: 'EXPIRED' as const, message: 'Accounts gave no answer before the deadline', lines: [] };
  const changes = orders.map(({ id }): OrderChange => ({ orderId: id, trigger: 'ExpireOrder', reason }));
  return (await changeOrders(tx, changes, changing)).flatMap(({ messages }) => messages);
}

/** Accounts is asked for the totals of these orders once more. */
export async function askForPayment(
  tx: Transaction,
  orders: Omit<UnpaidOrder, 'isOverdue'>[],
  newId: () => string,
): Promise<OutgoingMessage[]> {
  if (orders.length === 0) return [];
  const lines = await readPricedLines(
    tx,
    orders.map(({ id }) => id),
  );
  return orders.map((order) => ({
    ...{ id: newId(), correlationId: order.correlationId },
    body: orderReserved(order, lines.get(order.id) ?? []),
  }));
}
