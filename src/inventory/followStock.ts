import { type Database } from '../database';
import { createFeed, patiently, type Page, type Pulse } from '../live';
import { type Logger } from '../observability';
import { missedMovements, missedMoves, movedAfter, type Moved } from './movedRows';
import { findProducts, type ProductView } from './readProducts';

/** A product whose stock has moved, as it is by now. */
export interface StockNews {
  /** The movement up to which this tells. */
  position: bigint;
  product: ProductView;
  together: WeakRef<object>;
}

export interface FollowStockOptions {
  database: Database;
  pulse?: Pulse;
  log?: Logger;
}

export interface FollowOptions {
  /** The position of the movement that was heard of last. */
  after?: bigint;
  /** Told once where it begins. */
  onBegin?: (at: bigint) => void;
  signal: AbortSignal;
}

/**
 * `news`: the stock of these products, at once unless `after` is given, and again whenever it has moved. What moved several times between two
 * looks is told once, as it is: in a sale a product moves a thousand times a second.
 */
export function followStockUseCase({ database, pulse, log }: FollowStockOptions) {
  const feed = createFeed<Moved>({
    ...{ database, pulse, log, table: 'inventory.movements', column: 'id' },
    rowsAfter: (position, limit) => movedAfter(database, position, limit),
  });
  const known = new WeakMap<object, Map<number, Promise<ProductView>>>();

  return { news, movements };

  async function* news(productIds: number[], { after, ...options }: FollowOptions): AsyncGenerator<StockNews> {
    const wanted = new Set(productIds);
    const pages = feed.follow({
      after: after ?? 0n,
      isWanted: ({ productId }) => wanted.has(productId),
      read: (from, upTo, limit) => missedMoves(database, productIds, { after: from, upTo, limit }),
      ...options,
    });
    for await (const page of pages) yield* await patiently(() => newsOf(page), options.signal);
  }

  /** Every movement, each once, from now or after a position. */
  async function* movements(options: FollowOptions): AsyncGenerator<Moved> {
    const pages = feed.follow({
      isWanted: () => true,
      read: (after, upTo, limit) => missedMovements(database, { after, upTo, limit }),
      ...options,
    });
    for await (const { rows } of pages) yield* rows;
  }

  async function newsOf({ rows, together }: Page<Moved>): Promise<StockNews[]> {
    const latest = new Map<number, bigint>();
    for (const { productId, position } of rows) {
      // Told where it moved last, so that who resumes after one product has missed nothing of another.
      latest.delete(productId);
      latest.set(productId, position);
    }
    const products = await productsOf(together, [...latest.keys()]);
    return [...latest].map(([productId, position]) => ({ position, product: products.get(productId)!, together }));
  }

  /** One query for all who hear of the same look, of those products that nobody has asked for yet. */
  async function productsOf(together: WeakRef<object>, ids: number[]): Promise<Map<number, ProductView>> {
    const key = together.deref() ?? {};
    const read = known.get(key) ?? new Map<number, Promise<ProductView>>();
    known.set(key, read);
    const unread = ids.filter((id) => !read.has(id));
    if (unread.length > 0) {
      const reading = findProducts(database, unread);
      for (const id of unread)
        read.set(
          id,
          reading.then((found) => found.get(id)!),
        );
      reading.catch(() => unread.forEach((id) => read.delete(id)));
    }
    return new Map(await Promise.all(ids.map(async (id) => [id, await read.get(id)!] as const)));
  }
}
