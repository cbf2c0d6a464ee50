import { type CancellationCode, type OrderStatus, type RejectedLine } from '../contracts';

/**
 * What an order can go through. Everything that may happen to an order in any status is defined here, and nowhere else.
 *
 *                 StockReserved   StockRejected   CancelOrder   ExpireOrder   FulfilOrder
 *   PENDING       CONFIRMED       CANCELLED       CANCELLED     CANCELLED     refused
 *   CONFIRMED     ignored         ignored         CANCELLED     ignored       FULFILLED
 *   FULFILLED     ignored         ignored         refused       ignored       already
 *   CANCELLED     release         ignored         already       ignored       refused
 *
 * `ignored`: a late or repeated answer; the first one stands. `already`: what was asked for is so; a repeated request is no
 * error. `release`: stock was reserved for an order that does not want it any more; inventory is told so once more.
 */
export const transitions: Record<OrderStatus, Record<OrderTrigger, OrderStatus | NonTransition>> = {
  PENDING: {
    StockReserved: 'CONFIRMED',
    StockRejected: 'CANCELLED',
    CancelOrder: 'CANCELLED',
    ExpireOrder: 'CANCELLED',
    FulfilOrder: 'refused',
  },
  CONFIRMED: {
    StockReserved: 'ignored',
    StockRejected: 'ignored',
    CancelOrder: 'CANCELLED',
    ExpireOrder: 'ignored',
    FulfilOrder: 'FULFILLED',
  },
  FULFILLED: {
    StockReserved: 'ignored',
    StockRejected: 'ignored',
    CancelOrder: 'refused',
    ExpireOrder: 'ignored',
    FulfilOrder: 'already',
  },
  CANCELLED: {
    StockReserved: 'release',
    StockRejected: 'ignored',
    CancelOrder: 'already',
    ExpireOrder: 'ignored',
    FulfilOrder: 'refused',
  },
};

export { type OrderStatus };
/** Two events from inventory, three commands: from a person, from the clock, from the warehouse. */
export type OrderTrigger = 'StockReserved' | 'StockRejected' | 'CancelOrder' | 'ExpireOrder' | 'FulfilOrder';
export type NonTransition = 'ignored' | 'already' | 'refused' | 'release';

/** What the order looks like to the rules: the row, locked. */
export interface Order {
  id: string;
  customerId: string;
  status: OrderStatus;
  version: number;
  correlationId: string;
  currency: string;
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
);

export type Decision = { type: 'changed'; from: OrderStatus; order: Order } | { type: NonTransition; order: Order };

/** Applies one change to an order by the table above. Pure: the caller saves what it returns. */
export function decide(order: Order, change: OrderChange): Decision {
  const target = transitions[order.status][change.trigger];
  switch (target) {
    case 'ignored':
    case 'already':
    case 'refused':
    case 'release':
      return { type: target, order };
    default:
      return { type: 'changed', from: order.status, order: { ...order, status: target, version: order.version + 1 } };
  }
}

/** True once it waits for no decision any more; a confirmed order may still be cancelled or fulfilled. */
export function isDecided(status: OrderStatus): boolean {
  return status !== 'PENDING';
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
