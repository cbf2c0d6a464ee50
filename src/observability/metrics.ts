import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { withDeadline } from './deadline';

export type Metrics = ReturnType<typeof createMetrics>;

export interface MetricsOptions {
  version?: string;
  commit?: string;
  /** How long a scrape waits for a collector. */
  collectLimitMs?: number;
}

/**
 * The metrics of one process, in a registry of its own. Labels hold only values from short, known lists: never a sku, an order
 * or a customer. Durations are in seconds.
 */
export function createMetrics({ version = 'development', commit = 'unknown', collectLimitMs = 2_000 }: MetricsOptions = {}) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const objects = {
    ...requestMetrics(registry),
    ...orderMetrics(registry),
    ...messageMetrics(registry),
    ...rpcMetrics(registry),
    ...notificationMetrics(registry),
    ...liveMetrics(registry),
  };
  const buildInfo = gauge(registry, 'holdfast_build_info', 'Always 1; the labels say what runs.', ['version', 'commit', 'node']);
  buildInfo.set({ version, commit, node: process.version }, 1);
  return { ...objects, buildInfo, registry, ...scraping(registry, collectLimitMs) };
}

/**
 * Gauges that need a query are filled at scrape time by collectors. A collector that fails or is late leaves its gauges as they
 * were and is counted; the scrape itself always answers.
 */
function scraping(registry: Registry, collectLimitMs: number) {
  const collectors: (() => Promise<void>)[] = [];
  const failures = counter(registry, 'holdfast_collector_failures_total', 'Collectors that failed or were late at a scrape.', []);
  let underWay: Promise<void> | undefined;

  async function collect(): Promise<void> {
    const runs = collectors.map((collector) => withDeadline(collector(), collectLimitMs, 'A metrics collector'));
    const outcomes = await Promise.allSettled(runs);
    failures.inc(outcomes.filter((outcome) => outcome.status === 'rejected').length);
  }

  return {
    /** `collector` sets its gauges; it runs once per scrape, and never twice at a time. */
    onCollect(collector: () => Promise<void>): void {
      collectors.push(runningOnce(collector));
    },
    /** The exposition that Prometheus scrapes. Scrapes that arrive together share one collection. */
    async exposition(): Promise<{ contentType: string; body: string }> {
      underWay ??= collect().finally(() => (underWay = undefined));
      await underWay;
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

/** A collector that hangs is waited for again, not started again: a slow database gets no second query from us. */
function runningOnce(collector: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return async () => {
    running ??= Promise.resolve()
      .then(collector)
      .finally(() => (running = undefined));
    await running;
  };
}

function requestMetrics(registry: Registry) {
  return {
    httpRequestDuration: histogram(registry, 'http_request_duration_seconds', 'HTTP requests by route.', [
      'route',
      'method',
      'status',
    ]),
    graphqlOperationDuration: histogram(
      registry,
      'holdfast_graphql_operation_duration_seconds',
      'GraphQL operations; operation is a top-level field of the schema or "other".',
      ['operation', 'type', 'outcome'],
    ),
    graphqlWaiting: gauge(
      registry,
      'holdfast_graphql_waiting',
      'Operations that wait for their turn: new documents to be read ("reading"), queries to be carried out ("running").',
      ['for'],
    ),
  };
}

function orderMetrics(registry: Registry) {
  return {
    ordersDecided: counter(registry, 'holdfast_orders_decided_total', 'Orders confirmed or cancelled.', ['outcome', 'reason']),
    orderDecisionDuration: histogram(
      registry,
      'holdfast_order_decision_duration_seconds',
      'From the order placed to the order confirmed or cancelled.',
      ['outcome'],
    ),
    ordersBusy: counter(registry, 'holdfast_orders_busy_total', 'Orders that were answered BUSY and not placed.', []),
    intakeBacklog: gauge(
      registry,
      'holdfast_intake_backlog',
      'Orders that wait for inventory, in the outbox and in its queue, as whoever takes orders last saw it.',
      [],
    ),
    ordersPending: gauge(registry, 'holdfast_orders_pending', 'Orders not decided yet.', []),
    orderOldestPending: gauge(registry, 'holdfast_order_oldest_pending_seconds', 'Age of the oldest order not decided yet.', []),
    stockInvariantViolations: gauge(
      registry,
      'holdfast_stock_invariant_violations',
      'Products whose counters break a rule: negative or oversold. Anything but 0 is an emergency.',
      ['kind'],
    ),
  };
}

function messageMetrics(registry: Registry) {
  return {
    outboxPending: gauge(registry, 'holdfast_outbox_pending', 'Events committed and not published yet.', ['outbox']),
    outboxOldestAge: gauge(registry, 'holdfast_outbox_oldest_age_seconds', 'Age of the oldest unpublished event.', ['outbox']),
    batches: counter(
      registry,
      'holdfast_batches_total',
      'Batches of messages committed; way is statement, or transaction for what a single statement cannot do.',
      ['queue', 'way'],
    ),
    messagesProcessed: counter(
      registry,
      'holdfast_messages_processed_total',
      'Deliveries settled; outcome is ack, retry or dead.',
      ['queue', 'type', 'outcome'],
    ),
    messagesRedelivered: counter(
      registry,
      'holdfast_messages_redelivered_total',
      'Deliveries that the broker had handed out before and never saw settled.',
      ['queue'],
    ),
    messageProcessDuration: histogram(
      registry,
      'holdfast_message_process_duration_seconds',
      'Handling of one batch of deliveries; type is always batch.',
      ['queue', 'type'],
    ),
    messagesPublished: counter(
      registry,
      'holdfast_messages_published_total',
      'Publications; outcome is confirmed, unroutable or unconfirmed.',
      ['type', 'outcome'],
    ),
    batchSize: histogram(
      registry,
      'holdfast_batch_size',
      'How many deliveries shared one transaction; hop is the queue.',
      ['hop'],
      [1, 2, 4, 8, 16, 32, 64, 128, 256],
    ),
    unrouted: gauge(registry, 'holdfast_unrouted', 'Messages that no binding wanted, kept or still in their queue.', []),
    queueReady: gauge(registry, 'holdfast_queue_ready', 'Messages that wait in a queue for its consumer.', ['queue']),
    deadLetters: gauge(registry, 'holdfast_dead_letters', 'Dead letters that wait for somebody, kept or still in their queue.', [
      'queue',
    ]),
  };
}

function rpcMetrics(registry: Registry) {
  return {
    rpcCalls: counter(
      registry,
      'holdfast_rpc_calls_total',
      'Questions asked over the broker; outcome is answered, refused, late (no answer by the deadline) or failed.',
      ['queue', 'outcome'],
    ),
    rpcLateReplies: counter(registry, 'holdfast_rpc_late_replies_total', 'Answers that came after their deadline.', []),
    rpcServed: counter(
      registry,
      'holdfast_rpc_served_total',
      'Questions taken from a queue; outcome is answered, refused (the asker is at fault) or failed.',
      ['queue', 'outcome'],
    ),
  };
}

function notificationMetrics(registry: Registry) {
  return {
    notificationAttempts: counter(
      registry,
      'holdfast_notification_attempts_total',
      'Tries to tell a customer by e-mail or webhook; outcome is delivered or failed.',
      ['channel', 'outcome'],
    ),
    notificationsWaiting: gauge(registry, 'holdfast_notifications_waiting', 'Notifications to be sent, or to be sent again.', []),
    notificationsOverdue: gauge(
      registry,
      'holdfast_notifications_overdue_seconds',
      'For how long the one that is most overdue has been due: above a minute, more processes of the role are needed.',
      [],
    ),
  };
}

function liveMetrics(registry: Registry) {
  return {
    liveConnections: gauge(registry, 'holdfast_live_connections', 'WebSocket connections that are open.', []),
    liveConnectionsEnded: counter(
      registry,
      'holdfast_live_connections_ended_total',
      'WebSocket connections that ended; why is the code of the close (1005: without one, 1006: lost), or refused for one too many.',
      ['why'],
    ),
    liveSubscriptions: gauge(registry, 'holdfast_live_subscriptions', 'Subscriptions under way.', ['operation']),
    liveEvents: counter(registry, 'holdfast_live_events_total', 'Events told to subscribers; outcome is ok or fault.', [
      'operation',
      'outcome',
    ]),
  };
}

/** The buckets of OpenTelemetry's messaging conventions, in seconds. */
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

function histogram<L extends string>(registry: Registry, name: string, help: string, labelNames: L[], buckets = durationBuckets) {
  return new Histogram<L>({ name, help, labelNames, buckets, registers: [registry] });
}

function counter<L extends string>(registry: Registry, name: string, help: string, labelNames: L[]) {
  return new Counter<L>({ name, help, labelNames, registers: [registry] });
}

function gauge<L extends string>(registry: Registry, name: string, help: string, labelNames: L[]) {
  return new Gauge<L>({ name, help, labelNames, registers: [registry] });
}
