import { type Database } from '../database';
import { type Pulse } from '../live';
import { type Outbox } from '../messaging';
import { type Logger } from '../observability';
import { adjustStockUseCase, setStockUseCase } from './changeStock';
import { deskService } from './desk';
import { followStockUseCase } from './followStock';
import { inventoryAtOnce, inventoryHandlers } from './handlers';
import { listProducts, type ProductListing } from './listProducts';
import { createProductUseCase, updateProductUseCase } from './manageProducts';
import {
  checkStock,
  countViolations,
  findProduct,
  findProductIds,
  findProductIdsByName,
  listMovements,
  type CheckStock,
  type ProductKey,
} from './readProducts';
import { inventoryRpc } from './rpc';

export interface InventoryOptions {
  database: Database;
  outbox: Outbox;
  currency: string;
  newId: () => string;
  /** What followers of the stock are woken by. */
  pulse?: Pulse;
  log?: Logger;
}

/** The inventory context: its use cases, and what it does about messages. */
export type InventoryContext = ReturnType<typeof createInventory>;

export function createInventory(options: InventoryOptions) {
  const { database } = options;
  const following = followStockUseCase(options);
  const desk = {
    createProduct: createProductUseCase(options),
    updateProduct: updateProductUseCase(options),
    adjustStock: adjustStockUseCase(options),
    setStock: setStockUseCase(options),
  };
  const check: CheckStock = (lines) => checkStock(database, lines);
  return {
    ...desk,
    checkStock: check,
    product: (key: ProductKey) => findProduct(database, key),
    products: (wanted: ProductListing, first: number, after?: string) => listProducts(database, wanted, first, after),
    movements: (productId: number, first: number, after?: bigint) => listMovements(database, productId, first, after),
    follow: following.news,
    followMovements: following.movements,
    violations: () => countViolations(database),
    productIdsBySku: rememberingSkus(database),
    productIdsByName: (names: string[]) => findProductIdsByName(database, names),
    /** What inventory does about orders, by queue. */
    handlers: inventoryHandlers(options.newId),
    decideAtOnce: inventoryAtOnce(options.newId),
    /** What inventory answers over the broker. */
    rpc: [...inventoryRpc({ checkStock: check, setStock: desk.setStock }), deskService(desk)],
  };
}

/** How many skus are remembered; beyond it the memory starts anew. */
const SKUS_REMEMBERED_MAX = 100_000;

/** A sku never changes its product, so what was found once is remembered: orders by sku cost no query. */
function rememberingSkus(database: Database) {
  const known = new Map<string, number>();
  return async (skus: string[]): Promise<Map<string, number>> => {
    const found = new Map(skus.flatMap((sku) => (known.has(sku) ? [[sku, known.get(sku)!] as const] : [])));
    const unknown = [...new Set(skus)].filter((sku) => !known.has(sku) && !sku.includes('\u0000'));
    if (unknown.length === 0) return found;
    if (known.size > SKUS_REMEMBERED_MAX) known.clear();
    for (const [sku, id] of await findProductIds(database, unknown)) {
      known.set(sku, id);
      found.set(sku, id);
    }
    return found;
  };
}
