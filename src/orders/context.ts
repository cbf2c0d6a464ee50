import { queues } from '../contracts';
import { type Database } from '../database';
import { type Decide, type Handlers, type Outbox } from '../messaging';
import { type Logger, type Metrics } from '../observability';
import { type ChangeOutcome } from './changeOrders';
import { cancelOrderUseCase, fulfilOrderUseCase } from './closeOrder';
import { createOrderUseCase, type CreateOrderOptions } from './createOrder';
import { paymentReplyHandlers, stockRepliesAtOnce, stockReplyHandlers } from './handlers';
import { isDecided } from './order';
import { newOrderHandlers } from './newOrders';
import { orderCommandHandlers } from './orderCommands';
import { type ProductNames } from './nameProducts';
import { placeOrdersUseCase } from './placeOrders';
import { createOrderWatch } from './orderWatch';
import { latestAmendments } from './readAmendments';
import { findOrders, listOrders, pendingOrders, readTimelines, type OrderFilter } from './readOrders';
import { ordersRpc } from './rpc';
import { updateOrderUseCase } from './updateOrder';
import { watchOrderUseCase } from './watchOrder';
import { startWatchdog, type Watchdog, type WatchdogOptions } from './watchdog';

export interface OrdersOptions extends Omit<CreateOrderOptions, 'database' | 'outbox'> {
  database: Database;
  outbox: Outbox;
  log: Logger;
  metrics: Metrics;
  watchdog: Pick<WatchdogOptions, 'intervalMs' | 'batchSizeMax' | 'queued'>;
  products: ProductNames;
}

/** The orders context: its use cases, what it does about messages, and its watchdog. */
export type OrdersContext = ReturnType<typeof createOrders>;

export function createOrders(options: OrdersOptions) {
  const { database, outbox, log, newId, metrics } = options;
  const onChanged = (outcomes: ChangeOutcome[]) => outcomes.forEach((outcome) => countDecision(metrics, outcome));
  const changing = { newId, tellAgainAfterMs: options.times.republishAfterMs };
  const closing = { outbox, changing, onChanged };
  const create = createOrderUseCase(options);
  const newOrders = newOrderHandlers(options);
  const watch = createOrderWatch({ database, log, intervalMs: WATCH_INTERVAL_MS });
  const doors = {
    place: placeOrdersUseCase(create, options),
    update: updateOrderUseCase({ ...options, watch }),
    cancel: cancelOrderUseCase(closing),
    fulfil: fulfilOrderUseCase(closing),
    find: (ids: string[], owner?: string) => findOrders(database, ids, owner),
  };
  return {
    create,
    ...doors,
    list: (filter: OrderFilter, first: number, after?: string) => listOrders(database, filter, first, after),
    timelines: (ids: string[]) => readTimelines(database, ids),
    amendments: (ids: string[]) => latestAmendments(database, ids),
    watch: watchOrderUseCase({ database, watch }),
    pending: () => pendingOrders(database),
    /** What places and decides orders, by queue. */
    handlers: {
      [queues.stockReplies]: stockReplyHandlers(changing, onChanged),
      [queues.paymentReplies]: paymentReplyHandlers(changing, onChanged),
      [queues.newOrders]: newOrders,
      [queues.orderCreateCommands]: newOrders,
      [queues.orderUpdateCommands]: orderCommandHandlers(changing, onChanged),
    } as Record<string, Handlers>,
    decideAtOnce: { [queues.stockReplies]: stockRepliesAtOnce(changing, onChanged) } as Record<string, Decide>,
    /** What orders answer over the broker. */
    rpc: ordersRpc(doors),
    startWatchdog: (): Watchdog => startWatchdog({ outbox, log, changing, onChanged, ...options.watchdog }),
  };
}

/** Between two looks at orders that somebody waits for: a person does not notice it, and a database hardly. */
const WATCH_INTERVAL_MS = 50;

/** The first decision of each order, with the time it took by the database's clock. */
function countDecision(metrics: Metrics, outcome: ChangeOutcome) {
  if (outcome.type !== 'changed' || isDecided(outcome.from) || !isDecided(outcome.order.status)) return;
  const { status } = outcome.order;
  metrics.ordersDecided.inc({ outcome: status, reason: 'reason' in outcome.change ? outcome.change.reason.code : 'none' });
  metrics.orderDecisionDuration.observe({ outcome: status }, outcome.secondsOpen);
}
