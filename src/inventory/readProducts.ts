import { type CheckedLine } from '../contracts';
import { type Database, type MovementKind, type Prisma } from '../database';
import { checkLines, mergeWish, type WishedLine } from './stock';

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
  /** Units that one customer may hold or have bought; null for no limit. */
  maxPerCustomer: number | null;
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

/** Products by their ids; unknown ones are left out. */
export async function findProducts(database: ProductReader, ids: number[]): Promise<Map<number, ProductView>> {
  const rows = await database.product.findMany({ where: { id: { in: ids } }, include: { stock: true } });
  return new Map(rows.map((row) => [row.id, toView(row)]));
}

/** The ids of these skus; unknown skus are left out. A sku never changes its product, so callers may remember the answer. */
export async function findProductIds(database: ProductReader, skus: string[]): Promise<Map<string, number>> {
  const rows = await database.product.findMany({ where: { sku: { in: skus } }, select: { id: true, sku: true } });
  return new Map(rows.map((row) => [row.sku, row.id]));
}

/**
 * The ids of products for sale with these names; unknown names are left out. A name need not be unique: where several products have
 * it, the first two ids say so. Raw, because Prisma cannot bound a group.
 */
export async function findProductIdsByName(database: Database, names: string[]): Promise<Map<string, number[]>> {
  const wanted = [...new Set(names)].filter((name) => !name.includes('\u0000'));
  if (wanted.length === 0) return new Map();
  const rows = await database.$queryRaw<{ name: string; ids: number[] }[]>`
    SELECT name, (array_agg(id ORDER BY id))[1:2] AS ids FROM inventory.products
    WHERE active AND name = ANY(${wanted}::text[]) GROUP BY name`;
  return new Map(rows.map(({ name, ids }) => [name, ids]));
}

/** Who is asked may be another process: the correlation id goes along. */
export type CheckStock = (lines: WishedLine[], correlationId: string) => Promise<CheckedLine[]>;

/** Could these lines be had at this moment? Each product once, with the units of all its lines. */
export async function checkStock(database: ProductReader, wished: WishedLine[]): Promise<CheckedLine[]> {
  const { lines } = mergeWish('', wished);
  const rows = await database.product.findMany({
    where: { id: { in: lines.map(({ productId }) => productId) } },
    include: { stock: true },
  });
  const stock = rows.map(toView).map(({ id, price, ...row }) => [id, { ...row, productId: id, unitPrice: price }] as const);
  return checkLines(new Map(stock), lines);
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
export type ProductReader = Pick<Database, 'product'>;

type Row = Prisma.ProductGetPayload<{ include: { stock: true } }>;

export function toView(row: Row): ProductView {
  const { id, sku, name, currency, active, createdAt } = row;
  const none = { onHand: 0, reserved: 0, maxPerCustomer: null, updatedAt: row.updatedAt };
  const { onHand, reserved, maxPerCustomer, updatedAt } = row.stock ?? none;
  return {
    ...{ id, sku, name, currency, active, createdAt },
    price: Number(row.priceMinor),
    ...{ onHand, reserved, available: onHand - reserved, maxPerCustomer },
    updatedAt: updatedAt > row.updatedAt ? updatedAt : row.updatedAt,
  };
}
