import { type Transaction } from '../database';
import { type AmendmentReason } from './order';
import { type OrderLine, type PricedLine } from './orderLines';

/** An amendment that inventory has not answered. */
export interface AmendmentUnderWay {
  orderId: string;
  number: number;
  /** The lines when it was asked for. */
  before: OrderLine[];
  /** All lines as they are to be. */
  lines: OrderLine[];
  correlationId: string;
  decideBefore: Date;
}

export interface AmendmentTimes {
  /** Inventory refuses what it hears of later than this. */
  deadlineMs: number;
  /** When inventory is told again. */
  tellAgainAfterMs: number;
}

/** What became of an amendment. */
export type AmendmentOutcome = { orderId: string; number: number } & (
  | { status: 'APPLIED' | 'OVERTAKEN' }
  | { status: 'REJECTED'; reason: AmendmentReason }
);

/** Writes an amendment under the next number of its order; the caller holds the order's lock, so no two get the same. */
export async function insertAmendment(
  tx: Transaction,
  { orderId, before, lines, correlationId }: Omit<AmendmentUnderWay, 'number' | 'decideBefore'>,
  { deadlineMs, tellAgainAfterMs }: AmendmentTimes,
): Promise<AmendmentUnderWay> {
  const [row] = await tx.$queryRaw<Pick<AmendmentUnderWay, 'number' | 'decideBefore'>[]>`
    INSERT INTO orders.amendments (order_id, number, before, lines, correlation_id, decide_before, watch_at)
    SELECT ${orderId}, coalesce(max(number), 0) + 1, ${JSON.stringify(before)}::jsonb, ${JSON.stringify(lines)}::jsonb, ${correlationId},
           clock_timestamp() + ${deadlineMs} * interval '1 millisecond',
           clock_timestamp() + ${tellAgainAfterMs} * interval '1 millisecond'
    FROM orders.amendments WHERE order_id = ${orderId}
    RETURNING number, decide_before AS "decideBefore"`;
  return { orderId, before, lines, correlationId, ...row! };
}

/** The amendments of these orders that are under way. The caller holds the locks of the orders, without which none begins or ends. */
export async function findUnderWay(tx: Transaction, orderIds: string[]): Promise<Map<string, AmendmentUnderWay>> {
  const rows = await tx.$queryRaw<AmendmentUnderWay[]>`
    SELECT order_id AS "orderId", number, before, lines, correlation_id AS "correlationId", decide_before AS "decideBefore"
    FROM orders.amendments WHERE order_id = ANY(${orderIds}::text[]) AND status = 'PENDING'`;
  return new Map(rows.map((row) => [row.orderId, row]));
}

/** Ends amendments. In the order of their orders, as everything that locks several. */
export async function endAmendments(tx: Transaction, outcomes: AmendmentOutcome[]): Promise<void> {
  if (outcomes.length === 0) return;
  const reasons = outcomes.map((outcome) => (outcome.status === 'REJECTED' ? outcome.reason : undefined));
  await tx.$executeRaw`
    WITH ended AS (
      SELECT * FROM unnest(
        ${outcomes.map(({ orderId }) => orderId)}::text[],
        ${outcomes.map(({ number }) => number)}::int[],
        ${outcomes.map(({ status }) => status)}::text[],
        ${reasons.map((reason) => reason?.code ?? null)}::text[],
        ${reasons.map((reason) => reason?.message ?? null)}::text[],
        ${reasons.map((reason) => (reason ? JSON.stringify(reason.lines) : null))}::text[]
      ) AS ended(order_id, number, status, code, message, lines)
    ), locked AS MATERIALIZED (
      SELECT order_id, number FROM orders.amendments JOIN ended USING (order_id, number) ORDER BY order_id, number
      FOR UPDATE OF amendments
    )
    UPDATE orders.amendments AS amendment
    SET status = ended.status::orders.amendment_status, decided_at = clock_timestamp(),
        reason_code = ended.code, reason_message = ended.message, reason_lines = ended.lines::jsonb
    FROM locked JOIN ended USING (order_id, number)
    WHERE amendment.order_id = locked.order_id AND amendment.number = locked.number`;
}

/** Has each order consist of these lines and no others; the caller names each order once, and holds its lock. */
export async function replaceLines(tx: Transaction, orders: { orderId: string; lines: PricedLine[] }[]): Promise<void> {
  if (orders.length === 0) return;
  const lines = orders.flatMap((order) => order.lines.map((line) => ({ orderId: order.orderId, ...line })));
  await tx.$executeRaw`
    WITH wanted AS (
      SELECT * FROM unnest(
        ${lines.map((line) => line.orderId)}::text[],
        ${lines.map((line) => line.productId)}::int[],
        ${lines.map((line) => line.quantity)}::int[],
        ${lines.map((line) => line.unitPrice)}::bigint[]
      ) AS line(order_id, product_id, quantity, unit_price)
    ), dropped AS (
      DELETE FROM orders.order_items AS item
      WHERE order_id = ANY(${orders.map(({ orderId }) => orderId)}::text[])
        AND NOT EXISTS (SELECT FROM wanted WHERE wanted.order_id = item.order_id AND wanted.product_id = item.product_id)
    )
    INSERT INTO orders.order_items (order_id, product_id, quantity, unit_price_minor)
    SELECT order_id, product_id, quantity, unit_price FROM wanted
    ON CONFLICT (order_id, product_id)
      DO UPDATE SET quantity = EXCLUDED.quantity, unit_price_minor = EXCLUDED.unit_price_minor`;
}

/**
 * Takes the amendments that have waited longest for an answer, and sets each to be told again when it is twice as old, after
 * `againMaxMs` at the latest. Never given up: until inventory has answered, only it knows which lines are held.
 */
export async function takeUnansweredAmendments(tx: Transaction, limit: number, againMaxMs: number): Promise<AmendmentUnderWay[]> {
  return tx.$queryRaw`
    WITH late AS (
      SELECT order_id, number FROM orders.amendments WHERE status = 'PENDING' AND watch_at <= clock_timestamp()
      ORDER BY watch_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )
    UPDATE orders.amendments AS amendment
    SET watch_at = clock_timestamp() + least(clock_timestamp() - requested_at, ${againMaxMs} * interval '1 millisecond')
    FROM late WHERE amendment.order_id = late.order_id AND amendment.number = late.number
    RETURNING amendment.order_id AS "orderId", amendment.number, before, lines, correlation_id AS "correlationId",
              decide_before AS "decideBefore"`;
}
