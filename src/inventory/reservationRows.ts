import { type EventOf } from '../contracts';
import { type ReservationStatus, type Transaction } from '../database';
import { type HeldLine, type WishedLine } from './stock';

/** What an order service is told about its order. */
export type Answer = EventOf<'StockReserved'> | EventOf<'StockRejected'> | EventOf<'StockReleased'>;

export interface NewReservation {
  orderId: string;
  status: ReservationStatus;
  /** The answer as JSON, kept word for word; null for a tombstone. */
  answer: string | null;
  lines: HeldLine[];
}

/** A reservation with what it holds, locked. */
export interface LockedReservation {
  orderId: string;
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
      INSERT INTO inventory.reservations (order_id, status, answer)
      SELECT order_id, status::inventory.reservation_status, answer::json
      FROM unnest(
        ${reservations.map((reservation) => reservation.orderId)}::text[],
        ${reservations.map((reservation) => reservation.status)}::text[],
        ${reservations.map((reservation) => reservation.answer)}::text[]
      ) AS reservation(order_id, status, answer)
      ORDER BY order_id
      ON CONFLICT (order_id) DO NOTHING
      RETURNING order_id
    ), held AS (
      INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor)
      SELECT order_id, product_id, quantity, unit_price
      FROM unnest(
        ${lines.map((line) => line.orderId)}::text[],
        ${lines.map((line) => line.productId)}::int[],
        ${lines.map((line) => line.quantity)}::int[],
        ${lines.map((line) => line.unitPrice)}::bigint[]
      ) AS line(order_id, product_id, quantity, unit_price)
      JOIN inserted USING (order_id)
    )
    SELECT count(*)::int AS inserted FROM inserted`;
  return row!.inserted;
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
    SELECT order_id AS "orderId", status::text AS status
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
