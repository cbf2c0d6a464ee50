import { RetryTransaction, type Transaction } from '../database';
import { failpoint } from '../faults';
import { followUp, type Handler, type IncomingMessage, type OutgoingMessage } from '../messaging';
import { book, lockAccounts } from './accountRows';
import { answerNow, decideClosing, expiredAnswer, refundAnswer, type ClosingCommand, type Payment } from './payment';
import { findPayments, insertPayments, lockPayments, markRefunded } from './paymentRows';

/**
 * Gives back what was taken for cancelled orders. A cancel that comes before its capture leaves a tombstone, so that the late
 * capture takes nothing. Repeated, it does nothing but answer again.
 */
export function refundPayments(newId: () => string): Handler<'RefundPayment'> {
  return async (tx, batch) => answers(batch, await close(tx, batch, 'RefundPayment'), refundAnswer, newId);
}

/** Ends the wait of overdue orders: what was not taken yet never will be. The answer says which of the two came first. */
export function voidPayments(newId: () => string): Handler<'VoidPayment'> {
  return async (tx, batch) => answers(batch, await close(tx, batch, 'VoidPayment'), answerNow, newId);
}

type Closing = IncomingMessage<'VoidPayment' | 'RefundPayment'>;

function answers(
  batch: Closing[],
  payments: Map<string, Payment>,
  answerOf: typeof answerNow,
  newId: () => string,
): OutgoingMessage[] {
  return batch.map((cause) => followUp(cause, answerOf(payments.get(cause.body.order_id)!), newId));
}

/** The payments of these orders as they are afterwards. */
async function close(tx: Transaction, batch: Closing[], command: ClosingCommand): Promise<Map<string, Payment>> {
  const customers = new Map(batch.map(({ body }) => [body.order_id, body.customer_id]));
  const payments = await lockForClosing(tx, customers);
  const changed: Payment[] = [];
  for (const [orderId, customerId] of customers) {
    const before = payments.get(orderId);
    const status = decideClosing(before?.status, command);
    if (status !== 'kept') changed.push(before ? { ...before, status } : unpaid(orderId, customerId, status));
  }
  await save(tx, changed);
  for (const payment of changed) payments.set(payment.orderId, payment);
  return payments;
}

/** Accounts first, then payments: the order of locking that capturePayments follows too. */
async function lockForClosing(tx: Transaction, customers: Map<string, string>): Promise<Map<string, Payment>> {
  const orderIds = [...customers.keys()];
  const payers = [...(await findPayments(tx, orderIds)).values()].map(({ customerId }) => customerId);
  const locked = new Set([...customers.values(), ...payers]);
  await lockAccounts(tx, locked);
  const payments = await lockPayments(tx, orderIds);
  const isUnlocked = [...payments.values()].some(({ customerId }) => !locked.has(customerId));
  if (isUnlocked) throw new RetryTransaction('A payment was taken from another account while this one was being locked.');
  return payments;
}

function unpaid(orderId: string, customerId: string, status: Payment['status']): Payment {
  return { orderId, customerId, status, amount: 0, answer: status === 'VOIDED' ? null : expiredAnswer(orderId, customerId) };
}

async function save(tx: Transaction, changed: Payment[]): Promise<void> {
  const refunded = changed.filter(({ status }) => status === 'REFUNDED');
  const buried = changed.filter(({ status }) => status !== 'REFUNDED');
  const inserted = await insertPayments(tx, buried);
  if (inserted < buried.length) throw new RetryTransaction('A payment was decided while it was being closed.');
  await book(
    tx,
    refunded.map(({ customerId, orderId, amount }) => ({ customerId, kind: 'REFUND', amount, orderId })),
  );
  failpoint('closePayments.booked');
  await markRefunded(
    tx,
    refunded.map(({ orderId }) => orderId),
  );
}
