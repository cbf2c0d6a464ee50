import { v7 as uuidv7 } from 'uuid';

import { createInventory } from '../../src/inventory';
import { createOutbox } from '../../src/messaging';
import { ownLogin } from '../login';
import { createClient, type Client } from '../simulate/client';
import { standing, untilAtRest } from '../simulate/decisions';
import { grouped } from '../simulate/progress';
import { audit, type AuditOutcome, type AuditScope } from '../audit';
import { below, seededRandom } from '../random';
import { verdictOf } from './verdict';
import { openWorld, type World } from './world';

export interface DrainOptions {
  orders: number;
  /** How many inventory processes drain the queue. */
  inventory: number;
  seed: number;
  signal: AbortSignal;
}

/** What it took to work off a queue that had filled while inventory was away. */
export interface DrainResult {
  verdict: 'PASS' | 'FAIL';
  orders: number;
  inventory: number;
  seconds: number;
  ordersPerSecond: number;
  confirmed: number;
  cancelled: number;
  pending: number;
  /** Of the inventory process that held most: at most, and how much it grew from the second quarter of the drain to the last. */
  peakMiB: number;
  growthMiB: number;
  broken: AuditOutcome[];
}

const LIMIT_MS = 30 * 60_000;
const CUSTOMER = 'chaos-drain';

/**
 * Fills the queue while no inventory runs, then starts it and waits until every order is final. The watchdog is told to be patient:
 * an order that waits for inventory to be started is not late.
 */
export async function runDrain(options: DrainOptions): Promise<DrainResult> {
  const { orders, inventory, seed, signal } = options;
  const settings = { ORDER_REPUBLISH_SECONDS: '3600', ORDER_DEADLINE_SECONDS: '86400', BACKLOG_MAX: '10000000' };
  const world = await openWorld({ roles: { gateway: 1, orders: 1, inventory: 0, accounts: 0 }, settings });
  try {
    const client = createClient({
      login: ownLogin.token,
      urls: world.fleet.gatewayUrls,
      connections: FILLERS,
      retryMs: 60_000,
      signal,
    });
    // Half the products are short, so that both answers are given.
    const productIds = await addProducts(
      world,
      `drain-${seed}`,
      Array.from({ length: 20 }, (_, product) => stockOf(product, orders)),
    );
    await fill(client, productIds, options);
    await client.close();
    return await drain(world, productIds, { ...options, inventory });
  } finally {
    await world.close();
  }
}

/** Into the database itself: a gateway has an inventory role add them, and none is to run yet. */
async function addProducts({ database }: World, run: string, stock: number[]): Promise<number[]> {
  const outbox = createOutbox({ database, schema: 'inventory', leaseMs: 0, handOver: () => undefined });
  const inventory = createInventory({ database, outbox, currency: 'EUR', newId: uuidv7 });
  const ids: number[] = [];
  for (const [index, onHand] of stock.entries()) {
    const product = { sku: `${run}-${index + 1}`, name: `Product ${index + 1} of ${run}`, price: 1_999, onHand };
    const result = await inventory.createProduct(product, run);
    if (result.type !== 'done') throw new Error(`The product ${product.sku} could not be added: ${result.type}`);
    ids.push(result.product.id);
  }
  return ids;
}

function stockOf(product: number, orders: number): number {
  return product % 2 === 0 ? orders : Math.ceil(orders / 80);
}

const FILLERS = 8;
const BATCH = 100;

async function fill(client: Client, productIds: number[], { orders, seed, signal }: DrainOptions): Promise<void> {
  const random = seededRandom(seed);
  let placed = 0;
  const work = async () => {
    while (placed < orders && !signal.aborted) {
      const first = placed;
      placed += Math.min(BATCH, orders - placed);
      const inputs = Array.from({ length: placed - first }, (_, index) => ({
        customerId: CUSTOMER,
        idempotencyKey: `drain-${seed}-${first + index}`,
        items: [{ productId: productIds[below(productIds.length, random)]!, quantity: 1 }],
      }));
      await client.ask(creation, { inputs });
      if (first % 10_000 === 0) process.stderr.write(`filling the queue: ${grouped(first)}/${grouped(orders)} orders\n`);
    }
  };
  await Promise.all(Array.from({ length: FILLERS }, work));
}

async function drain(world: World, productIds: number[], { orders, inventory, signal }: DrainOptions): Promise<DrainResult> {
  const scope: AuditScope = { customers: [CUSTOMER], productIds, acknowledged: [], foreign: [], soldOutProductIds: [] };
  const startedAt = performance.now();
  await world.fleet.start({ inventory });
  const memory = sampleMemory(world);
  const progress = setInterval(() => void tell(world, orders), 5_000);
  await untilAtRest(world.database, scope, performance.now() + LIMIT_MS, signal);
  clearInterval(progress);
  const seconds = (performance.now() - startedAt) / 1_000;
  const outcomes = await audit(world.database, scope);
  const { confirmed, cancelled, pending } = await standing(world.database, [CUSTOMER]);
  return {
    ...{ orders, inventory, confirmed, cancelled, pending, ...memory.stop() },
    ...{ seconds: Math.round(seconds * 10) / 10, ordersPerSecond: Math.round(orders / seconds) },
    verdict: pending === 0 && confirmed + cancelled === orders ? verdictOf(outcomes).verdict : 'FAIL',
    broken: outcomes.filter(({ broken }) => broken > 0),
  };
}

async function tell({ database }: World, orders: number) {
  const { pending } = await standing(database, [CUSTOMER]).catch(() => ({ pending: NaN }));
  process.stderr.write(`${grouped(orders - pending)}/${grouped(orders)} orders decided\n`);
}

/** Twice a second, of every inventory process. */
function sampleMemory({ fleet }: World) {
  const members = fleet.membersOf('inventory');
  const samples = members.map(() => [] as number[]);
  const timer = setInterval(() => members.forEach(({ memoryMiB }, index) => samples[index]!.push(memoryMiB)), 500);
  return {
    stop() {
      clearInterval(timer);
      return {
        peakMiB: Math.max(0, ...members.map(({ peakMiB }) => peakMiB)),
        growthMiB: Math.max(0, ...samples.map(growthOf)),
      };
    },
  };
}

function growthOf(samples: number[]): number {
  const quarter = Math.floor(samples.length / 4);
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  return Math.round(mean(samples.slice(-quarter)) - mean(samples.slice(quarter, 2 * quarter)));
}

const creation = `mutation ($inputs: [CreateOrderInput!]!) {
  createOrders(inputs: $inputs) { ... on Order { id } ... on ErrorResult { code message } }
}`;

const columns: [head: string, width: number, cell: (result: DrainResult) => string | number][] = [
  ['inventory', 10, ({ inventory }) => inventory],
  ['orders', 9, ({ orders }) => grouped(orders)],
  ['confirmed', 11, ({ confirmed }) => grouped(confirmed)],
  ['cancelled', 11, ({ cancelled }) => grouped(cancelled)],
  ['pending', 9, ({ pending }) => pending],
  ['seconds', 9, ({ seconds }) => seconds],
  ['orders/s', 10, ({ ordersPerSecond }) => grouped(ordersPerSecond)],
  ['peak MiB', 10, ({ peakMiB }) => peakMiB],
  ['growth MiB', 12, ({ growthMiB }) => growthMiB],
  ['', 8, ({ verdict }) => verdict],
];

export function drainHead(): string {
  return columns.map(([head, width]) => head.padStart(width)).join('');
}

export function drainLine(result: DrainResult): string {
  const cells = columns.map(([, width, cell]) => String(cell(result)).padStart(width)).join('');
  return [
    cells,
    ...result.broken.flatMap(({ promise, examples }) => [`  ✗ ${promise}`, ...examples.map((line) => `      ${line}`)]),
  ].join('\n');
}
