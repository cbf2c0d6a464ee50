import { type FieldFault } from '../contracts';
import { type CreateOrder, type CreateOrderInput, type CreateOrderResult } from './createOrder';

/** An order as the doors take it: each product named by its id or by its sku. */
export interface OrderWish extends Omit<CreateOrderInput, 'items'> {
  items: { productId?: number | null; sku?: string | null; quantity: number }[];
}

export type PlaceOrders = (wishes: OrderWish[], correlationId: string) => Promise<CreateOrderResult[]>;

/** Places orders; each is accepted or refused by itself, and answered in its place. One lookup for the skus of all. */
export function placeOrdersUseCase(
  create: CreateOrder,
  productIdsBySku: (skus: string[]) => Promise<Map<string, number>>,
): PlaceOrders {
  return async (wishes, correlationId) => {
    const ids = await productIdsBySku(wishes.flatMap((wish) => wish.items.flatMap((item) => item.sku ?? [])));
    const placed = wishes.map(async (wish): Promise<CreateOrderResult> => {
      const fields = wish.items.flatMap((item, index) => problemOf(item, index, ids) ?? []);
      return fields.length > 0 ? { type: 'invalid', fields } : create(withIds(wish, ids), correlationId);
    });
    return Promise.all(placed);
  };
}

/** A product is named by id or by sku: by one, and by one that is known. */
function problemOf(
  { productId, sku }: OrderWish['items'][number],
  index: number,
  ids: Map<string, number>,
): FieldFault | undefined {
  if ((productId == null) === (sku == null)) {
    return { path: `items.${index}`, code: 'one_of', message: 'must name its product by productId or by sku, and not by both' };
  }
  if (sku == null || ids.has(sku)) return undefined;
  return {
    path: `items.${index}.sku`,
    code: 'unknown_product',
    message: `there is no product ${JSON.stringify(sku.slice(0, 64))}`,
  };
}

function withIds({ customerId, items, idempotencyKey }: OrderWish, ids: Map<string, number>): CreateOrderInput {
  const lines = items.map(({ productId, sku, quantity }) => ({ productId: productId ?? ids.get(sku!)!, quantity }));
  return { customerId, items: lines, idempotencyKey };
}
