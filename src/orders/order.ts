import { type CancellationCode, type OrderStatus, type PaymentMethod, type RejectedLine } from '../contracts';

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
 *   CONFIRMED     ignored           ignored           ignored
 *   FULFILLED     ignored           ignored           ignored
 *   CANCELLED     refund            ignored           ignored
 *
 * (1) With a payment it is RESERVED: the stock is held, and accounts is asked for the total. From then on accounts alone decides
 * whether there is money, so a RESERVED order never expires by itself: accounts is asked to `void` the payment, and what it answers
 * says whether the capture came first.
 *
 * `ignored`: a late or repeated answer; the first one stands. `already`: what was asked for is so; a repeated request is no
 * error. `release`: stock was reserved for an order that does not want it any more; inventory is told so once more. `refund`: money
 * was taken for such an order; accounts is told once more to give it back.
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
  },
};

/** The same for an order that is paid before it is confirmed. */
export const paidTransitions: Transitions = {
  ...transitions,
  PENDING: { ...transitions.PENDING, StockReserved: 'RESERVED' },
};

export { type OrderStatus };
export type Transitions = Record<OrderStatus, Record<OrderTrigger, OrderStatus | NonTransition>>;
/** Two events from inventory, three from accounts, three commands: from a person, from the clock, from the warehouse. */
export type OrderTrigger =
  | 'StockReserved'
  | 'StockRejected'
  | 'CancelOrder'
  | 'ExpireOrder'
  | 'FulfilOrder'
  | 'PaymentCaptured'
  | 'PaymentDeclined'
  | 'PaymentRefunded';
export type NonTransition = 'ignored' | 'already' | 'refused' | 'release' | 'refund' | 'void';

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
}

export interface OrderLine {
  productId: number;
  /** Units, at least one. */
  quantity: number;
}

export interface PricedLine extends OrderLine {
  /** Minor units of the order's currency, for one unit. */
  unitPrice: number;
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
);

export type Decision = { type: 'changed'; from: OrderStatus; order: Order } | { type: NonTransition; order: Order };

/** Applies one change to an order by the tables above. Pure: the caller saves what it returns, and says what `tellingOf` names. */
export function decide(order: Order, change: OrderChange): Decision {
  const table = order.payment === 'NONE' ? transitions : paidTransitions;
  const target = table[order.status][change.trigger];
  switch (target) {
    case 'ignored':
    case 'already':
    case 'refused':
    case 'release':
    case 'refund':
    case 'void':
      return { type: target, order };
    default:
      return { type: 'changed', from: order.status, order: { ...order, status: target, version: order.version + 1 } };
  }
}

/** What follows from a decision: events for everyone, and commands to accounts. */
export type Telling = 'OrderReserved' | 'OrderConfirmed' | 'OrderCancelled' | 'OrderFulfilled' | 'RefundPayment' | 'VoidPayment';

/** Whom to tell what. A cancel gives the money back as well, wherever accounts has been asked for it and has not refused. */
export function tellingOf(decision: Decision, trigger: OrderTrigger): Telling[] {
  switch (decision.type) {
    case 'changed':
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
  return order.status === 'CANCELLED' && order.payment !== 'NONE' && from !== 'PENDING' && trigger === 'CancelOrder';
}

/** True once it waits for no decision any more; a confirmed order may still be cancelled or fulfilled. */
export function isDecided(status: OrderStatus): boolean {
  return status !== 'PENDING' && status !== 'RESERVED';
}

/** The same product ordered in two lines is one line of both quantities; lines come out by product id. */
export function mergeLines(lines: OrderLine[]): OrderLine[] {
  const quantities = new Map<number, number>();
  for (const { productId, quantity } of lines) quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return [...quantities].map(([productId, quantity]) => ({ productId, quantity })).sort((a, b) => a.productId - b.productId);
}

/** What the lines cost together, in minor units. */
export function totalOf(lines: PricedLine[]): number {
  return lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0);
}

/** True when inventory answered for exactly the lines that were ordered. */
export function coversExactly(ordered: OrderLine[], reserved: OrderLine[]): boolean {
  const merged = mergeLines(reserved);
  return (
    merged.length === ordered.length &&
    merged.every((line, index) => line.productId === ordered[index]!.productId && line.quantity === ordered[index]!.quantity)
  );
}
