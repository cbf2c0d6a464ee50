import { randomBytes } from 'node:crypto';

import { createAccounts, type AccountsContext } from '../accounts';
import { type Config } from '../config';
import { queues, type EventType } from '../contracts';
import { type Database } from '../database';
import { type Identity } from '../identity';
import { createInventory, type InventoryContext } from '../inventory';
import { createPulse } from '../live';
import {
  createOutbox,
  outboxDepth,
  Relay,
  RpcClient,
  type Broker,
  type Handlers,
  type Outbox,
  type OutboxSchema,
} from '../messaging';
import { createNotifications, type NotificationsContext } from '../notifications';
import { type Health, type Logger, type Metrics } from '../observability';
import { createOperations, type OperationsContext } from '../operations';
import { createOrders, type OrdersContext } from '../orders';

/** What every role stands on. */
export interface Ground {
  config: Config;
  database: Database;
  broker: Broker;
  log: Logger;
  metrics: Metrics;
  health: Health;
  /** What the gateway checks tokens by; without it none is good. */
  identity?: Identity;
  /** In development, where no identity is configured: a token for the playground. */
  playgroundLogin?: () => Promise<string>;
  newId: () => string;
  random: () => number;
  /** True when this process is the whole of Holdfast: broker in process, nobody else on the database. */
  embedded: boolean;
}

/** The contexts, and the carriage between them. */
export interface House extends Ground {
  orders: OrdersContext;
  inventory: InventoryContext;
  accounts: AccountsContext;
  notifications: NotificationsContext;
  operations: OperationsContext;
  /** Asks other roles. */
  rpc: RpcClient;
  relays: Record<OutboxSchema, Relay>;
}

export function buildHouse(ground: Ground): House {
  const { config, database, metrics, log, newId } = ground;
  const relays = {
    orders: relayOf('orders', ground),
    inventory: relayOf('inventory', ground),
    accounts: relayOf('accounts', ground),
    notifications: relayOf('notifications', ground),
  };
  const outbox = (schema: OutboxSchema) => outboxOf(schema, { database, relays });
  const { CURRENCY: currency } = config;
  const pulse = createPulse(ground);
  const inventory = createInventory({ database, outbox: outbox('inventory'), currency, newId, pulse, log });
  const accounts = createAccounts({ database, outbox: outbox('accounts'), currency, newId });
  const orders = createOrders({
    ...{ database, outbox: outbox('orders'), currency, newId, log, metrics, pulse },
    times: { deadlineMs: config.ORDER_DEADLINE_SECONDS * 1000, republishAfterMs: config.ORDER_REPUBLISH_SECONDS * 1000 },
    limits: {
      linesMax: config.ORDER_LINES_MAX,
      quantityMax: config.ORDER_QUANTITY_MAX,
      batchSizeMax: config.COMMIT_BATCH_MAX,
      // Measured: in one process a second commit beside the first only makes both smaller (10 % fewer orders a second, decisions a
      // third slower); with consumers elsewhere it fills the time in which the first waits.
      concurrencyMax: ground.embedded ? 1 : 2,
    },
    room: () => relays.orders.room(),
    watchdog: { intervalMs: 1_000, batchSizeMax: 500, queued: (queue) => queuedIn(ground.broker, queue) },
    intake: { backlogMax: config.BACKLOG_MAX, backlog: backlogOf(ground) },
    products: { idsBySku: inventory.productIdsBySku, idsByName: inventory.productIdsByName },
  });
  const notifications = createNotifications({ ...ground, ...notifying(config), randomBytes });
  const expected = expectedBy({ ...orders.handlers, ...inventory.handlers, ...accounts.handlers, ...notifications.handlers });
  const operations = createOperations({ database, broker: ground.broker, log, newId, expected });
  const rpc = new RpcClient({ ...ground, deadlineMs: 2_000, waitingMax: 1_000 });
  return { ...ground, orders, inventory, accounts, notifications, operations, relays, rpc };
}

/** How customers are told, out of the configuration. */
function notifying(config: Config) {
  return {
    production: config.NODE_ENV === 'production',
    smtpUrl: config.SMTP_URL,
    plaintextHosts: config.ALLOW_PLAINTEXT,
    mailFrom: config.MAIL_FROM,
    privateNetworks: config.WEBHOOK_PRIVATE_NETWORKS === 'allow',
    sending: {
      retry: { attemptsMax: config.NOTIFY_ATTEMPTS_MAX, firstPauseMs: config.NOTIFY_RETRY_SECONDS * 1000 },
      timeoutMs: config.NOTIFY_TIMEOUT_SECONDS * 1000,
      concurrencyMax: config.NOTIFY_CONCURRENCY_MAX,
      perReceiverMax: config.NOTIFY_RECEIVER_CONCURRENCY_MAX,
      lookIntervalMs: 500,
      keepDays: config.NOTIFY_KEEP_DAYS,
      drainMs: config.DRAIN_SECONDS * 1000,
    },
  };
}

/** Which events each queue's consumer takes. */
function expectedBy(handlers: Record<string, Handlers>): Record<string, EventType[]> {
  const entries = Object.entries(handlers).map(([queue, table]) => [queue, Object.keys(table) as EventType[]] as const);
  return Object.fromEntries(entries);
}

/** Orders that wait for inventory. While the broker is away its queue is taken to be as it was: nobody adds to it, or takes from it. */
function backlogOf({ database, broker, config }: Ground): () => Promise<number> {
  let queued = 0;
  return async () => {
    if (broker.status().state === 'ready') queued = (await broker.depth(queues.orderCreated))?.ready ?? queued;
    return queued + (await outboxDepth(database, 'orders', config.BACKLOG_MAX));
  };
}

/** Asked of a broker that is away, the depth of a queue would take its whole timeout. */
async function queuedIn(broker: Broker, queue: string): Promise<number> {
  if (broker.status().state !== 'ready') return Infinity;
  return (await broker.depth(queue))?.ready ?? 0;
}

/** The outbox of a context, and the relay of this process behind it. */
export function outboxOf(schema: OutboxSchema, { database, relays }: Pick<House, 'database' | 'relays'>): Outbox {
  return createOutbox({ database, schema, leaseMs: LEASE_MS, handOver: (rows) => relays[schema].handOver(rows) });
}

/** As long as the broker's confirm timeout: a later confirm costs a repetition, and a dead process's events wait no longer. */
const LEASE_MS = 10_000;

function relayOf(schema: OutboxSchema, { config, database, broker, log, metrics, embedded }: Ground): Relay {
  return new Relay({
    ...{ database, schema, broker, log, metrics },
    leaseMs: LEASE_MS,
    sweepIntervalMs: 1_000,
    sweepBatchMax: 500,
    windowMax: embedded ? 10_000 : 500,
    backlogMax: 5_000,
    intakeMax: embedded ? config.INTAKE_MAX : Infinity,
    alone: embedded,
    drainMs: config.DRAIN_SECONDS * 1000,
  });
}
