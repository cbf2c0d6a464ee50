import { type Transaction } from '../database';
import { type Order } from './order';
import { type PricedLine } from './orderLines';

/** A RESERVED order that accounts has not answered for. */
export interface UnpaidOrder extends Omit<Order, 'lines' | 'status'> {
  /** Its deadline has passed. */
  isOverdue: boolean;
}

/**
 * Takes the orders that have waited longest for their payment. Each is looked at again at twice its age, at its deadline at the
 * latest, and from then on after `againAfterMs` each time, until accounts has said what came first.
 */
export async function takeUnpaid(tx: Transaction, limit: number, againAfterMs: number): Promise<UnpaidOrder[]> {
  return tx.$queryRaw`
    WITH late AS (
      SELECT id FROM orders.orders WHERE status = 'RESERVED' AND watch_at <= clock_timestamp()
      ORDER BY watch_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE orders.orders AS o SET watch_at = CASE
      WHEN o.deadline_at <= clock_timestamp() THEN clock_timestamp() + ${againAfterMs} * interval '1 millisecond'
      ELSE least(o.deadline_at, clock_timestamp() + (clock_timestamp() - o.created_at)) END
    FROM late WHERE o.id = late.id
    RETURNING o.id, o.customer_id AS "customerId", o.version, o.correlation_id AS "correlationId", o.currency,
              o.payment::text AS payment, o.deadline_at <= clock_timestamp() AS "isOverdue"`;
}

/** Those of these orders that wait for their payment and have time left. */
export async function findUnpaid(tx: Transaction, orderIds: string[]): Promise<Omit<UnpaidOrder, 'isOverdue'>[]> {
  return tx.$queryRaw`
    SELECT id, customer_id AS "customerId", version, correlation_id AS "correlationId", currency, payment::text AS payment
    FROM orders.orders WHERE id = ANY(${orderIds}::text[]) AND status = 'RESERVED' AND deadline_at > clock_timestamp()
    ORDER BY id`;
}

/** The lines of these orders at the prices that were taken when they were reserved. Orders that nobody knows are left out. */
export async function readPricedLines(tx: Transaction, orderIds: string[]): Promise<Map<string, PricedLine[]>> {
  const rows = await tx.$queryRaw<{ orderId: string; productId: number; quantity: number; unitPrice: bigint }[]>`
    SELECT order_id AS "orderId", product_id AS "productId", quantity, unit_price_minor AS "unitPrice"
    FROM orders.order_items WHERE order_id = ANY(${orderIds}::text[]) AND unit_price_minor IS NOT NULL
    ORDER BY order_id, product_id`;
  const lines = new Map<string, PricedLine[]>();
  for (const { orderId, unitPrice, ...line } of rows)
    lines.set(orderId, [...(lines.get(orderId) ?? []), { ...line, unitPrice: Number(unitPrice) }]);
  return lines;
}
