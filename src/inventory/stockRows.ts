import { sql, type Database, type MovementKind, type Sql, type Transaction } from '../database';
import { type Stock } from './stock';

/** One change of one product's counters; what the counters say is always the sum of these. */
export interface Movement {
  productId: number;
  kind: MovementKind;
  onHandDelta: number;
  reservedDelta: number;
  orderId?: string;
  /** Of the order, where one is the cause. */
  amendment?: number;
  reason?: string;
  reference?: string;
}

/**
 * Locks the stock of these products in the order of their ids and reads it. Everyone who changes stock comes through here first,
 * before any other lock: one order of locking for all, so that nobody waits in a circle. Unknown products are left out.
 */
export async function lockStock(tx: Transaction, productIds: Iterable<number>): Promise<Map<number, Stock>> {
  return byProduct(await tx.$queryRaw<StockRow[]>`${stockOf(productIds)} FOR UPDATE OF stock`);
}

/** The same without locks: what is decided on it must be written under the condition that it still holds. */
export async function readStock(database: Database, productIds: Iterable<number>): Promise<Map<number, Stock>> {
  return byProduct(await database.$queryRaw<StockRow[]>`${stockOf(productIds)}`);
}

function stockOf(productIds: Iterable<number>): Sql {
  return sql`
    SELECT stock.product_id AS "productId", sku, active, price_minor AS "unitPrice", on_hand AS "onHand", reserved,
           max_per_customer AS "maxPerCustomer"
    FROM inventory.stock JOIN inventory.products ON products.id = stock.product_id
    WHERE stock.product_id = ANY(${[...new Set(productIds)]}::int[])
    ORDER BY stock.product_id`;
}

type StockRow = Omit<Stock, 'unitPrice'> & { unitPrice: bigint };

function byProduct(rows: StockRow[]): Map<number, Stock> {
  return new Map(rows.map((row) => [row.productId, { ...row, unitPrice: Number(row.unitPrice) }]));
}

/**
 * Writes movements and applies their sums to the counters, in one statement, so that neither can be without the other. The
 * caller holds the locks. The CHECK on the counters refuses whatever would promise more than is there.
 */
export async function move(tx: Transaction, movements: Movement[]): Promise<void> {
  if (movements.length === 0) return;
  await tx.$executeRaw`
    WITH moved AS (
      INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id, amendment, reason, reference)
      SELECT product_id, kind::inventory.movement_kind, on_hand_delta, reserved_delta, order_id, amendment, reason, reference
      FROM unnest(
        ${movements.map((movement) => movement.productId)}::int[],
        ${movements.map((movement) => movement.kind)}::text[],
        ${movements.map((movement) => movement.onHandDelta)}::int[],
        ${movements.map((movement) => movement.reservedDelta)}::int[],
        ${movements.map((movement) => movement.orderId ?? null)}::text[],
        ${movements.map((movement) => movement.amendment ?? 0)}::int[],
        ${movements.map((movement) => movement.reason ?? null)}::text[],
        ${movements.map((movement) => movement.reference ?? null)}::text[]
      ) AS movement(product_id, kind, on_hand_delta, reserved_delta, order_id, amendment, reason, reference)
      RETURNING product_id, on_hand_delta, reserved_delta
    ), change AS (
      SELECT product_id, sum(on_hand_delta)::int AS on_hand, sum(reserved_delta)::int AS reserved FROM moved GROUP BY product_id
    )
    UPDATE inventory.stock
    SET on_hand = stock.on_hand + change.on_hand, reserved = stock.reserved + change.reserved, updated_at = clock_timestamp()
    FROM change WHERE stock.product_id = change.product_id`;
}
