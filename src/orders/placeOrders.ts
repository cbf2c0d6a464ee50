import { type Database } from '../database';
import { type CreateOrder, type CreateOrderResult } from './createOrder';
import { nameProducts, type NamingOptions, type OrderWish } from './nameProducts';
import { orPlacedBefore } from './placedBefore';

export type PlaceOrders = (wishes: OrderWish[], correlationId: string) => Promise<CreateOrderResult[]>;

/** Places orders; each is accepted or refused by itself, and answered in its place. */
export function placeOrdersUseCase(create: CreateOrder, options: NamingOptions & { database: Database }): PlaceOrders {
  return async (wishes, correlationId) => {
    const named = await nameProducts(options, wishes);
    const placed = named.map(async (wish): Promise<CreateOrderResult> => {
      return Array.isArray(wish) ? { type: 'invalid', fields: wish } : create(wish, correlationId);
    });
    return orPlacedBefore(options.database, options, wishes, await Promise.all(placed));
  };
}
