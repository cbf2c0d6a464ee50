import { isDecided } from './order';
import { type OrderView } from './readOrders';
import { type watchOrderUseCase } from './watchOrder';

/** The longest that a caller may wait for a decision, in milliseconds. */
export const DECISION_WAIT_MAX_MS = 10_000;

/** The order once it is decided, or as it is after `waitMs`: a caller who asked to wait gets an answer in any case. */
export function awaitDecisionUseCase(watch: ReturnType<typeof watchOrderUseCase>) {
  return async (order: OrderView, waitMs: number): Promise<OrderView> => {
    if (isDecided(order.status)) return order;
    let latest = order;
    for await (latest of watch(order.id, AbortSignal.timeout(waitMs))) if (isDecided(latest.status)) break;
    return latest;
  };
}
