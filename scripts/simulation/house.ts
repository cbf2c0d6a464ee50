import { createAccounts } from '../../src/accounts/context';
import { type Database } from '../../src/database';
import { createInventory } from '../../src/inventory/context';
import { Consumer, createOutbox, Relay, type Broker, type Outbox, type OutboxSchema } from '../../src/messaging';
import { type Logger, type Metrics } from '../../src/observability';
import { createOrders, type OrdersContext } from '../../src/orders/context';
import { type InventoryContext } from '../../src/inventory/context';
import { type Random } from '../random';
import { type Role, type Settings } from './plan';

/** What a simulated process runs: the contexts, and the carriage between them, as `src/roles` wires them. */
export interface House {
  orders: OrdersContext;
  inventory: InventoryContext;
  /** Of the orders, for whoever changes them past the use cases. */
  outbox: Outbox;
  stop(): Promise<void>;
}

export interface Ground {
  database: Database;
  broker: Broker;
  settings: Settings;
  random: Random;
  newId: () => string;
  log: Logger;
  metrics: Metrics;
  /** The broker is in this process, and nobody else is on the database. */
  embedded: boolean;
}

const LEASE_MS = 10_000;

/** Starts the roles in the order of `roles.ts`: what publishes, what consumes. Resolves when they are up. */
type Consuming = Pick<OrdersContext, 'handlers'> & Partial<Pick<OrdersContext, 'decideAtOnce'>>;

export async function startHouse(roles: readonly Role[], ground: Ground): Promise<House> {
  const relays = {
    orders: relayOf('orders', ground),
    inventory: relayOf('inventory', ground),
    accounts: relayOf('accounts', ground),
    notifications: relayOf('notifications', ground),
  };
  const outboxes = {
    orders: outboxOf('orders', ground, relays),
    inventory: outboxOf('inventory', ground, relays),
    accounts: outboxOf('accounts', ground, relays),
  };
  const inventory = createInventory({ ...ground, outbox: outboxes.inventory, currency: 'EUR' });
  const accounts = createAccounts({ ...ground, outbox: outboxes.accounts, currency: 'EUR' });
  const orders = ordersOn(ground, outboxes.orders, () => relays.orders.room());
  const stops: (() => Promise<void>)[] = [];
  for (const schema of new Set(roles.flatMap((role) => outboxesOf[role]))) {
    await relays[schema].start();
    stops.push(() => relays[schema].stop());
  }
  const consume = async ({ handlers: table, decideAtOnce = {} }: Consuming, outbox: Outbox) => {
    for (const [queue, handlers] of Object.entries(table)) {
      const { batchSizeMax } = ground.settings;
      const consumer = new Consumer({ ...ground, queue, handlers, decideAtOnce: decideAtOnce[queue], outbox, batchSizeMax });
      await consumer.start();
      stops.push(() => consumer.stop());
    }
  };
  if (roles.includes('orders')) {
    await consume(orders, outboxes.orders);
    const watchdog = orders.startWatchdog();
    stops.push(() => watchdog.stop());
  }
  if (roles.includes('inventory')) await consume(inventory, outboxes.inventory);
  if (roles.includes('accounts')) await consume(accounts, outboxes.accounts);
  const stop = async () => {
    for (const end of stops.reverse()) await end();
  };
  return { orders, inventory, outbox: outboxes.orders, stop };
}

function ordersOn(ground: Ground, outbox: Outbox, room: () => Promise<void>): OrdersContext {
  const { settings, broker } = ground;
  const { batchSizeMax, deadlineMs, republishAfterMs } = settings;
  return createOrders({
    ...ground,
    ...{ outbox, room, currency: 'EUR', times: { deadlineMs, republishAfterMs } },
    limits: { linesMax: 100, quantityMax: 1_000, batchSizeMax, concurrencyMax: ground.embedded ? 1 : 2 },
    watchdog: { intervalMs: settings.watchIntervalMs, batchSizeMax, queued: (queue) => queuedIn(broker, queue) },
    products: { idsBySku: () => Promise.resolve(new Map()), idsByName: () => Promise.resolve(new Map()) },
  });
}

async function queuedIn(broker: Broker, queue: string): Promise<number> {
  if (broker.status().state !== 'ready') return Infinity;
  return (await broker.depth(queue))?.ready ?? 0;
}

function outboxOf(schema: OutboxSchema, { database }: Ground, relays: Record<OutboxSchema, Relay>): Outbox {
  return createOutbox({ database, schema, leaseMs: LEASE_MS, handOver: (rows) => relays[schema].handOver(rows) });
}

function relayOf(schema: OutboxSchema, { settings, embedded, ...ground }: Ground): Relay {
  return new Relay({
    ...{ ...ground, schema, leaseMs: LEASE_MS, sweepIntervalMs: settings.sweepIntervalMs, sweepBatchMax: settings.sweepBatchMax },
    ...{ windowMax: settings.windowMax, backlogMax: 5_000, intakeMax: embedded ? settings.intakeMax : Infinity },
    ...{ alone: embedded, drainMs: 5_000 },
  });
}

const outboxesOf: Record<Role, OutboxSchema[]> = {
  gateway: ['orders', 'inventory'],
  orders: ['orders'],
  inventory: ['inventory'],
  accounts: ['accounts'],
};
