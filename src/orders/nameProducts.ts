import { z } from 'zod';

import { faultsOf, type FieldFault } from '../contracts';
import { type CreateOrderInput } from './createOrder';
import { type OrderLine } from './orderLines';

/** An order as the doors take it, whatever stands in it: each product named by its id, its sku or its name. */
export interface OrderWish extends Omit<CreateOrderInput, 'items'> {
  items: WishedItem[];
}

export interface WishedItem {
  productId?: number | null;
  sku?: string | null;
  name?: string | null;
  quantity: number;
}

/** Where products are looked up. Orders know them by id only. */
export interface ProductNames {
  /** Unknown skus are left out. */
  idsBySku: (skus: string[]) => Promise<Map<string, number>>;
  /** Of products for sale; where several have the name, at least two of their ids. Unknown names are left out. */
  idsByName: (names: string[]) => Promise<Map<string, number[]>>;
}

export interface NamingOptions {
  products: ProductNames;
  limits: { linesMax: number };
}

/**
 * The wishes with their products by id, each in its place; or what is wrong with how it names them. One lookup for all. Nothing is
 * looked up for a wish that has more lines than an order may have, or lines that nobody could read.
 */
export async function nameProducts<Wish extends { items: WishedItem[] }>(
  { products, limits: { linesMax } }: NamingOptions,
  wishes: Wish[],
): Promise<(Named<Wish> | FieldFault[])[]> {
  const unreadable = wishes.map(({ items }) => faultsIn(items, linesMax));
  const items = wishes.flatMap((wish, index) => (unreadable[index]!.length > 0 ? [] : wish.items));
  const idsOf = await findProducts(products, items);
  return wishes.map(({ items, ...wish }, index) => {
    if (unreadable[index]!.length > 0) return unreadable[index]!;
    const faults = items.flatMap((item, index) => faultOf(item, index, idsOf) ?? []);
    if (faults.length > 0) return faults;
    const lines = items.map((item) => ({ productId: idsOf(item)[0]!, quantity: item.quantity }));
    return { ...wish, items: lines };
  });
}

/** Which products an item may mean: one, or none, or at least two. */
export async function findProducts(products: ProductNames, items: WishedItem[]): Promise<(item: WishedItem) => number[]> {
  const [bySku, byName] = await Promise.all([
    products.idsBySku(items.flatMap(({ sku }) => sku ?? [])),
    products.idsByName(items.flatMap(({ name }) => name ?? [])),
  ]);
  return ({ productId, sku, name }) => {
    if (productId != null) return [productId];
    return sku != null ? [bySku.get(sku) ?? []].flat() : (byName.get(name!) ?? []);
  };
}

/** What keeps lines from being looked up at all; what else is wrong with them is said later. They are counted first: there may be a million. */
export function faultsIn(items: WishedItem[], linesMax: number): FieldFault[] {
  if (Array.isArray(items) && items.length > linesMax)
    return [{ path: 'items', code: 'too_big', message: `must hold at most ${linesMax} items` }];
  const read = wishedItems.safeParse({ items });
  return read.success ? [] : faultsOf(read.error);
}

const aText = z.string('must be a text').max(1_000, 'must be at most 1000 characters');
const wishedItem = z.object({ sku: aText.nullish(), name: aText.nullish() }, 'must name a product and a quantity');
const wishedItems = z.object({ items: z.array(wishedItem, 'must be a list') });

/** The same wish, its products by id. */
type Named<Wish> = Omit<Wish, 'items'> & { items: OrderLine[] };

/** A product is named in one way, and that way leads to one product. */
function faultOf(item: WishedItem, index: number, idsOf: (item: WishedItem) => number[]): FieldFault | undefined {
  const given = (['productId', 'sku', 'name'] as const).filter((way) => item[way] != null);
  if (given.length !== 1) {
    return { path: `items.${index}`, code: 'one_of', message: 'must name its product in exactly one way' };
  }
  const ids = idsOf(item);
  if (ids.length === 1) return undefined;
  const [way] = given;
  const called = JSON.stringify(String(item[way!]).slice(0, 64));
  const path = `items.${index}.${way}`;
  if (ids.length === 0) return { path, code: 'unknown_product', message: `there is no product ${called}` };
  return { path, code: 'ambiguous_product', message: `several products are called ${called}: give the sku` };
}
