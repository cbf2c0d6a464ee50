import { RetryTransaction, type Transaction } from '../database';
import { failpoint } from '../faults';
import { followUp, type Handler, type IncomingMessage } from '../messaging';
import { book, lockAccounts } from './accountRows';
import { answerNow, captureAnswer, decideCaptures, type CaptureDecision, type Payment, type PaymentWish } from './payment';
import { findPayments, insertPayments } from './paymentRows';

/**
 * Answers a batch of OrderReserved: takes the total of an order from its customer's balance, or declines; first come first served.
 * An order that was answered before is answered again with what was stored then, and nothing else happens.
 */
export function capturePayments(newId: () => string): Handler<'OrderReserved'> {
  return async (tx, batch) => {
    const wishes = firstOfEach(batch.map(({ body }) => toWish(body)));
    const accounts = await lockAccounts(
      tx,
      wishes.map(({ customerId }) => customerId),
    );
    const known = await findPayments(
      tx,
      wishes.map(({ orderId }) => orderId),
    );
    const decisions = decideCaptures(
      accounts,
      wishes.filter(({ orderId }) => !known.has(orderId)),
    );
    await saveDecisions(tx, decisions);
    const answers = new Map(decisions.map((decision) => [decision.wish.orderId, captureAnswer(decision)]));
    for (const payment of known.values()) answers.set(payment.orderId, answerNow(payment));
    return batch.map((message) => followUp(message, answers.get(message.body.order_id)!, newId));
  };
}

async function saveDecisions(tx: Transaction, decisions: CaptureDecision[]): Promise<void> {
  const inserted = await insertPayments(tx, decisions.map(toPayment));
  // A customer without an account has no row to lock: another worker may have answered one of these meanwhile.
  if (inserted < decisions.length) throw new RetryTransaction('An order of this batch was answered by another worker meanwhile.');
  failpoint('capturePayments.inserted');
  const captured = decisions.filter(({ type }) => type === 'captured');
  await book(
    tx,
    captured.map(({ wish: { customerId, orderId, total } }) => ({ customerId, kind: 'CAPTURE', amount: -total, orderId })),
  );
  failpoint('capturePayments.booked');
}

function toPayment(decision: CaptureDecision): Payment {
  const { orderId, customerId, total } = decision.wish;
  const answer = captureAnswer(decision);
  return decision.type === 'captured'
    ? { orderId, customerId, status: 'CAPTURED', amount: total, answer }
    : { orderId, customerId, status: 'DECLINED', amount: 0, answer };
}

function toWish(body: IncomingMessage<'OrderReserved'>['body']): PaymentWish {
  return { orderId: body.order_id, customerId: body.customer_id, total: body.total, currency: body.currency };
}

/** Copies of one order in the same batch are one wish with several answers. */
function firstOfEach(wishes: PaymentWish[]): PaymentWish[] {
  const seen = new Set<string>();
  return wishes.filter(({ orderId }) => !seen.has(orderId) && seen.add(orderId));
}
