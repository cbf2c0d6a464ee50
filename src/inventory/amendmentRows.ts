import { type EventOf } from '../contracts';
import { type Transaction } from '../database';
import { type Held } from './amendment';
import { type LockedReservation, type NewLine } from './reservationRows';
import { type HeldLine } from './stock';

/** What an order service is told about a change that it asked for. */
export type AmendmentAnswer = EventOf<'StockAmended'> | EventOf<'AmendmentRejected'>;

/** Which amendment: the order, and the number that the order service gave it. */
export interface AmendmentName {
  orderId: string;
  number: number;
}

export interface StoredAnswer extends AmendmentName {
  answer: AmendmentAnswer;
}

export function keyOf({ orderId, number }: AmendmentName): string {
  return `${number} ${orderId}`;
}

/**
 * The stored answers of those amendments that have one, by their key; the latest answered number of each of their orders; and the
 * database's time. One statement, and so of one moment.
 */
export async function findAmendments(tx: Transaction, named: AmendmentName[]): Promise<FoundAmendments> {
  const rows = await tx.$queryRaw<{ orderId: string; number: number; last: number; answer: AmendmentAnswer | null; now: Date }[]>`
    SELECT order_id AS "orderId", amendment AS number, stored.answer, clock_timestamp() AS now,
           (SELECT coalesce(max(amendment), 0) FROM inventory.amendments AS earlier WHERE earlier.order_id = named.order_id) AS last
    FROM unnest(${named.map(({ orderId }) => orderId)}::text[], ${named.map(({ number }) => number)}::int[])
      AS named(order_id, amendment)
    LEFT JOIN inventory.amendments AS stored USING (order_id, amendment)`;
  return {
    answers: new Map(rows.flatMap((row) => (row.answer ? [[keyOf(row), row.answer] as const] : []))),
    lastNumbers: new Map(rows.map(({ orderId, last }) => [orderId, last])),
    now: rows[0]!.now,
  };
}

export interface FoundAmendments {
  answers: Map<string, AmendmentAnswer>;
  lastNumbers: Map<string, number>;
  now: Date;
}

/** What these orders hold, as the rules want it: the caller holds the locks. */
export async function readHeld(
  tx: Transaction,
  reservations: Map<string, LockedReservation>,
  lastNumbers: Map<string, number>,
): Promise<Map<string, Held>> {
  const rows = await tx.$queryRaw<(Omit<HeldLine, 'unitPrice'> & { orderId: string; unitPrice: bigint })[]>`
    SELECT order_id AS "orderId", product_id AS "productId", quantity, unit_price_minor AS "unitPrice"
    FROM inventory.reservation_lines WHERE order_id = ANY(${[...reservations.keys()]}::text[]) ORDER BY order_id, product_id`;
  const linesOf = (id: string) => rows.filter(({ orderId }) => orderId === id);
  return new Map(
    [...reservations.values()].map(({ orderId, status, customerId }): [string, Held] => [
      orderId,
      {
        isActive: status === 'ACTIVE',
        customerId: customerId ?? undefined,
        lines: linesOf(orderId).map(({ productId, quantity, unitPrice }) => ({
          ...{ productId, quantity, unitPrice: Number(unitPrice) },
        })),
        lastNumber: lastNumbers.get(orderId) ?? 0,
      },
    ]),
  );
}

/** Stores answers and returns how many were new: the primary key lets each amendment be answered once, ever. */
export async function saveAnswers(tx: Transaction, answers: StoredAnswer[]): Promise<number> {
  return tx.$executeRaw`
    INSERT INTO inventory.amendments (order_id, amendment, answer)
    SELECT order_id, amendment, answer::json
    FROM unnest(
      ${answers.map(({ orderId }) => orderId)}::text[],
      ${answers.map(({ number }) => number)}::int[],
      ${answers.map(({ answer }) => JSON.stringify(answer))}::text[]
    ) AS answered(order_id, amendment, answer)
    ORDER BY order_id, amendment
    ON CONFLICT (order_id, amendment) DO NOTHING`;
}

/**
 * Has each reservation hold these lines and no others, and changes its stored answer with them: an order that is asked for again must
 * never be promised what is not held any more. The caller holds the locks, and names each order once.
 */
export async function amendReservations(tx: Transaction, amended: { orderId: string; lines: NewLine[] }[]): Promise<void> {
  if (amended.length === 0) return;
  const orderIds = amended.map(({ orderId }) => orderId);
  const lines = amended.flatMap((order) => order.lines.map((line) => ({ orderId: order.orderId, ...line })));
  await tx.$executeRaw`
    WITH held AS (
      SELECT * FROM unnest(
        ${lines.map((line) => line.orderId)}::text[],
        ${lines.map((line) => line.productId)}::int[],
        ${lines.map((line) => line.quantity)}::int[],
        ${lines.map((line) => line.unitPrice)}::bigint[],
        ${lines.map((line) => line.customerId ?? null)}::text[]
      ) AS line(order_id, product_id, quantity, unit_price, customer_id)
    ), dropped AS (
      DELETE FROM inventory.reservation_lines AS line
      WHERE order_id = ANY(${orderIds}::text[])
        AND NOT EXISTS (SELECT FROM held WHERE held.order_id = line.order_id AND held.product_id = line.product_id)
    ), kept AS (
      INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor, customer_id)
      SELECT order_id, product_id, quantity, unit_price, customer_id FROM held
      ON CONFLICT (order_id, product_id) DO UPDATE SET
        quantity = EXCLUDED.quantity, unit_price_minor = EXCLUDED.unit_price_minor,
        customer_id = coalesce(EXCLUDED.customer_id, reservation_lines.customer_id)
    )
    UPDATE inventory.reservations AS reservation
    SET updated_at = clock_timestamp(), answer = json_build_object(
      'event', 'StockReserved', 'order_id', order_id,
      'items', (SELECT json_agg(json_build_object('product_id', product_id, 'quantity', quantity, 'unit_price', unit_price))
                FROM held WHERE held.order_id = reservation.order_id))
    WHERE order_id = ANY(${orderIds}::text[])`;
}
