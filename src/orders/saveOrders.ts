import { type PaymentMethod } from '../contracts';
import { sql, type Sql, type Transaction } from '../database';
import { appendingTo, type AppendedRow, type AtOnce, type OutgoingMessage, type WrittenAtOnce } from '../messaging';
import { type OrderLine } from './orderLines';

/** An order as it is to be written: validated, its lines merged. */
export interface NewOrder {
  id: string;
  customerId: string;
  lines: OrderLine[];
  currency: string;
  payment: PaymentMethod;
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
 * Raw, because Prisma's nested create costs a hundred times as much and cannot say ON CONFLICT for a batch.
 */
export async function saveOrders(tx: Transaction, orders: NewOrder[], times: OrderTimes): Promise<Map<string, Date>> {
  const placed = await tx.$queryRaw<PlacedRow[]>`WITH ${placing(orders, times)} SELECT id, created_at FROM placed`;
  return new Map(placed.map((row) => [row.id, row.created_at]));
}

/** The same with the event of each order, in a statement that commits by itself: both are there, or neither. */
export async function saveOrdersAtOnce(
  { database, leaseMs }: AtOnce,
  orders: NewOrder[],
  events: OutgoingMessage[],
  times: OrderTimes,
): Promise<WrittenAtOnce<Map<string, Date>>> {
  const appending = appendingTo('orders', events, leaseMs, sql`message.aggregate_id IN (SELECT id FROM placed)`);
  const written = await database.$queryRaw<(AppendedRow & { placed_id: string; placed_at: Date })[]>`
    WITH ${placing(orders, times)}, ${appending.expression}
    SELECT outbox.id, position, outbox.created_at, placed.id AS placed_id, placed.created_at AS placed_at
    FROM placed JOIN outbox ON outbox.aggregate_id = placed.id`;
  const result = new Map(written.map((row) => [row.placed_id, row.placed_at]));
  return { result, rows: appending.rows(written) };
}

interface PlacedRow {
  id: string;
  created_at: Date;
}

/**
 * Table expressions; `placed` holds what was written. Rows go in by their key, so that two batches with the same keys wait for one
 * another and never deadlock. The orders travel as one JSON text, because arrays are walked through element by element.
 */
function placing(orders: NewOrder[], times: OrderTimes): Sql {
  return sql`wished AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(orders)}::json) AS wished("id" text, "customerId" text, "lines" json,
        "currency" text, "payment" text, "correlationId" text, "idempotencyKey" text, "fingerprint" text)
    ), placed AS (
      INSERT INTO orders.orders
        (id, customer_id, status, correlation_id, currency, payment, idempotency_key, fingerprint, deadline_at, watch_at)
      SELECT "id", "customerId", 'PENDING', "correlationId", "currency", "payment"::orders.payment_method, "idempotencyKey",
             "fingerprint", clock_timestamp() + ${times.deadlineMs} * interval '1 millisecond',
             clock_timestamp() + ${Math.min(times.republishAfterMs, times.deadlineMs)} * interval '1 millisecond'
      FROM wished
      ORDER BY "customerId", "idempotencyKey", "id"
      ON CONFLICT (customer_id, idempotency_key) DO NOTHING
      RETURNING id, created_at
    ), lines AS (
      INSERT INTO orders.order_items (order_id, product_id, quantity)
      SELECT id, "productId", "quantity"
      FROM wished JOIN placed USING (id), json_to_recordset(wished.lines) AS line("productId" int, "quantity" int)
    ), history AS (
      INSERT INTO orders.order_history (order_id, version, event, to_status, at)
      SELECT id, 1, 'OrderCreated', 'PENDING', created_at FROM placed
    )`;
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
