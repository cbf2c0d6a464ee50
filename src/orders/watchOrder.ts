import { type FollowOptions, type OrderNews } from './followOrders';
import { type StepFilter } from './historyRows';
import { isFinal } from './order';
import { type OrderView } from './readOrders';

/**
 * The order at once and again after each change, until it is final or `signal` is aborted; nothing when there is no such order, or
 * `owner` has none such. Who takes long over one gets the changes in between as one.
 */
export function watchOrderUseCase(follow: (filter: StepFilter, options: FollowOptions) => AsyncGenerator<OrderNews>) {
  return async function* (orderId: string, signal: AbortSignal, owner?: string): AsyncGenerator<OrderView> {
    let told = 0;
    for await (const { order } of follow({ orderId, owner }, { signal })) {
      if (order.version <= told) continue;
      yield order;
      told = order.version;
      if (isFinal(order.status)) return;
    }
  };
}
