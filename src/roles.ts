import { randomBytes } from 'node:crypto';
import { buildSchema, type ClassType } from 'type-graphql';

import { AccountResolver, createAccounts, type AccountsContext } from './accounts';
import { type Config } from './config';
import { rpcs, type EventType } from './contracts';
import { type Database } from './database';
import { createGraphql, playgroundRoutes, probeRoutes, restRoutes, startHttpServer } from './gateway';
import {
  createInventory,
  productEndpoints,
  ProductResolver,
  seedProducts,
  type InventoryContext,
  type SeedOutcome,
} from './inventory';
import { Consumer, createOutbox, notificationsTopology, Relay, RpcClient, RpcServer, topology } from './messaging';
import { type Broker, type Decide, type Handlers, type OutboxSchema, type RpcService } from './messaging';
import { type Health, type Logger, type Metrics } from './observability';
import { createNotifications, NotificationResolver, type NotificationsContext } from './notifications';
import { createOperations, DeadLetterResolver, type OperationsContext } from './operations';
import { createOrders, orderEndpoints, OrderResolver, type OrdersContext } from './orders';
import { version } from './version';
import { watch } from './watch';

/**
 * The roles a process can play. Embedded is all of them in one process; distributed is one process each, any number of each.
 * They share nothing but the database and the broker.
 */
export const roleNames = ['gateway', 'orders', 'inventory', 'accounts', 'notifications'] as const;
export type RoleName = (typeof roleNames)[number];

/** What every role stands on. */
export interface Ground {
  config: Config;
  database: Database;
  broker: Broker;
  log: Logger;
  metrics: Metrics;
  health: Health;
  newId: () => string;
  random: () => number;
  /** True when this process is the whole of Holdfast: broker in process, nobody else on the database. */
  embedded: boolean;
}

export interface Running {
  /** Where this process answers HTTP. */
  url: string;
  port: number;
  /** Stops in reverse order: doors first, then consumers, then what publishes. */
  stop(): Promise<void>;
}

/** Starts the roles in the order of their dependence: what publishes, what consumes, what lets people in. */
export async function startRoles(names: readonly RoleName[], ground: Ground): Promise<Running> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of stops.splice(0).reverse()) await step();
  };
  try {
    await ground.broker.declare(topology);
    if (names.includes('notifications')) await ground.broker.declare(notificationsTopology);
    const house = buildHouse(ground);
    for (const relay of relaysOf(names, house)) stops.push(await begun(relay));
    for (const name of names) for (const end of await consuming[name](house)) stops.push(end);
    watch({ ...house, outboxes: outboxesFor(names), ...countsOf(names, house) });
    const http = await openDoors(names, house);
    stops.push(
      () => settleInHand(house),
      () => http.close(),
    );
    return { url: http.url, port: http.port, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Adds the sample products that are not there yet; safe to repeat. Their events go out when the relay starts. */
export async function seed(ground: Ground): Promise<{ value: SeedOutcome; detail: string }> {
  const value = await seedProducts(buildHouse(ground).inventory, ground.newId());
  return { value, detail: `${value.created} products added, ${value.units} units; ${value.present} were there` };
}

/** The contexts, and the carriage between them. */
interface House extends Ground {
  orders: OrdersContext;
  inventory: InventoryContext;
  accounts: AccountsContext;
  notifications: NotificationsContext;
  operations: OperationsContext;
  /** Asks other roles. */
  rpc: RpcClient;
  relays: Record<OutboxSchema, Relay>;
}

function buildHouse(ground: Ground): House {
  const { config, database, metrics, log, newId } = ground;
  const relays = {
    orders: relayOf('orders', ground),
    inventory: relayOf('inventory', ground),
    accounts: relayOf('accounts', ground),
    notifications: relayOf('notifications', ground),
  };
  const outboxOf = (schema: OutboxSchema) =>
    createOutbox({ database, schema, leaseMs: LEASE_MS, handOver: (rows) => relays[schema].handOver(rows) });
  const { CURRENCY: currency } = config;
  const inventory = createInventory({ database, outbox: outboxOf('inventory'), currency, newId });
  const accounts = createAccounts({ database, outbox: outboxOf('accounts'), currency, newId });
  const orders = createOrders({
    ...{ database, outbox: outboxOf('orders'), currency, newId, log, metrics },
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

/** Asked of a broker that is away, the depth of a queue would take its whole timeout. */
async function queuedIn(broker: Broker, queue: string): Promise<number> {
  if (broker.status().state !== 'ready') return Infinity;
  return (await broker.depth(queue))?.ready ?? 0;
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

/** Which outboxes a role writes: their relays run beside it. */
const outboxesOf: Record<RoleName, OutboxSchema[]> = {
  gateway: ['orders', 'inventory'],
  orders: ['orders'],
  inventory: ['inventory'],
  accounts: ['accounts'],
  notifications: ['notifications'],
};

function outboxesFor(names: readonly RoleName[]): OutboxSchema[] {
  return [...new Set(names.flatMap((name) => outboxesOf[name]))];
}

function relaysOf(names: readonly RoleName[], { relays }: House): Relay[] {
  return outboxesFor(names).map((schema) => relays[schema]);
}

/** One role counts for all of its kind, so that the same figure is not queried by every process. */
function countsOf(names: readonly RoleName[], { orders, inventory, notifications, operations }: House) {
  return {
    deadLetters: () => operations.waiting(),
    pendingOrders: names.includes('orders') ? () => orders.pending() : undefined,
    notificationsWaiting: names.includes('notifications') ? () => notifications.waiting() : undefined,
    stockViolations: names.includes('inventory') ? () => inventory.violations() : undefined,
  };
}

/**
 * What each role does beside its doors. Returns how to end it. Each keeps the dead letters of the queues it consumes, begun before
 * the consumers and so ended after them; `orders` keeps what no queue received, too.
 */
const consuming: Record<RoleName, (house: House) => Promise<(() => Promise<void>)[]>> = {
  gateway: ({ rpc }) => Promise.resolve([() => rpc.stop()]),
  async orders(house) {
    const unrouted = await begun(house.operations.keeperOfUnrouted());
    const consumers = await consume(house, 'orders', house.orders);
    const servers = await answer(house, house.orders.rpc);
    const watchdog = house.orders.startWatchdog();
    return [unrouted, ...consumers, ...servers, () => watchdog.stop()];
  },
  async inventory(house) {
    const consumers = await consume(house, 'inventory', house.inventory);
    return [...consumers, ...(await answer(house, house.inventory.rpc))];
  },
  async notifications(house) {
    const dispatcher = await begun(house.notifications.dispatcher());
    return [dispatcher, ...(await consume(house, 'notifications', house.notifications))];
  },
  accounts: (house) => consume(house, 'accounts', house.accounts),
};

async function begun(worker: { start(): Promise<void>; stop(): Promise<void> }) {
  await worker.start();
  return () => worker.stop();
}

async function consume(
  { config, database, broker, log, metrics, random, relays, operations }: House,
  schema: OutboxSchema,
  { handlers: table, decideAtOnce = {} }: { handlers: Record<string, Handlers>; decideAtOnce?: Record<string, Decide> },
) {
  const outbox = createOutbox({ database, schema, leaseMs: LEASE_MS, handOver: (rows) => relays[schema].handOver(rows) });
  const batchSizeMax = config.CONSUMER_BATCH_MAX;
  const consumers = Object.entries(table).map(
    ([queue, handlers]) =>
      new Consumer({
        ...{ queue, handlers, decideAtOnce: decideAtOnce[queue], broker, outbox, batchSizeMax, log, metrics, random },
      }),
  );
  const keepers = Object.keys(table).map((queue) => operations.keeperOf(queue));
  return Promise.all([...keepers, ...consumers].map(begun));
}

/** Answers what a role is asked over the broker; as many at a time as share a commit. */
function answer({ broker, log, metrics, config }: House, services: RpcService[]) {
  const concurrencyMax = config.COMMIT_BATCH_MAX;
  return Promise.all(services.map((service) => begun(new RpcServer({ service, broker, log, metrics, concurrencyMax }))));
}

/** In process, what the doors let in is settled before the consumers go: nothing needs a second start to be decided. */
async function settleInHand({ broker, embedded, config, database }: House) {
  if (!embedded || !(await canSettle(database))) return;
  const deadline = performance.now() + config.DRAIN_SECONDS * 1000;
  while (broker.unsettled() > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Without the database nothing in hand can be settled, and there is nothing to wait for: it is all in the outbox. */
function canSettle(database: Database): Promise<boolean> {
  return database.$queryRaw`SELECT 1`.then(
    () => true,
    () => false,
  );
}

async function openDoors(names: readonly RoleName[], house: House) {
  const { config, log, metrics, health } = house;
  const isGateway = names.includes('gateway');
  const graphql = isGateway ? await graphqlDoor(names, house) : undefined;
  const rest = isGateway ? restDoor(house) : undefined;
  const routes = { ...probeRoutes({ health, metrics }), ...graphql?.routes, ...rest };
  const listening = isGateway
    ? { port: config.PORT, portVariable: 'PORT' }
    : { port: config.WORKER_PORT, portVariable: 'WORKER_PORT' };
  const http = await startHttpServer({
    ...listening,
    host: config.HOST,
    routes,
    log,
    metrics,
    closeLimitMs: config.DRAIN_SECONDS * 1000,
  });
  const close = async () => {
    await http.close();
    await graphql?.stop();
  };
  return { port: http.port, url: http.url, close };
}

async function graphqlDoor(names: readonly RoleName[], house: House) {
  const { orders, inventory, accounts, operations, notifications, config, log, metrics } = house;
  const production = config.NODE_ENV === 'production';
  const schema = await buildGraphqlSchema(
    new OrderResolver(orders),
    new ProductResolver(inventory, names.includes('inventory') ? inventory.checkStock : stockCheckOver(house)),
    new AccountResolver(accounts),
    new DeadLetterResolver(operations),
    new NotificationResolver(notifications),
  );
  const bodyLimitBytes = config.BODY_LIMIT_KIB * 1024;
  const { handle, stop } = await createGraphql({
    schema,
    contextFor: (facts) => facts,
    log,
    metrics,
    production,
    bodyLimitBytes,
  });
  return { routes: production ? { '/graphql': handle } : playgroundRoutes({ graphql: handle }), stop };
}

/**
 * A gateway on its own asks the inventory role what there is, as it would when stock had a database of its own; what else it reads
 * of inventory it still reads from the database that all roles share.
 */
function stockCheckOver({ rpc }: House): InventoryContext['checkStock'] {
  return async (lines, correlationId) => {
    const items = lines.map(({ productId, quantity }) => ({ product_id: productId, quantity }));
    return (await rpc.call(rpcs.stockCheck, { items }, { correlationId })).items;
  };
}

function restDoor({ orders, inventory, config, log }: House) {
  const sample = async () => {
    const [product] = await inventory.products({ active: true }, 1);
    return product && { customerId: 'CUST-SAMPLE', items: [{ productId: product.id, quantity: 1 }] };
  };
  const endpoints = [
    ...orderEndpoints(orders, config.NODE_ENV === 'production' ? undefined : sample),
    ...productEndpoints(inventory),
  ];
  return restRoutes({ endpoints, version, bodyLimitBytes: config.BODY_LIMIT_KIB * 1024, log });
}

/** The schema of all contexts; zod checks the inputs, so type-graphql does not. */
export function buildGraphqlSchema(
  ...resolvers: [OrderResolver, ProductResolver, AccountResolver, DeadLetterResolver, NotificationResolver]
) {
  const instances = new Map<unknown, object>(resolvers.map((resolver) => [resolver.constructor, resolver]));
  return buildSchema({
    resolvers: [OrderResolver, ProductResolver, AccountResolver, DeadLetterResolver, NotificationResolver],
    container: { get: (resolver: ClassType) => instances.get(resolver) },
    validate: false,
  });
}
