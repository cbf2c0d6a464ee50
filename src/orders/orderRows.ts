import { type Transaction } from '../database';
import { type Order, type OrderChange, type OrderLine, type OrderStatus, type PricedLine, totalOf } from './order';

export interface LockedOrder extends Order {
  /** Its age by the database's clock. */
  secondsOpen: number;
}

export interface SavedChange {
  change: OrderChange;
  from: OrderStatus;
  order: Order;
}

/** Locks these orders in the order of their ids, so that two batches with the same orders wait for one another and never deadlock. */
export async function lockOrders(tx: Transaction, orderIds: string[]): Promise<Map<string, LockedOrder>> {
  const orders = await tx.$queryRaw<Omit<LockedOrder, 'lines'>[]>`
    SELECT id, customer_id AS "customerId", status::text AS status, version, correlation_id AS "correlationId", currency,
           extract(epoch FROM clock_timestamp() - created_at)::float8 AS "secondsOpen"
    FROM orders.orders WHERE id = ANY(${orderIds}::text[]) ORDER BY id FOR UPDATE`;
  const locked = new Map(orders.map((order): [string, LockedOrder] => [order.id, { ...order, lines: [] }]));
  for (const { orderId, ...line } of await readLines(tx, [...locked.keys()])) locked.get(orderId)?.lines.push(line);
  return locked;
}

/** Lines by order and product id, as the rules expect them. */
export async function readLines(tx: Transaction, orderIds: string[]): Promise<(OrderLine & { orderId: string })[]> {
  if (orderIds.length === 0) return [];
  return tx.$queryRaw`
    SELECT order_id AS "orderId", product_id AS "productId", quantity
    FROM orders.order_items WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id, product_id`;
}

/** Writes the new state of every changed order, the prices it was confirmed at, and a history row per change: one statement. */
export async function saveChanges(tx: Transaction, changes: SavedChange[]): Promise<void> {
  if (changes.length === 0) return;
  const last = [...new Map(changes.map((saved) => [saved.order.id, saved])).values()];
  const reasons = last.map(({ change }) => ('reason' in change ? change.reason : undefined));
  const prices = changes.flatMap(({ change }) => pricesOf(change).map((line) => ({ orderId: change.orderId, ...line })));
  const totals = new Map(changes.filter(isConfirmation).map(({ change }) => [change.orderId, totalOf(pricesOf(change))]));
  await tx.$executeRaw`
    WITH changed AS (
      UPDATE orders.orders AS o
      SET status = next.status::orders.order_status, version = next.version, updated_at = clock_timestamp(),
          reason_code = next.reason_code, reason_message = next.reason_message, reason_lines = next.reason_lines::jsonb,
          total_minor = coalesce(next.total_minor, o.total_minor)
      FROM unnest(
        ${last.map(({ order }) => order.id)}::text[],
        ${last.map(({ order }) => order.status)}::text[],
        ${last.map(({ order }) => order.version)}::int[],
        ${reasons.map((reason) => reason?.code ?? null)}::text[],
        ${reasons.map((reason) => reason?.message ?? null)}::text[],
        ${reasons.map((reason) => (reason ? JSON.stringify(reason.lines) : null))}::text[],
        ${last.map(({ order }) => totals.get(order.id) ?? null)}::bigint[]
      ) AS next(id, status, version, reason_code, reason_message, reason_lines, total_minor)
      WHERE o.id = next.id
    ), priced AS (
      UPDATE orders.order_items AS item SET unit_price_minor = price.unit_price
      FROM unnest(
        ${prices.map((line) => line.orderId)}::text[],
        ${prices.map((line) => line.productId)}::int[],
        ${prices.map((line) => line.unitPrice)}::bigint[]
      ) AS price(order_id, product_id, unit_price)
      WHERE item.order_id = price.order_id AND item.product_id = price.product_id
    )
    INSERT INTO orders.order_history (order_id, version, event, from_status, to_status, detail, causation_id)
    SELECT order_id, version, event, from_status::orders.order_status, to_status::orders.order_status, detail, causation_id
    FROM unnest(
      ${changes.map(({ order }) => order.id)}::text[],
      ${changes.map(({ order }) => order.version)}::int[],
      ${changes.map(({ change }) => change.trigger)}::text[],
      ${changes.map(({ from }) => from)}::text[],
      ${changes.map(({ order }) => order.status)}::text[],
      ${changes.map(({ change }) => ('reason' in change ? change.reason.message : null))}::text[],
      ${changes.map(({ change }) => change.causationId ?? null)}::text[]
    ) AS step(order_id, version, event, from_status, to_status, detail, causation_id)`;
}

function pricesOf(change: OrderChange): PricedLine[] {
  return change.trigger === 'StockReserved' ? change.lines : [];
}

function isConfirmation({ change }: SavedChange): boolean {
  return change.trigger === 'StockReserved';
}
