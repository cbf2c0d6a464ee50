import { type Database, type MovementKind, type Prisma } from '../database';

/** A product with its stock, as callers see it. Price in minor units of `currency`. */
export interface ProductView {
  id: number;
  sku: string;
  name: string;
  price: number;
  currency: string;
  active: boolean;
  onHand: number;
  reserved: number;
  available: number;
  createdAt: Date;
  /** When the product or its stock changed last. */
  updatedAt: Date;
}

export interface MovementView {
  id: bigint;
  kind: MovementKind;
  onHandDelta: number;
  reservedDelta: number;
  orderId: string | null;
  reason: string | null;
  reference: string | null;
  at: Date;
}

/** How a product is named: by exactly one of the two. */
export type ProductKey = { id: number } | { sku: string };

export async function findProduct(database: ProductReader, key: ProductKey): Promise<ProductView | null> {
  const row = await database.product.findUnique({ where: key, include: { stock: true } });
  return row && toView(row);
}

/** The ids of these skus; unknown skus are left out. A sku never changes its product, so callers may remember the answer. */
export async function findProductIds(database: ProductReader, skus: string[]): Promise<Map<string, number>> {
  const rows = await database.product.findMany({ where: { sku: { in: skus } }, select: { id: true, sku: true } });
  return new Map(rows.map((row) => [row.sku, row.id]));
}

/** The ids of products for sale with these names, which need not be unique; unknown names are left out. */
export async function findProductIdsByName(database: ProductReader, names: string[]): Promise<Map<string, number[]>> {
  const ids = new Map<string, number[]>();
  const wanted = [...new Set(names)].filter((name) => !name.includes('\u0000'));
  if (wanted.length === 0) return ids;
  const where = { name: { in: wanted }, active: true };
  const rows = await database.product.findMany({ where, select: { id: true, name: true }, take: SAME_NAMES_MAX });
  for (const { id, name } of rows) ids.set(name, [...(ids.get(name) ?? []), id]);
  return ids;
}

/** More products of the same few names than anybody has; what is beyond is as ambiguous as what is seen. */
const SAME_NAMES_MAX = 10_000;

/** A page of products by id, after the product with id `after`. */
export async function listProducts(
  database: ProductReader,
  filter: { active?: boolean | null },
  first: number,
  after?: number,
): Promise<ProductView[]> {
  const rows = await database.product.findMany({
    where: { ...(filter.active == null ? {} : { active: filter.active }), ...(after === undefined ? {} : { id: { gt: after } }) },
    orderBy: { id: 'asc' },
    take: first,
    include: { stock: true },
  });
  return rows.map(toView);
}

/** A page of a product's movements, newest first, after the movement with id `after`. */
export async function listMovements(
  database: Database,
  productId: number,
  first: number,
  after?: bigint,
): Promise<MovementView[]> {
  return database.movement.findMany({
    where: { productId, ...(after === undefined ? {} : { id: { lt: after } }) },
    orderBy: { id: 'desc' },
    take: first,
    omit: { productId: true },
  });
}

/** Products whose counters break a rule. The database refuses such a change, so anything but 0 is an emergency. */
export async function countViolations(database: Database): Promise<{ negative: number; oversold: number }> {
  const [row] = await database.$queryRaw<{ negative: number; oversold: number }[]>`
    SELECT count(*) FILTER (WHERE on_hand < 0 OR reserved < 0)::int AS negative, count(*) FILTER (WHERE reserved > on_hand)::int AS oversold
    FROM inventory.stock`;
  return row!;
}

/** The pool or a transaction: reading is the same in both. */
type ProductReader = Pick<Database, 'product'>;

type Row = Prisma.ProductGetPayload<{ include: { stock: true } }>;

function toView(row: Row): ProductView {
  const { id, sku, name, currency, active, createdAt } = row;
  const { onHand, reserved, updatedAt } = row.stock ?? { onHand: 0, reserved: 0, updatedAt: row.updatedAt };
  return {
    ...{ id, sku, name, currency, active, createdAt },
    price: Number(row.priceMinor),
    ...{ onHand, reserved, available: onHand - reserved },
    updatedAt: updatedAt > row.updatedAt ? updatedAt : row.updatedAt,
  };
}
