import {
  type AmendmentRefusal,
  type CancellationCode,
  type OrderStatus,
  type PaymentMethod,
  type RejectedLine,
} from '../contracts';
import { mergeLines, type OrderLine, type PricedLine } from './orderLines';

/**
 * What an order can go through. Everything that may happen to an order in any status is defined here, and nowhere else.
 *
 *                 StockReserved   StockRejected   CancelOrder   ExpireOrder   FulfilOrder
 *   PENDING       CONFIRMED (1)   CANCELLED       CANCELLED     CANCELLED     refused
 *   RESERVED      ignored         ignored         CANCELLED     void          refused
 *   CONFIRMED     ignored         ignored         CANCELLED     ignored       FULFILLED
 *   FULFILLED     ignored         ignored         refused       ignored       already
 *   CANCELLED     release         ignored         already       ignored       refused
 *
 *                 PaymentCaptured   PaymentDeclined   PaymentRefunded
 *   PENDING       ignored           ignored           ignored
 *   RESERVED      CONFIRMED         CANCELLED         CANCELLED
 *   CONFIRMED     ignored           ignored           ignored (2)
 *   FULFILLED     ignored           ignored           ignored
 *   CANCELLED     refund            ignored           ignored
 *
 * (1) With a payment it is RESERVED: the stock is held, and accounts is asked for the total. From then on accounts alone decides
 * whether there is money, so a RESERVED order never expires by itself: accounts is asked to `void` the payment, and what it answers
 * says whether the capture came first.
 *
 * (2) With a payment it is CANCELLED: nobody gets goods whose money is back, whoever had it given back. Accounts is told to refund it
 * all the same, for not every program that says so is accounts.
 *
 * `ignored`: a late or repeated answer; the first one stands. `already`: what was asked for is so; a repeated request is no
 * error. `release`: stock was reserved for an order that does not want it any more; inventory is told so once more. `refund`: money
 * was taken for such an order; accounts is told once more to give it back.
 *
 * Other lines than were ordered are an amendment. What is reserved changes first, then the order:
 *
 *                 AmendOrder      StockAmended    AmendmentRejected
 *   PENDING       refused         ignored         ignored
 *   RESERVED      refused         ignored         ignored
 *   CONFIRMED     ask (3)         CONFIRMED       keep
 *   FULFILLED     refused         ignored         ignored
 *   CANCELLED     refused         ignored         ignored
 *
 * (3) With a payment it is refused: its price is taken, and other lines would have another.
 *
 * `ask`: the order stays as it is until inventory has answered. `keep`: it keeps its lines. Two rules stand beside the tables: an
 * answer counts for the one amendment that is under way, and is ignored for any other; and while one is under way the order cannot
 * be fulfilled, for nobody knows yet which goods would leave. It can be cancelled: that overtakes the amendment.
 */
export const transitions: Transitions = {
  PENDING: {
    StockReserved: 'CONFIRMED',
    StockRejected: 'CANCELLED',
    CancelOrder: 'CANCELLED',
    ExpireOrder: 'CANCELLED',
    FulfilOrder: 'refused',
    PaymentCaptured: 'ignored',
    PaymentDeclined: 'ignored',
    PaymentRefunded: 'ignored',
    AmendOrder: 'refused',
    StockAmended: 'ignored',
    AmendmentRejected: 'ignored',
  },
  RESERVED: {
    StockReserved: 'ignored',
    StockRejected: 'ignored',
    CancelOrder: 'CANCELLED',
    ExpireOrder: 'void',
    FulfilOrder: 'refused',
    PaymentCaptured: 'CONFIRMED',
    PaymentDeclined: 'CANCELLED',
    PaymentRefunded: 'CANCELLED',
    AmendOrder: 'refused',
    StockAmended: 'ignored',
    AmendmentRejected: 'ignored',
  },
  CONFIRMED: {
    StockReserved: 'ignored',
    StockRejected: 'ignored',
    CancelOrder: 'CANCELLED',
    ExpireOrder: 'ignored',
    FulfilOrder: 'FULFILLED',
    PaymentCaptured: 'ignored',
    PaymentDeclined: 'ignored',
    PaymentRefunded: 'ignored',
    AmendOrder: 'ask',
    StockAmended: 'CONFIRMED',
    AmendmentRejected: 'keep',
  },
  FULFILLED: {
    StockReserved: 'ignored',
    StockRejected: 'ignored',
    CancelOrder: 'refused',
    ExpireOrder: 'ignored',
    FulfilOrder: 'already',
    PaymentCaptured: 'ignored',
    PaymentDeclined: 'ignored',
    PaymentRefunded: 'ignored',
    AmendOrder: 'refused',
    StockAmended: 'ignored',
    AmendmentRejected: 'ignored',
  },
  CANCELLED: {
    StockReserved: 'release',
    StockRejected: 'ignored',
    CancelOrder: 'already',
    ExpireOrder: 'ignored',
    FulfilOrder: 'refused',
    PaymentCaptured: 'refund',
    PaymentDeclined: 'ignored',
    PaymentRefunded: 'ignored',
    AmendOrder: 'refused',
    StockAmended: 'ignored',
    AmendmentRejected: 'ignored',
  },
};

/** The same for an order that is paid before it is confirmed. */
export const paidTransitions: Transitions = {
  ...transitions,
  PENDING: { ...transitions.PENDING, StockReserved: 'RESERVED' },
  CONFIRMED: {
    ...transitions.CONFIRMED,
    ...{ PaymentRefunded: 'CANCELLED', AmendOrder: 'refused', StockAmended: 'ignored', AmendmentRejected: 'ignored' },
  },
};

export { type OrderStatus };
export type Transitions = Record<OrderStatus, Record<OrderTrigger, OrderStatus | NonTransition>>;
/** Answers of inventory and of accounts, and commands: from a person, from the clock, from the warehouse, from a person again. */
export type OrderTrigger =
  | 'StockReserved'
  | 'StockRejected'
  | 'CancelOrder'
  | 'ExpireOrder'
  | 'FulfilOrder'
  | 'PaymentCaptured'
  | 'PaymentDeclined'
  | 'PaymentRefunded'
  | 'AmendOrder'
  | 'StockAmended'
  | 'AmendmentRejected';
export type NonTransition = 'ignored' | 'already' | 'refused' | 'release' | 'refund' | 'void' | 'ask' | 'keep';

/** What the order looks like to the rules: the row, locked. */
export interface Order {
  id: string;
  customerId: string;
  status: OrderStatus;
  version: number;
  correlationId: string;
  currency: string;
  payment: PaymentMethod;
  lines: OrderLine[];
  /** The number of the amendment that is under way, where one is. */
  amending?: number;
}

/** Why an order was cancelled, in code, in words, and line by line where inventory said so. */
export interface CancellationReason {
  code: CancellationCode;
  message: string;
  lines: RejectedLine[];
}

/** Something that happens to one order. */
export type OrderChange = { orderId: string; causationId?: string } & (
  | { trigger: 'StockReserved'; lines: PricedLine[] }
  | { trigger: 'StockRejected'; reason: CancellationReason }
  | { trigger: 'CancelOrder'; reason: CancellationReason }
  | { trigger: 'ExpireOrder'; reason: CancellationReason }
  | { trigger: 'FulfilOrder' }
  /** `lines` as they were priced when they were reserved. */
  | { trigger: 'PaymentCaptured'; amount: number; lines: PricedLine[] }
  | { trigger: 'PaymentDeclined'; reason: CancellationReason }
  | { trigger: 'PaymentRefunded'; reason: CancellationReason }
  | { trigger: 'AmendOrder' }
  | { trigger: 'StockAmended'; amendment: number; lines: PricedLine[] }
  | { trigger: 'AmendmentRejected'; amendment: number; reason: AmendmentReason }
);

/** Why an order kept its lines, in code, in words, and line by line where stock was short. */
export interface AmendmentReason {
  code: AmendmentRefusal;
  message: string;
  lines: RejectedLine[];
}

export type Decision = { type: 'changed'; from: OrderStatus; order: Order } | { type: NonTransition; order: Order };

/** Applies one change to an order by the tables above. Pure: the caller saves what it returns, and says what `tellingOf` names. */
export function decide(order: Order, change: OrderChange): Decision {
  const target = targetOf(order, change);
  switch (target) {
    case 'ignored':
    case 'already':
    case 'refused':
    case 'release':
    case 'refund':
    case 'void':
    case 'ask':
      return { type: target, order };
    case 'keep':
      return { type: target, order: { ...order, amending: undefined } };
    default: {
      const lines = change.trigger === 'StockAmended' ? mergeLines(change.lines) : order.lines;
      const next = { ...order, lines, status: target, version: order.version + 1, amending: undefined };
      return { type: 'changed', from: order.status, order: next };
    }
  }
}

function targetOf({ status, payment, amending }: Order, change: OrderChange): OrderStatus | NonTransition {
  const isAnswer = change.trigger === 'StockAmended' || change.trigger === 'AmendmentRejected';
  if (isAnswer && change.amendment !== amending) return 'ignored';
  if (change.trigger === 'FulfilOrder' && amending !== undefined) return 'refused';
  const table = payment === 'NONE' ? transitions : paidTransitions;
  return table[status][change.trigger];
}

/** What follows from a decision: events for everyone, and commands to accounts. */
export type Telling =
  | 'OrderReserved'
  | 'OrderConfirmed'
  | 'OrderUpdated'
  | 'OrderCancelled'
  | 'OrderFulfilled'
  | 'RefundPayment'
  | 'VoidPayment';

/**
 * Whom to tell what. A cancel gives the money back as well, wherever accounts has been asked for it and has not refused; and so does
 * a refund that nobody here asked for.
 */
export function tellingOf(decision: Decision, trigger: OrderTrigger): Telling[] {
  switch (decision.type) {
    case 'changed':
      if (trigger === 'StockAmended') return ['OrderUpdated'];
      return isRefundDue(decision, trigger) ? ['OrderCancelled', 'RefundPayment'] : tellings[decision.order.status];
    case 'release':
      return ['OrderCancelled'];
    case 'refund':
      return ['RefundPayment'];
    case 'void':
      return ['VoidPayment'];
    default:
      return [];
  }
}

const tellings: Record<OrderStatus, Telling[]> = {
  PENDING: [],
  RESERVED: ['OrderReserved'],
  CONFIRMED: ['OrderConfirmed'],
  FULFILLED: ['OrderFulfilled'],
  CANCELLED: ['OrderCancelled'],
};

function isRefundDue({ from, order }: Decision & { type: 'changed' }, trigger: OrderTrigger): boolean {
  if (order.status !== 'CANCELLED' || order.payment === 'NONE') return false;
  return trigger === 'CancelOrder' ? from !== 'PENDING' : trigger === 'PaymentRefunded' && from === 'CONFIRMED';
}

/** True once it waits for no decision any more; a confirmed order may still be cancelled or fulfilled. */
export function isDecided(status: OrderStatus): boolean {
  return status !== 'PENDING' && status !== 'RESERVED';
}

/** True when nothing can happen to it any more. */
export function isFinal(status: OrderStatus): boolean {
  return status === 'FULFILLED' || status === 'CANCELLED';
}
