import { type EventOf } from '../contracts';
import { sql, type ReservationStatus, type Transaction } from '../database';
import { appendingTo, type AppendedRow, type AtOnce, type OutboxRow, type OutgoingMessage } from '../messaging';
import { type HeldLine, type WishedLine } from './stock';

/** What an order service is told about its order. */
export type Answer = EventOf<'StockReserved'> | EventOf<'StockRejected'> | EventOf<'StockReleased'>;

export interface NewReservation {
  orderId: string;
  customerId?: string;
  status: ReservationStatus;
  /** The answer as JSON, kept word for word; null for a tombstone. */
  answer: string | null;
  lines: NewLine[];
}

/** `customerId` stands on lines of products with a limit per customer, and on no others. */
export type NewLine = HeldLine & { customerId?: string };

/** A reservation with what it holds, locked. */
export interface LockedReservation {
  orderId: string;
  customerId?: string | null;
  status: ReservationStatus;
  lines: WishedLine[];
}

/**
 * The stored answers of those orders that have one. An order that was let go is told that, not that its stock is reserved: a
 * repeated question must never be answered with a promise that no longer holds.
 */
export async function findReservations(tx: Transaction, orderIds: string[]): Promise<Map<string, Answer>> {
  const rows = await tx.$queryRaw<{ orderId: string; answer: Answer }[]>`
    SELECT order_id AS "orderId",
      CASE WHEN status = 'RELEASED' THEN json_build_object('event', 'StockReleased', 'order_id', order_id, 'items', json_build_array())
           ELSE answer END AS answer
    FROM inventory.reservations WHERE order_id = ANY(${orderIds}::text[])`;
  return new Map(rows.map((row) => [row.orderId, row.answer]));
}

/**
 * Writes reservations with their lines in one statement, and returns how many were new: the primary key lets each order be answered
 * once, ever. Rows go in by order id, so that two workers with the same orders wait for one another and never deadlock. An order
 * that was answered meanwhile is left out, lines and all; the caller then starts over.
 */
export async function insertReservations(tx: Transaction, reservations: NewReservation[]): Promise<number> {
  if (reservations.length === 0) return 0;
  const lines = reservations.flatMap(({ orderId, lines }) => lines.map((line) => ({ orderId, ...line })));
  const [row] = await tx.$queryRaw<{ inserted: number }[]>`
    WITH inserted AS (
      INSERT INTO inventory.reservations (order_id, status, answer, customer_id)
      SELECT order_id, status::inventory.reservation_status, answer::json, customer_id
      FROM unnest(
        ${reservations.map((reservation) => reservation.orderId)}::text[],
        ${reservations.map((reservation) => reservation.status)}::text[],
        ${reservations.map((reservation) => reservation.answer)}::text[],
        ${reservations.map((reservation) => reservation.customerId ?? null)}::text[]
      ) AS reservation(order_id, status, answer, customer_id)
      ORDER BY order_id
      ON CONFLICT (order_id) DO NOTHING
      RETURNING order_id
    ), held AS (
      INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor, customer_id)
      SELECT order_id, product_id, quantity, unit_price, customer_id
      FROM unnest(
        ${lines.map((line) => line.orderId)}::text[],
        ${lines.map((line) => line.productId)}::int[],
        ${lines.map((line) => line.quantity)}::int[],
        ${lines.map((line) => line.unitPrice)}::bigint[],
        ${lines.map((line) => line.customerId ?? null)}::text[]
      ) AS line(order_id, product_id, quantity, unit_price, customer_id)
      JOIN inserted USING (order_id)
    )
    SELECT count(*)::int AS inserted FROM inserted`;
  return row!.inserted;
}

/**
 * Reservations of orders that hold something or were refused, with their lines, movements, counters and answers: all of it in a
 * statement that commits by itself, or undefined and nothing. It locks the stock in the order of ids, and writes only if under the
 * locks every product still has the units that are wanted and no limit per customer (what a customer has bought is read under the locks,
 * which takes a second statement), if every product was for sale at that price when it began, and if no order was answered before. So a
 * hot product's row is locked for one statement. An order that is answered at the same moment fails the primary key, and with it the
 * whole. Orders refused for want of stock stay refused if some has come in since: they were decided on what was there when asked.
 */
export async function saveReservationsAtOnce(
  { database, leaseMs }: AtOnce,
  reservations: NewReservation[],
  answers: OutgoingMessage[],
): Promise<OutboxRow[] | undefined> {
  const lines = reservations.flatMap(({ orderId, lines }) => lines.map((line) => ({ orderId, ...line })));
  const appending = appendingTo('inventory', answers, leaseMs, sql`(SELECT holds FROM condition)`);
  const written = await database.$queryRaw<AppendedRow[]>`
    WITH decided AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(reservations)}::json) AS decided("orderId" text, "status" text, "answer" text, "customerId" text)
    ), line AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(lines)}::json)
        AS line("orderId" text, "productId" int, "quantity" int, "unitPrice" bigint)
    ), change AS MATERIALIZED (
      SELECT "productId" AS product_id, "unitPrice" AS price, sum("quantity")::int AS reserved FROM line GROUP BY 1, 2
    ), locked AS MATERIALIZED (
      SELECT stock.product_id, change.reserved
      FROM change JOIN inventory.stock USING (product_id) JOIN inventory.products ON products.id = stock.product_id
      WHERE stock.on_hand - stock.reserved >= change.reserved AND stock.max_per_customer IS NULL AND active AND price_minor = price
      ORDER BY stock.product_id FOR UPDATE OF stock
    ), condition AS MATERIALIZED (
      SELECT (SELECT count(*) FROM locked) = (SELECT count(*) FROM change)
        AND NOT EXISTS (SELECT FROM inventory.reservations JOIN decided ON order_id = "orderId") AS holds
    ), saved AS (
      INSERT INTO inventory.reservations (order_id, status, answer, customer_id)
      SELECT "orderId", "status"::inventory.reservation_status, "answer"::json, "customerId" FROM decided
      WHERE (SELECT holds FROM condition) ORDER BY "orderId"
    ), held AS (
      INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor)
      SELECT "orderId", "productId", "quantity", "unitPrice" FROM line WHERE (SELECT holds FROM condition)
    ), moved AS (
      INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id)
      SELECT "productId", 'RESERVE', 0, "quantity", "orderId" FROM line WHERE (SELECT holds FROM condition)
    ), counted AS (
      UPDATE inventory.stock SET reserved = stock.reserved + locked.reserved, updated_at = clock_timestamp()
      FROM locked WHERE stock.product_id = locked.product_id AND (SELECT holds FROM condition)
    ), ${appending.expression}
    SELECT id, position, created_at FROM outbox`;
  return written.length === 0 ? undefined : appending.rows(written);
}

/** The products that these orders hold or held. Nothing is locked: what is read here tells which stock to lock first. */
export async function productsHeldBy(tx: Transaction, orderIds: string[]): Promise<number[]> {
  const rows = await tx.$queryRaw<{ productId: number }[]>`
    SELECT DISTINCT product_id AS "productId" FROM inventory.reservation_lines WHERE order_id = ANY(${orderIds}::text[])`;
  return rows.map((row) => row.productId);
}

/** Locks these orders' reservations by order id; orders without one are left out. */
export async function lockReservations(tx: Transaction, orderIds: string[]): Promise<Map<string, LockedReservation>> {
  const rows = await tx.$queryRaw<Omit<LockedReservation, 'lines'>[]>`
    SELECT order_id AS "orderId", customer_id AS "customerId", status::text AS status
    FROM inventory.reservations WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id FOR UPDATE`;
  const lines = await tx.$queryRaw<(WishedLine & { orderId: string })[]>`
    SELECT order_id AS "orderId", product_id AS "productId", quantity
    FROM inventory.reservation_lines WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id, product_id`;
  const locked = new Map(rows.map((row): [string, LockedReservation] => [row.orderId, { ...row, lines: [] }]));
  for (const { orderId, ...line } of lines) locked.get(orderId)?.lines.push(line);
  return locked;
}

export async function setReservationStatus(tx: Transaction, orderIds: string[], status: ReservationStatus): Promise<void> {
  if (orderIds.length === 0) return;
  await tx.$executeRaw`
    UPDATE inventory.reservations SET status = ${status}::inventory.reservation_status, updated_at = clock_timestamp()
    WHERE order_id = ANY(${orderIds}::text[])`;
}
