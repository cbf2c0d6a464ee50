import { queues } from '../contracts';
import { type Decide, type Handlers } from '../messaging';
import { amendReservation } from './amendReservation';
import { commitReservation, releaseReservation } from './closeReservation';
import { reserveStock, reserveStockAtOnce } from './reserveStock';

/** What inventory does about orders, queue by queue. */
export function inventoryHandlers(newId: () => string): Record<string, Handlers> {
  return {
    [queues.orderCreated]: { OrderCreated: reserveStock(newId) },
    [queues.amendReservation]: { AmendReservation: amendReservation(newId) },
    [queues.orderCancelled]: { OrderCancelled: releaseReservation(newId) },
    [queues.orderFulfilled]: { OrderFulfilled: commitReservation(newId) },
  };
}

/** The short way where there is one. */
export function inventoryAtOnce(newId: () => string): Record<string, Decide> {
  return { [queues.orderCreated]: reserveStockAtOnce(newId) };
}
