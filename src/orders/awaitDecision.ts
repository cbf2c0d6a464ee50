import { type Database } from '../database';
import { isDecided } from './order';
import { type OrderWatch } from './orderWatch';
import { findOrders, type OrderView } from './readOrders';

/** The longest that a caller may wait for a decision, in milliseconds. */
export const DECISION_WAIT_MAX_MS = 10_000;

/** The order once it is decided, or as it is after `waitMs`: a caller who asked to wait gets an answer in any case. */
export function awaitDecisionUseCase({ database, watch }: { database: Database; watch: OrderWatch }) {
  return async (order: OrderView, waitMs: number): Promise<OrderView> => {
    const over = AbortSignal.timeout(waitMs);
    let latest = order;
    while (!isDecided(latest.status) && (await watch.nextVersion(latest.id, latest.version, over)) !== undefined)
      [latest = order] = await findOrders(database, [order.id]);
    return latest;
  };
}
