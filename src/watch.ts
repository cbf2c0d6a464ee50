import { queues } from './contracts';
import { pendingMigrations, type Database } from './database';
import { deadQueue, outboxLag, type Broker, type OutboxSchema } from './messaging';
import { type Health, type Metrics } from './observability';

/** What a process can be asked about. */
export interface Watched {
  health: Health;
  metrics: Metrics;
  database: Database;
  broker: Broker;
  /** The outboxes that this process publishes. */
  outboxes: OutboxSchema[];
  /** How many dead letters wait in the table, by queue. */
  deadLetters: () => Promise<Map<string, number>>;
  /** Given where this process decides orders. */
  pendingOrders?: () => Promise<{ pending: number; oldestSeconds: number }>;
  /** Given where this process tells customers. */
  notificationsWaiting?: () => Promise<{ waiting: number; overdueSeconds: number }>;
  /** Given where this process keeps the stock. */
  stockViolations?: () => Promise<{ negative: number; oversold: number }>;
}

/** Registers what the operator can ask of this process: its checks of readiness, and the gauges that a scrape fills. */
export function watch(watched: Watched): void {
  const { health, metrics } = watched;
  health.register('database', () => checkDatabase(watched));
  health.register('migrations', migrationsCheck(watched));
  health.register('broker', () => checkBroker(watched));
  metrics.onCollect(() => collectOutboxes(watched));
  metrics.onCollect(() => collectQueues(watched));
  metrics.onCollect(() => collectDeadLetters(watched));
  metrics.onCollect(() => collectPendingOrders(watched));
  metrics.onCollect(() => collectStockViolations(watched));
  metrics.onCollect(() => collectNotifications(watched));
}

/**
 * A busy pool is no lost database: under load a question would wait in line behind the work, for longer than a check may take, and a
 * load balancer would send away every gateway at the hour they are needed. What the work itself has just heard is answer enough.
 */
async function checkDatabase({ database }: Watched) {
  if (database.silentMs() > SILENCE_MAX_MS) await database.$queryRaw`SELECT 1`;
  return { ok: true, detail: 'answers' };
}

const SILENCE_MAX_MS = 2_000;

/** Asked until they are current: what was applied stays applied, and what this release needs does not change while it runs. */
function migrationsCheck({ database }: Watched) {
  let isCurrent = false;
  return async () => {
    const pending = isCurrent ? [] : await pendingMigrations(database);
    isCurrent = pending.length === 0;
    return { ok: isCurrent, detail: isCurrent ? 'current' : `pending: ${pending.join(', ')}; run npm run migrate` };
  };
}

function checkBroker({ broker }: Watched) {
  const { state, detail } = broker.status();
  return Promise.resolve({ ok: state === 'ready', detail: `${broker.name} ${state}: ${detail}` });
}

async function collectOutboxes({ outboxes, database, metrics }: Watched) {
  const lags = await Promise.all(outboxes.map((outbox) => outboxLag(database, outbox)));
  outboxes.forEach((outbox, index) => {
    metrics.outboxPending.set({ outbox }, lags[index]!.pending);
    metrics.outboxOldestAge.set({ outbox }, lags[index]!.oldestAgeSeconds);
  });
}

/** A queue that grows and grows has no consumer, or too few. One that was never declared is left out. */
async function collectQueues({ broker, metrics }: Watched) {
  const worked = Object.values(queues).filter((queue) => queue !== queues.unrouted);
  const depths = await Promise.all(worked.map(async (queue) => ({ queue, depth: await broker.depth(queue) })));
  for (const { queue, depth } of depths) if (depth) metrics.queueReady.set({ queue }, depth.ready);
}

/** What waits in the table, and what nobody has taken there yet. */
async function collectDeadLetters({ broker, metrics, deadLetters }: Watched) {
  const { unrouted, ...worked } = queues;
  const kept = await deadLetters();
  const waiting = async (queue: string, from: string) => (kept.get(queue) ?? 0) + ((await broker.depth(from))?.ready ?? 0);
  const dead = Object.values(worked).map(async (queue) =>
    metrics.deadLetters.set({ queue }, await waiting(queue, deadQueue(queue))),
  );
  await Promise.all([...dead, waiting(unrouted, unrouted).then((count) => metrics.unrouted.set(count))]);
}

async function collectPendingOrders({ pendingOrders, metrics }: Watched) {
  if (!pendingOrders) return;
  const { pending, oldestSeconds } = await pendingOrders();
  metrics.ordersPending.set(pending);
  metrics.orderOldestPending.set(oldestSeconds);
}

async function collectStockViolations({ stockViolations, metrics }: Watched) {
  if (!stockViolations) return;
  const { negative, oversold } = await stockViolations();
  metrics.stockInvariantViolations.set({ kind: 'negative' }, negative);
  metrics.stockInvariantViolations.set({ kind: 'oversold' }, oversold);
}

async function collectNotifications({ notificationsWaiting, metrics }: Watched) {
  if (!notificationsWaiting) return;
  const { waiting, overdueSeconds } = await notificationsWaiting();
  metrics.notificationsWaiting.set(waiting);
  metrics.notificationsOverdue.set(overdueSeconds);
}
