import { type Transaction } from '../database';
import { type OrderLine } from './order';

/** An order as it is to be written: validated, its lines merged. */
export interface NewOrder {
  id: string;
  customerId: string;
  lines: OrderLine[];
  currency: string;
  correlationId: string;
  idempotencyKey: string | null;
  /** Null exactly when there is no key. */
  fingerprint: string | null;
}

export interface OrderTimes {
  /** A PENDING order is cancelled as EXPIRED after this. */
  deadlineMs: number;
  /** A PENDING order is looked at by the watchdog after this, at its deadline at the latest. */
  republishAfterMs: number;
}

/**
 * Writes orders, lines and first history rows in one statement, and returns the ids that were written with their times. An order
 * whose idempotency key is taken is left out, lines and all: the unique index decides, so two gateways cannot both win.
 * Rows go in by their key, so that two batches with the same keys wait for one another and never deadlock.
 * Raw, because Prisma's nested create costs a hundred times as much and cannot say ON CONFLICT for a batch.
 */
export async function saveOrders(tx: Transaction, orders: NewOrder[], times: OrderTimes): Promise<Map<string, Date>> {
  const lines = orders.flatMap((order) => order.lines.map((line) => ({ orderId: order.id, ...line })));
  const placed = await tx.$queryRaw<{ id: string; created_at: Date }[]>`
    WITH placed AS (
      INSERT INTO orders.orders
        (id, customer_id, status, correlation_id, currency, idempotency_key, fingerprint, deadline_at, watch_at)
      SELECT id, customer_id, 'PENDING', correlation_id, currency, idempotency_key, fingerprint,
             clock_timestamp() + ${times.deadlineMs} * interval '1 millisecond',
             clock_timestamp() + ${Math.min(times.republishAfterMs, times.deadlineMs)} * interval '1 millisecond'
      FROM unnest(
        ${orders.map((order) => order.id)}::text[],
        ${orders.map((order) => order.customerId)}::text[],
        ${orders.map((order) => order.correlationId)}::text[],
        ${orders.map((order) => order.currency)}::text[],
        ${orders.map((order) => order.idempotencyKey)}::text[],
        ${orders.map((order) => order.fingerprint)}::text[]
      ) AS wished(id, customer_id, correlation_id, currency, idempotency_key, fingerprint)
      ORDER BY customer_id, idempotency_key, id
      ON CONFLICT (customer_id, idempotency_key) DO NOTHING
      RETURNING id, created_at
    ), lines AS (
      INSERT INTO orders.order_items (order_id, product_id, quantity)
      SELECT order_id, product_id, quantity
      FROM unnest(
        ${lines.map((line) => line.orderId)}::text[],
        ${lines.map((line) => line.productId)}::int[],
        ${lines.map((line) => line.quantity)}::int[]
      ) AS line(order_id, product_id, quantity)
      JOIN placed ON placed.id = line.order_id
    ), history AS (
      INSERT INTO orders.order_history (order_id, version, event, to_status, at)
      SELECT id, 1, 'OrderCreated', 'PENDING', created_at FROM placed
    )
    SELECT id, created_at FROM placed`;
  return new Map(placed.map((row) => [row.id, row.created_at]));
}

/** The orders that hold these idempotency keys, with what each key was used for. */
export async function findByKeys(
  tx: Transaction,
  keys: { customerId: string; idempotencyKey: string }[],
): Promise<{ id: string; customerId: string; idempotencyKey: string; fingerprint: string }[]> {
  if (keys.length === 0) return [];
  return tx.$queryRaw`
    SELECT id, customer_id AS "customerId", idempotency_key AS "idempotencyKey", fingerprint
    FROM orders.orders
    JOIN unnest(${keys.map((key) => key.customerId)}::text[], ${keys.map((key) => key.idempotencyKey)}::text[])
      AS wanted(customer_id, idempotency_key) USING (customer_id, idempotency_key)`;
}
