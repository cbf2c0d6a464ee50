import { type Database } from '../database';
import { isFinal } from './order';
import { type OrderWatch } from './orderWatch';
import { findOrders, type OrderView } from './readOrders';

/**
 * The order at once and again after each change, until it is final or `signal` is aborted; nothing when there is no such order, or
 * `owner` has none such. Only
 * the latest is kept: who takes long over one gets the changes in between as one.
 */
export function watchOrderUseCase({ database, watch }: { database: Database; watch: OrderWatch }) {
  return async function* (orderId: string, signal: AbortSignal, owner?: string): AsyncGenerator<OrderView> {
    let isChanged = true;
    while (isChanged) {
      const [view] = await findOrders(database, [orderId], owner);
      if (!view) return;
      yield view;
      isChanged = !isFinal(view.status) && (await watch.nextVersion(orderId, view.version, signal)) !== undefined;
    }
  };
}
