import { type Database, type Transaction, transaction } from '../database';
import { lockStock } from './stockRows';

/** A product whose books do not agree. Units; `movements` are sums over all movements, `held` is what ACTIVE reservations hold. */
export interface Drift {
  productId: number;
  sku: string;
  onHand: { counter: number; movements: number };
  reserved: { counter: number; movements: number; held: number };
}

export interface Reconciliation {
  drift: Drift[];
  repaired: Drift[];
  /** What no repair can mend: more is promised than is in the house. A person must decide whose order goes. */
  oversold: Drift[];
}

/**
 * Compares counters, movements and reservations of every product. With `repair`: what is promised to orders is the truth of
 * `reserved` and the movements are the truth of `onHand`; a REPAIR movement brings the movements to it, and the counters follow.
 */
export async function reconcile(database: Database, { repair }: { repair: boolean }): Promise<Reconciliation> {
  const drift = await transaction(database, (tx) => findDrift(tx, null));
  const oversold = drift.filter(isOversold);
  if (!repair) return { drift, repaired: [], oversold };
  const mendable = drift.filter((row) => !isOversold(row));
  const repaired = await transaction(database, (tx) =>
    repairAll(
      tx,
      mendable.map((row) => row.productId),
    ),
  );
  return { drift, repaired, oversold };
}

/** Looks again under the locks: what moved meanwhile is not drift. */
async function repairAll(tx: Transaction, productIds: number[]): Promise<Drift[]> {
  if (productIds.length === 0) return [];
  await lockStock(tx, productIds);
  const drift = (await findDrift(tx, productIds)).filter((row) => !isOversold(row));
  await tx.movement.createMany({ data: drift.flatMap(repairMovement) });
  await tx.$executeRaw`
    UPDATE inventory.stock SET on_hand = truth.on_hand, reserved = truth.reserved, updated_at = clock_timestamp()
    FROM unnest(
      ${drift.map((row) => row.productId)}::int[],
      ${drift.map((row) => row.onHand.movements)}::int[],
      ${drift.map((row) => row.reserved.held)}::int[]
    ) AS truth(product_id, on_hand, reserved)
    WHERE stock.product_id = truth.product_id`;
  return drift;
}

function repairMovement({ productId, reserved }: Drift) {
  const reservedDelta = reserved.held - reserved.movements;
  return reservedDelta === 0 ? [] : [{ productId, kind: 'REPAIR' as const, onHandDelta: 0, reservedDelta, reason: 'reconcile' }];
}

function isOversold({ onHand, reserved }: Drift): boolean {
  return reserved.held > onHand.movements || onHand.movements < 0;
}

/** One statement and so one snapshot: counters, movements and reservations are all of the same moment. */
async function findDrift(tx: Transaction, productIds: number[] | null): Promise<Drift[]> {
  const rows = await tx.$queryRaw<Row[]>`
    WITH moved AS (
      SELECT product_id, sum(on_hand_delta)::float8 AS on_hand, sum(reserved_delta)::float8 AS reserved
      FROM inventory.movements
      WHERE ${productIds}::int[] IS NULL OR product_id = ANY(${productIds}::int[]) GROUP BY product_id
    ), held AS (
      SELECT product_id, sum(quantity)::float8 AS reserved
      FROM inventory.reservation_lines JOIN inventory.reservations USING (order_id)
      WHERE status = 'ACTIVE' AND (${productIds}::int[] IS NULL OR product_id = ANY(${productIds}::int[])) GROUP BY product_id
    )
    SELECT stock.product_id, sku, stock.on_hand, coalesce(moved.on_hand, 0) AS moved_on_hand,
           stock.reserved, coalesce(moved.reserved, 0) AS moved_reserved, coalesce(held.reserved, 0) AS held
    FROM inventory.stock
    JOIN inventory.products ON products.id = stock.product_id
    LEFT JOIN moved USING (product_id)
    LEFT JOIN held USING (product_id)
    WHERE (${productIds}::int[] IS NULL OR stock.product_id = ANY(${productIds}::int[]))
      AND (stock.on_hand <> coalesce(moved.on_hand, 0) OR stock.reserved <> coalesce(moved.reserved, 0)
           OR stock.reserved <> coalesce(held.reserved, 0))
    ORDER BY stock.product_id`;
  return rows.map((row) => ({
    productId: row.product_id,
    sku: row.sku,
    onHand: { counter: row.on_hand, movements: row.moved_on_hand },
    reserved: { counter: row.reserved, movements: row.moved_reserved, held: row.held },
  }));
}

interface Row {
  product_id: number;
  sku: string;
  on_hand: number;
  moved_on_hand: number;
  reserved: number;
  moved_reserved: number;
  held: number;
}
