import { z } from 'zod';

import { INT_MAX, text } from '../contracts';
import { classifyDatabaseError, type Transaction } from '../database';
import { type Outbox, type OutgoingMessage } from '../messaging';
import { invalid, type Invalid } from './invalid';
import { findProduct, type ProductKey, type ProductView } from './readProducts';
import { setLimit } from './purchaseRows';
import { lockStock, move } from './stockRows';

/** A million in most currencies: above it a total could leave the numbers that are exact. */
export const PRICE_MAX = 100_000_000;

export interface CreateProductInput {
  sku: string;
  name: string;
  /** Minor units of the shop's currency. */
  price: number;
  /** Units in the house from the start. */
  onHand?: number | null;
  /** Units that one customer may hold or have bought; no limit when 0 or not given. */
  maxPerCustomer?: number | null;
}

export interface UpdateProductInput {
  name?: string | null;
  price?: number | null;
  active?: boolean | null;
  /** 0 lifts the limit. */
  maxPerCustomer?: number | null;
}

export type ManageProductResult =
  | { type: 'done'; product: ProductView }
  | Invalid
  | { type: 'unknown-product'; key: ProductKey }
  | { type: 'sku-taken'; sku: string };

export interface ManageProductsOptions {
  outbox: Outbox;
  currency: string;
  newId: () => string;
}

/** Adds a product with its stock. A sku is given once and never changes: it is what people and caches know the product by. */
export function createProductUseCase({ outbox, currency, newId }: ManageProductsOptions) {
  return async (input: CreateProductInput, correlationId: string): Promise<ManageProductResult> => {
    const parsed = createSchema.safeParse(input);
    if (!parsed.success) return invalid(parsed.error);
    try {
      return await outbox.transaction(async (tx) => {
        const product = await insertProduct(tx, parsed.data, currency);
        const body = { event: 'ProductCreated' as const, ...describe(product) };
        return done(product, { id: newId(), correlationId, body });
      });
    } catch (error) {
      if (classifyDatabaseError(error) === 'conflict') return { type: 'sku-taken', sku: parsed.data.sku };
      throw error;
    }
  };
}

/** Changes what is given and leaves the rest. An inactive product keeps its stock and its orders, and takes no new ones. */
export function updateProductUseCase({ outbox, newId }: ManageProductsOptions) {
  return async (id: number, input: UpdateProductInput, correlationId: string): Promise<ManageProductResult> => {
    const parsed = updateSchema.safeParse(input);
    if (!parsed.success) return invalid(parsed.error);
    return outbox.transaction(async (tx) => {
      if (parsed.data.maxPerCustomer != null) await limitPurchases(tx, id, parsed.data.maxPerCustomer);
      const count = await changeProduct(tx, id, parsed.data);
      if (count === 0) return { result: { type: 'unknown-product', key: { id } }, messages: [] };
      const product = (await findProduct(tx, { id }))!;
      const body = { event: 'ProductUpdated' as const, ...describe(product) };
      return done(product, { id: newId(), correlationId, body });
    });
  };
}

/** Under the lock of the stock, which comes before any other: no order is decided by the old limit once the new one is there. */
async function limitPurchases(tx: Transaction, id: number, maxPerCustomer: number): Promise<void> {
  const stock = (await lockStock(tx, [id])).get(id);
  if (stock) await setLimit(tx, stock, maxPerCustomer || null);
}

/** Raw, because Prisma can only write the clock of this process, and time is the database's. Returns how many there were. */
function changeProduct(tx: Transaction, id: number, { name, price, active }: z.infer<typeof updateSchema>): Promise<number> {
  return tx.$executeRaw`
    UPDATE inventory.products
    SET name = coalesce(${name ?? null}::text, name), price_minor = coalesce(${price ?? null}::bigint, price_minor),
        active = coalesce(${active ?? null}::boolean, active), updated_at = clock_timestamp()
    WHERE id = ${id}`;
}

async function insertProduct(tx: Transaction, input: z.infer<typeof createSchema>, currency: string): Promise<ProductView> {
  const { sku, name, price, onHand, maxPerCustomer } = input;
  const stock = { create: { onHand: 0, maxPerCustomer: maxPerCustomer || null } };
  const { id } = await tx.product.create({ data: { sku, name, priceMinor: price, currency, stock } });
  await move(tx, [{ productId: id, kind: 'INITIAL', onHandDelta: onHand ?? 0, reservedDelta: 0 }]);
  return (await findProduct(tx, { id }))!;
}

function done(product: ProductView, message: OutgoingMessage): { result: ManageProductResult; messages: OutgoingMessage[] } {
  return { result: { type: 'done', product }, messages: [message] };
}

function describe({ id, sku, name, price, currency, active }: ProductView) {
  return { product_id: id, sku, name, price, currency, active };
}

const price = z.int('must be a whole number of minor units').min(0, 'must not be negative').max(PRICE_MAX);

const maxPerCustomer = z.int().min(0, 'must not be negative').max(INT_MAX).nullish();

/** Names go to terminals, into logs and mails. Those that were given before stay readable. */
const plainText = (maxLength: number) => text(maxLength).regex(/^\P{Cc}*$/u, 'must not contain control characters');

const createSchema = z.object({
  sku: plainText(64).regex(/^\S+$/, 'must not contain white space'),
  name: plainText(200),
  price,
  onHand: z.int().min(0, 'must not be negative').max(INT_MAX).nullish(),
  maxPerCustomer,
});

const updateSchema = z.object({
  name: plainText(200).nullish(),
  price: price.nullish(),
  active: z.boolean().nullish(),
  maxPerCustomer,
});
