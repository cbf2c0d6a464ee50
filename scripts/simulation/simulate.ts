import { createHash } from 'node:crypto';

import { isDecided } from '../../src/orders/order';
import { openDoors, type Journal } from './customers';
import { type Coverage } from './coverage';
import { listen, silent } from './listener';
import { planOf, type Plan } from './plan';
import { brew } from './strokes';
import { breaksAtRest, snapshotBreaks, type Violation } from './verdict';
import { underVirtualTime } from './virtualTime';
import { World } from './world';

export interface SimulationOptions {
  /** How many orders are placed; the seed decides when it is not given. */
  orders?: number;
}

export interface SimulationOutcome {
  seed: number;
  plan: Plan;
  /** What did not hold; empty is a pass. */
  violations: Violation[];
  /** Every decision and message, in order; the same seed gives the same. */
  trace: string[];
  traceHash: string;
  coverage: Coverage;
  orders: number;
  virtualMs: number;
}

/**
 * Runs the whole of Holdfast once, in this process and on virtual time, as the seed has it: its orders, its faults, its schedule.
 * Nothing is real but the code. One simulation runs at a time, and the entry has loaded `prepare` before anything else.
 */
export async function simulate(seed: number, { orders }: SimulationOptions = {}): Promise<SimulationOutcome> {
  const plan = planOf(seed, orders);
  const world = new World(plan, seed);
  const violations: Violation[] = [];
  // It would end a process; one that is dead already it cannot harm.
  const died = (error: Error) => {
    if (world.scheduler.current.isAlive) world.surprises.push(`nobody caught: ${error?.stack ?? String(error)}`);
  };
  process.on('unhandledRejection', died);
  listen(world);
  try {
    await underVirtualTime(world.scheduler, () => {
      const journal = begin(world);
      watch(world, journal, violations);
    });
  } finally {
    listen(silent);
    process.off('unhandledRejection', died);
  }
  violations.push(...world.surprises.map((words) => ({ group: 'mismatched' as const, words })));
  const { trace, nowMs: virtualMs } = world.scheduler;
  const traceHash = createHash('sha256').update(trace.join('\n')).digest('hex').slice(0, 16);
  return {
    seed,
    plan,
    violations,
    trace,
    traceHash,
    coverage: world.coverage,
    orders: world.database.books.orders.size,
    virtualMs,
  };
}

function begin(world: World): Journal {
  fillShelves(world);
  openAccounts(world);
  if (world.plan.shape === 'distributed') world.later(0, 'the broker opens', () => void world.broker.open());
  for (const spec of world.plan.processes) world.later(1, `${spec.name} is started`, () => world.start(spec));
  const journal = openDoors(world);
  brew(world);
  return journal;
}

function fillShelves({ plan, database }: World): void {
  plan.stock.forEach((onHand, index) => {
    const productId = index + 1;
    const row = { productId, sku: `SKU-${productId}`, active: true, unitPrice: 100 * productId, onHand, reserved: 0 };
    database.books.stock.put(String(productId), row);
    const movement = { productId, kind: 'INITIAL' as const, onHandDelta: onHand, reservedDelta: 0, orderId: null };
    database.books.movements.put(`initial ${productId}`, movement);
  });
}

function openAccounts({ plan, database }: World): void {
  plan.balances.forEach((balance, number) => {
    const customerId = `customer-${number}`;
    database.books.accounts.put(customerId, { customerId, balance, currency: 'EUR' });
    database.books.entries.put(`deposit ${number}`, { customerId, kind: 'DEPOSIT', amount: balance, orderId: null });
  });
}

/** After the storm Holdfast has so long to come to rest: more than a deadline, and all the attempts of a message. */
const REST_LIMIT_MS = 240_000;

/** Looks at the books every second, and ends the simulation when all is at rest, or when it does not come to rest. */
function watch(world: World, journal: Journal, violations: Violation[]): void {
  const { scheduler, plan, database } = world;
  const look = () => {
    violations.push(...snapshotBreaks(database.books));
    const isCalm = scheduler.nowMs > plan.stormMs;
    const unrest = isCalm ? unrestOf(world, journal) : undefined;
    const isOver = scheduler.nowMs > plan.stormMs + REST_LIMIT_MS;
    if (isOver && unrest) violations.push({ group: 'stuck', words: unrest });
    if (violations.length === 0 && (!isCalm || (unrest && !isOver))) return world.later(1_000, 'the books are looked at', look);
    if (isCalm) violations.push(...breaksAtRest(world, journal));
    scheduler.stop();
  };
  world.later(1_000, 'the books are looked at', look);
}

/** What is still going on, in words; undefined at rest. */
function unrestOf(world: World, { busy }: Journal): string | undefined {
  const { plan, database, broker, running } = world;
  if (!world.isEverybodyUp()) return 'a process is not up';
  const { outbox, orders, closings, refunds, amendments } = database.books;
  const unsettled = plan.shape === 'embedded' ? [...running.values()].at(0)!.broker.unsettled() : broker.inner.unsettled();
  const undecided = [...orders.values()].filter(({ status }) => !isDecided(status)).length;
  const amending = [...amendments.values()].filter((amendment) => amendment.status === 'PENDING').length;
  const doing: [number, string][] = [
    [busy, 'customers wait'],
    [undecided, 'orders are not decided'],
    [closings.size, 'closings are not answered'],
    [refunds.size, 'refunds are not answered'],
    [amending, 'changes of orders are PENDING'],
    [outbox.orders.size, 'events wait in the outbox of orders'],
    [outbox.inventory.size, 'events wait in the outbox of inventory'],
    [outbox.accounts.size, 'events wait in the outbox of accounts'],
    [unsettled + broker.underWay, 'messages are not settled'],
    [database.isWriting() ? 1 : 0, 'transaction is open'],
  ];
  return doing.find(([number]) => number > 0)?.join(' ');
}
