import { queues } from '../contracts';
import { type Database } from '../database';
import { type Pulse } from '../live';
import { type Decide, type Doorway, type Handlers, type Outbox } from '../messaging';
import { type Logger, type Metrics } from '../observability';
import { awaitDecisionUseCase } from './awaitDecision';
import { type ChangeOutcome } from './changeOrders';
import { cancelOrderUseCase, fulfilOrderUseCase } from './closeOrder';
import { createOrderUseCase, type CreateOrderOptions } from './createOrder';
import { followOrdersUseCase } from './followOrders';
import { paymentReplyHandlers, stockRepliesAtOnce, stockReplyHandlers } from './handlers';
import { isDecided } from './order';
import { newOrderHandlers } from './newOrders';
import { orderCommandHandlers } from './orderCommands';
import { type ProductNames } from './nameProducts';
import { placeOrdersUseCase } from './placeOrders';
import { createOrderWatch } from './orderWatch';
import { latestAmendments } from './readAmendments';
import { createIntake, type IntakeOptions } from './intake';
import { findOrders, listOrders, pendingOrders, readTimelines, type OrderFilter } from './readOrders';
import { ordersRpc } from './rpc';
import { updateOrderUseCase } from './updateOrder';
import { watchOrderUseCase } from './watchOrder';
import { startWatchdog, type Watchdog, type WatchdogOptions } from './watchdog';

export interface OrdersOptions extends Omit<CreateOrderOptions, 'database' | 'outbox' | 'takesOrders'> {
  database: Database;
  outbox: Outbox;
  log: Logger;
  metrics: Metrics;
  /** What followers of orders are woken by. */
  pulse?: Pulse;
  watchdog: Pick<WatchdogOptions, 'intervalMs' | 'batchSizeMax' | 'queued'>;
  products: ProductNames;
  /** Without it orders are taken however many wait. */
  intake?: Pick<IntakeOptions, 'backlogMax' | 'backlog'>;
}

/** The orders context: its use cases, what it does about messages, and its watchdog. */
export type OrdersContext = ReturnType<typeof createOrders>;

export function createOrders(options: OrdersOptions) {
  const { database, outbox, log, newId, metrics } = options;
  const onChanged = (outcomes: ChangeOutcome[]) => outcomes.forEach((outcome) => countDecision(metrics, outcome));
  const changing = { newId, tellAgainAfterMs: options.times.republishAfterMs };
  const closing = { outbox, changing, onChanged };
  const { intake: limit = { backlogMax: Infinity, backlog: () => Promise.resolve(0) } } = options;
  const intake = createIntake({ ...limit, intervalMs: INTAKE_INTERVAL_MS, log, metrics });
  const takesOrders = () => intake.isOpen() || (metrics.ordersBusy.inc(), false);
  const create = createOrderUseCase({ ...options, takesOrders });
  const newOrders = newOrderHandlers(options);
  const watch = createOrderWatch({ database, log, intervalMs: WATCH_INTERVAL_MS });
  const following = followOrdersUseCase(options);
  const watchOrder = watchOrderUseCase(following.news);
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
    follow: following.news,
    followSteps: following.steps,
    watch: watchOrder,
    awaitDecision: awaitDecisionUseCase(watchOrder),
    pending: () => pendingOrders(database),
    /** Whether orders are taken; whoever takes them has it look. */
    intake,
    /** Which of the queues wait while they are not: what their senders wait for is no answer. */
    waitingFor: { [queues.newOrders]: intake, [queues.orderCreateCommands]: intake } as Record<string, Doorway>,
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

/** How often the intake looks. */
const INTAKE_INTERVAL_MS = 1_000;

/** The first decision of each order, with the time it took by the database's clock. */
function countDecision(metrics: Metrics, outcome: ChangeOutcome) {
  if (outcome.type !== 'changed' || isDecided(outcome.from) || !isDecided(outcome.order.status)) return;
  const { status } = outcome.order;
  metrics.ordersDecided.inc({ outcome: status, reason: 'reason' in outcome.change ? outcome.change.reason.code : 'none' });
  metrics.orderDecisionDuration.observe({ outcome: status }, outcome.secondsOpen);
}
