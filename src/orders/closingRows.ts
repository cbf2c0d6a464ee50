import { type CancellationCode } from '../contracts';
import { raw, type Transaction } from '../database';

/** Who has to answer for a closed order: inventory for its stock (`closings`), accounts for its money (`refunds`). */
export type ClosingTable = 'closings' | 'refunds';

/** A closed order that one of them has not answered for, with what is to be told again. */
export interface UnansweredClosing {
  orderId: string;
  customerId: string;
  correlationId: string;
  status: 'CANCELLED' | 'FULFILLED';
  version: number;
  code: CancellationCode | null;
  reason: string | null;
}

/** Notes that these closings must be heard: each is told again after so long, until it has answered. */
export async function rememberClosings(
  tx: Transaction,
  table: ClosingTable,
  orderIds: string[],
  tellAgainAfterMs: number,
): Promise<void> {
  if (orderIds.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO ${named(table)} (order_id, watch_at)
    SELECT DISTINCT id, clock_timestamp() + ${tellAgainAfterMs} * interval '1 millisecond'
    FROM unnest(${orderIds}::text[]) AS closed(id) ORDER BY id
    ON CONFLICT (order_id) DO NOTHING`;
}

/** They are answered. Locked in their order, so that two batches with the same orders wait for one another. */
export async function forgetClosings(tx: Transaction, table: ClosingTable, orderIds: string[]): Promise<void> {
  await tx.$executeRaw`
    WITH answered AS MATERIALIZED (
      SELECT order_id FROM ${named(table)} WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id FOR UPDATE
    )
    DELETE FROM ${named(table)} AS closing USING answered WHERE closing.order_id = answered.order_id`;
}

/** Takes the closings that have waited longest for an answer, and sets each to be told again when it is twice as old. */
export async function takeUnanswered(tx: Transaction, table: ClosingTable, limit: number): Promise<UnansweredClosing[]> {
  return tx.$queryRaw`
    WITH late AS (
      SELECT order_id FROM ${named(table)} WHERE watch_at <= clock_timestamp()
      ORDER BY watch_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    ), told AS (
      UPDATE ${named(table)} AS closing SET watch_at = clock_timestamp() + (clock_timestamp() - closed_at)
      FROM late WHERE closing.order_id = late.order_id RETURNING closing.order_id
    )
    SELECT id AS "orderId", customer_id AS "customerId", correlation_id AS "correlationId", status::text AS status, version,
           reason_code AS code, reason_message AS reason
    FROM orders.orders JOIN told ON told.order_id = orders.id ORDER BY id`;
}

/** Gives up what nobody has answered for so long: an inventory service of another make may never answer a closing. */
export async function giveUpClosings(tx: Transaction, afterMs: number, limit: number): Promise<number> {
  return tx.$executeRaw`
    DELETE FROM orders.closings WHERE order_id IN (
      SELECT order_id FROM orders.closings WHERE closed_at < clock_timestamp() - ${afterMs} * interval '1 millisecond'
      ORDER BY order_id LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )`;
}

function named(table: ClosingTable) {
  return raw(`orders.${table}`);
}
