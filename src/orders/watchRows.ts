import { type Transaction } from '../database';

/** Locks orders that are PENDING past their deadline. Those that somebody else is deciding this moment are left to them. */
export async function lockOverdue(tx: Transaction, limit: number): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM orders.orders
    WHERE status = 'PENDING' AND watch_at <= clock_timestamp() AND deadline_at <= clock_timestamp()
    ORDER BY id LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
  return rows.map((row) => row.id);
}

/** Whether any order has waited so long that it should be asked for again: for its stock, or for its payment. */
export async function anyLate(tx: Transaction): Promise<{ isUndecided: boolean; isUnpaid: boolean }> {
  const [row] = await tx.$queryRaw<{ isUndecided: boolean; isUnpaid: boolean }[]>`
    SELECT
      EXISTS (SELECT FROM orders.orders
        WHERE status = 'PENDING' AND watch_at <= clock_timestamp() AND deadline_at > clock_timestamp()) AS "isUndecided",
      EXISTS (SELECT FROM orders.orders WHERE status = 'RESERVED' AND watch_at <= clock_timestamp()) AS "isUnpaid"`;
  return row!;
}

/** Takes the orders that have waited longest, and sets each to be looked at again at twice its age, at its deadline at the latest. */
export async function takeLate(
  tx: Transaction,
  limit: number,
): Promise<{ id: string; customerId: string; correlationId: string }[]> {
  return tx.$queryRaw`
    WITH late AS (
      SELECT id FROM orders.orders AS o
      WHERE status = 'PENDING' AND watch_at <= clock_timestamp() AND deadline_at > clock_timestamp()
      ORDER BY watch_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE orders.orders AS o SET watch_at = least(o.deadline_at, clock_timestamp() + (clock_timestamp() - o.created_at))
    FROM late WHERE o.id = late.id
    RETURNING o.id, o.customer_id AS "customerId", o.correlation_id AS "correlationId"`;
}
