import { type Decide, type Doorway, type Handlers, type OutboxSchema, type Relay, type RpcService } from '../messaging';
import { Consumer, deskTopology, notificationsTopology, RpcServer, topology } from '../messaging';
import { type Database } from '../database';
import { seedProducts, type SeedOutcome } from '../inventory';
import { watch } from '../watch';
import { openDoors } from './doors';
import { buildHouse, outboxOf, type Ground, type House } from './house';
import { type RoleName } from './roleNames';

/** Starts the roles in the order of their dependence: what publishes, what consumes, what lets people in. */
export async function startRoles(names: readonly RoleName[], ground: Ground): Promise<Running> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const step of stops.splice(0).reverse()) await step();
  };
  try {
    await ground.broker.declare(topology);
    if (names.includes('notifications')) await ground.broker.declare(notificationsTopology);
    if (names.some((name) => name === 'gateway' || name === 'inventory')) await ground.broker.declare(deskTopology);
    const house = buildHouse(ground);
    for (const relay of relaysOf(names, house)) stops.push(await begun(relay));
    if (names.includes('gateway') || names.includes('orders')) stops.push(await begun(house.orders.intake));
    for (const name of names) for (const end of await consuming[name](house)) stops.push(end);
    watch({ ...house, outboxes: outboxesFor(names), ...countsOf(names, house) });
    const http = await openDoors(names, house);
    stops.push(
      () => settleInHand(house),
      () => http.close(),
    );
    return { url: http.url, port: http.port, grpcTarget: http.grpcTarget, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export interface Running {
  /** Where this process answers HTTP. */
  url: string;
  port: number;
  /** Where it answers gRPC; undefined without the gateway role. */
  grpcTarget?: string;
  /** Stops in reverse order: doors first, then consumers, then what publishes. */
  stop(): Promise<void>;
}

/** Adds the sample products that are not there yet; safe to repeat. Their events go out when the relay starts. */
export async function seed(ground: Ground): Promise<{ value: SeedOutcome; detail: string }> {
  const value = await seedProducts(buildHouse(ground).inventory, ground.newId());
  return { value, detail: `${value.created} products added, ${value.units} units; ${value.present} were there` };
}

/** Which outboxes a role writes: their relays run beside it. */
const outboxesOf: Record<RoleName, OutboxSchema[]> = {
  gateway: ['orders'],
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
  async accounts(house) {
    const consumers = await consume(house, 'accounts', house.accounts);
    return [...consumers, ...(await answer(house, house.accounts.rpc))];
  },
};

async function begun(worker: { start(): Promise<void>; stop(): Promise<void> }) {
  await worker.start();
  return () => worker.stop();
}

async function consume(house: House, schema: OutboxSchema, { handlers: table, decideAtOnce = {}, waitingFor = {} }: Consuming) {
  const { config, broker, log, metrics, random, operations } = house;
  const outbox = outboxOf(schema, house);
  const batchSizeMax = config.CONSUMER_BATCH_MAX;
  const consumers = Object.entries(table).map(
    ([queue, handlers]) =>
      new Consumer({
        ...{
          queue,
          handlers,
          decideAtOnce: decideAtOnce[queue],
          intake: waitingFor[queue],
          broker,
          outbox,
          batchSizeMax,
          log,
          metrics,
          random,
        },
      }),
  );
  const keepers = Object.keys(table).map((queue) => operations.keeperOf(queue));
  return Promise.all([...keepers, ...consumers].map(begun));
}

/** What a context does about messages, queue by queue. */
interface Consuming {
  handlers: Record<string, Handlers>;
  decideAtOnce?: Record<string, Decide>;
  waitingFor?: Record<string, Doorway>;
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
