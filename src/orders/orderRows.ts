import { sql, type Database, type Sql, type Transaction } from '../database';
import { appendingTo, type AppendedRow, type AtOnce, type OutboxRow, type OutgoingMessage } from '../messaging';
import { type Order, type OrderChange, type OrderStatus } from './order';
import { type OrderLine, type PricedLine, totalOf } from './orderLines';

export interface LockedOrder extends Order {
  /** Its age by the database's clock. */
  secondsOpen: number;
}

export interface SavedChange {
  change: OrderChange;
  from: OrderStatus;
  order: Order;
  /** What changed, for people; the reason of the change unless given. */
  detail?: string;
}

/** Locks these orders in the order of their ids, so that two batches with the same orders wait for one another and never deadlock. */
export async function lockOrders(tx: Transaction, orderIds: string[]): Promise<Map<string, LockedOrder>> {
  return byId(await tx.$queryRaw<LockedOrder[]>`${ordersOf(orderIds)} FOR UPDATE`);
}

/** The same without locks: what is decided on it must be written under the condition that it still holds. */
export async function readOrders(database: Database, orderIds: string[]): Promise<Map<string, LockedOrder>> {
  return byId(await database.$queryRaw<LockedOrder[]>`${ordersOf(orderIds)}`);
}

function ordersOf(orderIds: string[]): Sql {
  return sql`
    SELECT id, customer_id AS "customerId", status::text AS status, version, correlation_id AS "correlationId", currency,
           payment::text AS payment, extract(epoch FROM clock_timestamp() - created_at)::float8 AS "secondsOpen",
           (SELECT json_agg(json_build_object('productId', product_id, 'quantity', quantity) ORDER BY product_id)
            FROM orders.order_items WHERE order_id = orders.id) AS lines
    FROM orders.orders WHERE id = ANY(${orderIds}::text[]) ORDER BY id`;
}

function byId(orders: LockedOrder[]): Map<string, LockedOrder> {
  return new Map(orders.map((order) => [order.id, { ...order, lines: order.lines ?? [] }]));
}

/** Lines by order and product id, as the rules expect them. */
export async function readLines(tx: Transaction, orderIds: string[]): Promise<(OrderLine & { orderId: string })[]> {
  if (orderIds.length === 0) return [];
  return tx.$queryRaw`
    SELECT order_id AS "orderId", product_id AS "productId", quantity
    FROM orders.order_items WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id, product_id`;
}

/** Writes the new state of every changed order, the prices that were taken, and a history row per change: one statement. */
export async function saveChanges(tx: Transaction, changes: SavedChange[]): Promise<void> {
  if (changes.length === 0) return;
  await tx.$executeRaw`WITH ${changing(changes)}, condition AS (SELECT TRUE AS holds), ${saving} SELECT`;
}

/**
 * The same with its events, in a statement that commits by itself, or undefined and nothing: it locks the orders in the order of
 * their ids, and writes only if each is still of the version that its change was decided on.
 */
export async function saveChangesAtOnce(
  { database, leaseMs }: AtOnce,
  changes: SavedChange[],
  events: OutgoingMessage[],
): Promise<OutboxRow[] | undefined> {
  const appending = appendingTo('orders', events, leaseMs, sql`(SELECT holds FROM condition)`);
  const written = await database.$queryRaw<AppendedRow[]>`
    WITH ${changing(changes)}, locked AS MATERIALIZED (
      SELECT orders.id FROM next JOIN orders.orders USING (id) WHERE orders.version = "decidedOn" ORDER BY orders.id FOR UPDATE OF orders
    ), condition AS MATERIALIZED (
      SELECT (SELECT count(*) FROM locked) = (SELECT count(*) FROM next) AS holds
    ), ${saving}, ${appending.expression}
    SELECT id, position, created_at FROM outbox`;
  return written.length === 0 ? undefined : appending.rows(written);
}

/** Table expressions of what is to be written: the last state of each order, a history row per change, prices line by line. */
function changing(changes: SavedChange[]): Sql {
  const steps = changes.map(({ change, from, order, detail }) => ({
    ...{ id: order.id, version: order.version, event: change.trigger, from, to: order.status },
    ...{ detail: detail ?? ('reason' in change ? change.reason.message : null), causation: change.causationId ?? null },
  }));
  const prices = changes.flatMap(({ change }) => pricesOf(change).map((line) => ({ id: change.orderId, ...line })));
  return sql`next AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(lastStates(changes))}::json) AS next("id" text, "decidedOn" int,
        "status" text, "version" int, "code" text, "message" text, "lines" jsonb, "total" bigint)
    ), step AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(steps)}::json) AS step("id" text, "version" int, "event" text,
        "from" text, "to" text, "detail" text, "causation" text)
    ), price AS MATERIALIZED (
      SELECT * FROM json_to_recordset(${JSON.stringify(prices)}::json) AS price("id" text, "productId" int, "unitPrice" bigint)
    )`;
}

/** An order that changes twice in a batch is written once. */
function lastStates(changes: SavedChange[]) {
  const first = new Map([...changes].reverse().map((saved) => [saved.order.id, saved.order.version - 1]));
  const totals = new Map(changes.filter(isPriced).map(({ change }) => [change.orderId, totalOf(pricesOf(change))]));
  const last = new Map(changes.map((saved) => [saved.order.id, saved]));
  return [...last.values()].map(({ change, order: { id, status, version } }) => {
    const { code, message, lines } = 'reason' in change ? change.reason : { code: null, message: null, lines: null };
    return { id, decidedOn: first.get(id), status, version, code, message, lines, total: totals.get(id) ?? null };
  });
}

/** Table expressions that write what `changing` says where `condition` holds. */
const saving = sql`changed AS (
    UPDATE orders.orders
    SET status = next.status::orders.order_status, version = next.version, updated_at = clock_timestamp(),
        reason_code = code, reason_message = message, reason_lines = next.lines, total_minor = coalesce(total, total_minor)
    FROM next WHERE orders.id = next.id AND (SELECT holds FROM condition)
  ), priced AS (
    UPDATE orders.order_items SET unit_price_minor = "unitPrice"
    FROM price WHERE order_id = price.id AND product_id = "productId" AND (SELECT holds FROM condition)
  ), history AS (
    INSERT INTO orders.order_history (order_id, version, event, from_status, to_status, detail, causation_id)
    SELECT id, version, event, "from"::orders.order_status, "to"::orders.order_status, detail, causation
    FROM step WHERE (SELECT holds FROM condition)
  )`;

function pricesOf(change: OrderChange): PricedLine[] {
  return change.trigger === 'StockReserved' || change.trigger === 'StockAmended' ? change.lines : [];
}

function isPriced({ change }: SavedChange): boolean {
  return pricesOf(change).length > 0;
}
