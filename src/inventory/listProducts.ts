import { INT_MAX } from '../contracts';
import { type Database, type Prisma } from '../database';
import { toView, type ProductView } from './readProducts';

export type ProductSort = 'ID' | 'SKU' | 'NAME';

/** Which products are listed, and how; all conditions hold together. */
export interface ProductListing {
  active?: boolean | null;
  /** Of which something can be ordered this moment, or nothing. */
  inStock?: boolean | null;
  /** Stands in the sku or in the name, whatever the case. */
  search?: string | null;
  sort?: ProductSort;
}

/**
 * A page of products, after the one with the key `after`. The key of an entry does not change with what is sold, and names are told
 * apart by the id, so that a page begins where the last one ended, whatever comes in between.
 */
export async function listProducts(
  database: Database,
  { active, inStock, search, sort = 'ID' }: ProductListing,
  first: number,
  after?: string,
): Promise<ProductView[]> {
  const { reserved } = database.stock.fields;
  const contains = { contains: literally(search ?? ''), mode: 'insensitive' as const };
  const rows = await database.product.findMany({
    where: {
      AND: [
        active == null ? {} : { active },
        inStock == null ? {} : { stock: { onHand: inStock ? { gt: reserved } : { lte: reserved } } },
        search == null ? {} : { OR: [{ sku: contains }, { name: contains }] },
        after === undefined ? {} : sorts[sort].after(after),
      ],
    },
    orderBy: sorts[sort].orderBy,
    take: first,
    include: { stock: true },
  });
  return rows.map(toView);
}

/** Prisma leaves the wildcards of LIKE as they are; and NUL stands in no text of the database. */
function literally(text: string): string {
  return text.replaceAll('\u0000', '').replace(/[\\%_]/g, '\\$&');
}

/** Where a product stands in a list of this order. */
export function keyOfProduct(product: ProductView, sort: ProductSort = 'ID'): string {
  return sorts[sort].keyOf(product);
}

interface Sort {
  orderBy: Prisma.ProductOrderByWithRelationInput[];
  keyOf: (product: ProductView) => string;
  after: (key: string) => Prisma.ProductWhereInput;
}

const sorts: Record<ProductSort, Sort> = {
  ID: { orderBy: [{ id: 'asc' }], keyOf: ({ id }) => String(id), after: (key) => ({ id: { gt: idIn(key) } }) },
  SKU: { orderBy: [{ sku: 'asc' }], keyOf: ({ sku }) => sku, after: (sku) => ({ sku: { gt: sku } }) },
  NAME: {
    orderBy: [{ name: 'asc' }, { id: 'asc' }],
    keyOf: ({ id, name }) => `${id} ${name}`,
    after: (key) => {
      const [id, name] = [idIn(key), key.slice(key.indexOf(' ') + 1)];
      return { name: { gte: name }, OR: [{ name: { gt: name } }, { id: { gt: id } }] };
    },
  },
};

/** A cursor that was tampered with leads nowhere, not into an error of the database. */
function idIn(key: string): number {
  return Math.min(INT_MAX, Number(/^\d{1,10}(?= |$)/.exec(key)?.[0] ?? INT_MAX));
}
