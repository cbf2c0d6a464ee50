import { decimalOf, type DeclineCode, type EventOf } from '../contracts';
import { type PaymentStatus } from '../database';

/**
 * What becomes of the payment of an order. Accounts alone decides it, under the lock of the customer's account, and once for ever:
 * whatever is asked first is what counts, and is answered again word for word each time it is asked.
 *
 *               OrderReserved          VoidPayment   RefundPayment
 *   (nothing)   CAPTURED or DECLINED   DECLINED      VOIDED
 *   CAPTURED    kept                   kept          REFUNDED
 *   DECLINED    kept                   kept          kept
 *   REFUNDED    kept                   kept          kept
 *   VOIDED      kept                   kept          kept
 *
 * VOIDED is a tombstone: the order was cancelled before its capture came, so the late capture finds it and takes nothing.
 */
export function decideClosing(status: PaymentStatus | undefined, command: ClosingCommand): PaymentStatus | 'kept' {
  if (status === undefined) return command === 'VoidPayment' ? 'DECLINED' : 'VOIDED';
  return status === 'CAPTURED' && command === 'RefundPayment' ? 'REFUNDED' : 'kept';
}

export type ClosingCommand = 'VoidPayment' | 'RefundPayment';

/** What the rules must know of an account; the row is locked while they think. Money in minor units. */
export interface Balance {
  customerId: string;
  balance: number;
  currency: string;
}

/** What is to be taken for an order. */
export interface PaymentWish {
  orderId: string;
  customerId: string;
  total: number;
  currency: string;
}

/** The whole total, or nothing. */
export type CaptureDecision = { wish: PaymentWish } & (
  | { type: 'captured' }
  | { type: 'declined'; code: DeclineCode; reason: string }
);

/**
 * Decides a batch of captures in the order of their arrival: what one takes is gone for the next. Pure; the accounts given are not
 * touched.
 */
export function decideCaptures(accounts: ReadonlyMap<string, Balance>, wishes: PaymentWish[]): CaptureDecision[] {
  const left = new Map(accounts);
  return wishes.map((wish): CaptureDecision => {
    const account = left.get(wish.customerId);
    const decline = declineOf(wish, account);
    if (decline) return { type: 'declined', wish, ...decline };
    left.set(wish.customerId, { ...account!, balance: account!.balance - wish.total });
    return { type: 'captured', wish };
  });
}

/** Why a total cannot be taken. That it comes too late is not said here: nobody is asked any more then. */
export interface Decline {
  code: Exclude<DeclineCode, 'EXPIRED'>;
  reason: string;
}

/** What stands in the way of taking this price from this account; undefined when nothing does. */
export function declineOf(price: Price, account: Balance | undefined): Decline | undefined {
  const code = refusalOf(price, account);
  return code && { code, reason: reasons[code](price, account?.balance ?? 0) };
}

type Price = Pick<PaymentWish, 'total' | 'currency'>;

function refusalOf({ total, currency }: Price, account: Balance | undefined): Decline['code'] | undefined {
  if (!account) return 'NO_ACCOUNT';
  if (account.currency !== currency) return 'OTHER_CURRENCY';
  return account.balance < total ? 'INSUFFICIENT_FUNDS' : undefined;
}

const reasons: Record<Decline['code'], (price: Price, balance: number) => string> = {
  INSUFFICIENT_FUNDS: ({ total, currency }, balance) =>
    `Insufficient funds: the balance is ${decimalOf(balance, currency)} ${currency}, the order costs ${decimalOf(total, currency)}`,
  NO_ACCOUNT: () => 'The customer has no account',
  OTHER_CURRENCY: ({ currency }) => `The account is not kept in ${currency}`,
};

const overdue = 'No payment was taken before the deadline';

/** What an order service is told about a payment. */
export type PaymentAnswer = EventOf<'PaymentCaptured'> | EventOf<'PaymentDeclined'> | EventOf<'PaymentRefunded'>;

export function captureAnswer(decision: CaptureDecision): PaymentAnswer {
  const { orderId: order_id, customerId: customer_id, total: amount, currency } = decision.wish;
  if (decision.type === 'captured') return { event: 'PaymentCaptured', order_id, customer_id, amount, currency };
  return { event: 'PaymentDeclined', order_id, customer_id, code: decision.code, reason: decision.reason };
}

export function expiredAnswer(order_id: string, customer_id: string): PaymentAnswer {
  return { event: 'PaymentDeclined', order_id, customer_id, code: 'EXPIRED', reason: overdue };
}

/** A payment as it is kept. */
export interface Payment {
  orderId: string;
  customerId: string;
  status: PaymentStatus;
  /** What was taken, minor units; 0 when nothing was. */
  amount: number;
  /** As it was given; null for a tombstone. */
  answer: PaymentAnswer | null;
}

/** A repeated question must never be answered with a payment that is back with its customer. */
export function answerNow({ orderId: order_id, customerId: customer_id, status, amount, answer }: Payment): PaymentAnswer {
  if (answer && (status === 'CAPTURED' || status === 'DECLINED')) return answer;
  const currency = answer?.event === 'PaymentCaptured' ? { currency: answer.currency } : {};
  return { event: 'PaymentRefunded', order_id, customer_id, amount, ...currency };
}

/** What the customer has back: the answer to a refund, also where there was nothing to give back. */
export function refundAnswer(payment: Payment): PaymentAnswer {
  return answerNow({ ...payment, status: 'REFUNDED' });
}
