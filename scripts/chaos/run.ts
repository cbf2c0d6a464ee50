import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { ownLogin } from '../login';
import { createClient } from '../simulate/client';
import { standing } from '../simulate/decisions';
import { seededRandom } from '../random';
import { startStorm, type FaultName, type Scene, type Struck } from './faults';
import { openJournal, readJournal } from './journal';
import { startChaosProgress } from './progress';
import { openTap, type Tap } from './tap';
import { auditUnderway, judge, type Verdict } from './verdict';
import { openWorld, type World, type WorldOptions } from './world';
import { prepareWorkload, type Workload } from './workload';

export interface ChaosOptions extends WorldOptions {
  seed: number;
  orders: number;
  clients: number;
  /** Mean seconds between two faults. */
  everySeconds: number;
  /** How many faults strike at most; the orders are spread so that about so many meet them. */
  faults: number;
  only?: readonly FaultName[];
  /** False when a FAIL is what is expected: nobody will look at its logs. */
  keepFolder?: boolean;
  signal: AbortSignal;
}

/** What one seed did and what was left of it. */
export interface ChaosResult extends Verdict {
  seed: number;
  orders: number;
  acknowledged: number;
  confirmed: number;
  cancelled: number;
  /** Orders that no answer reached in time: cancelled by the watchdog, which is an end too. */
  expired: number;
  refused: number;
  struck: Struck[];
  /** Of all publications, the share that repeated an event under its id; of all deliveries, the share handed out before. */
  repeatedShare: number;
  redeliveredShare: number;
  retries: number;
  poison: number;
  seconds: number;
  peakMiB: Record<string, number>;
  /** Kept when the verdict is FAIL: logs of every process, the journal. */
  folder?: string;
}

/** One seed, from an empty world to its verdict. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const startedAt = performance.now();
  const world = await openWorld(options);
  let keep = true;
  try {
    const result = await attack(world, options);
    keep = result.verdict === 'FAIL' && options.keepFolder !== false;
    return { ...result, seconds: secondsSince(startedAt), folder: keep ? world.folder : undefined };
  } finally {
    await world.close({ keep: keep && !options.signal.aborted });
  }
}

async function attack(world: World, options: ChaosOptions): Promise<Omit<ChaosResult, 'seconds'>> {
  const { seed, orders, clients, signal } = options;
  const random = seededRandom(seed);
  const journalPath = join(world.folder, 'journal.jsonl');
  const journal = await openJournal(journalPath);
  const client = createClient({
    login: ownLogin.token,
    urls: world.fleet.gatewayUrls,
    connections: clients * 2,
    retryMs: 300_000,
    signal,
  });
  const tap = await openTap(world.broker.url, random);
  try {
    const secondsMin = options.faults * options.everySeconds;
    const workload = await prepareWorkload({ seed, orders, clients, secondsMin, client, journal, signal });
    const pause = (seconds: number) => sleep(seconds * 1_000, undefined, { signal }).catch(() => undefined);
    const scene: Scene = { world, tap, poison: [], pause };
    const { struck, violations, redelivered } = await underFaults(scene, workload, random, options);
    await journal.close();
    const { customers, productIds } = workload;
    const verdict = await judge({ world, tap, journalPath, customers, productIds, poison: scene.poison, signal });
    const figures = await measure(world, tap, customers);
    const { acknowledged, refused } = await readJournal(journalPath);
    return {
      ...withViolations(verdict, violations),
      ...{ seed, orders, struck, ...figures, poison: scene.poison.length, retries: client.retries() },
      ...{ acknowledged: new Set(acknowledged.map(({ orderId }) => orderId)).size, refused: refused.length },
      redeliveredShare: share(redelivered, figures.deliveries + redelivered),
    };
  } finally {
    await tap.close();
    await client.close();
  }
}

/** The orders are placed while the faults strike; what must hold at every moment is asked every few seconds. */
async function underFaults(scene: Scene, workload: Workload, random: () => number, options: ChaosOptions) {
  const { world } = scene;
  const storm = startStorm(scene, random, {
    ...{ everySeconds: options.everySeconds, limit: options.faults, only: options.only },
    progress: () => workload.placed() / workload.orders,
  });
  const redelivered = countRedeliveries(world);
  const guard = guardInvariants(world, workload);
  const progress = startChaosProgress({
    ...{ seed: options.seed, orders: workload.orders, faults: options.faults, placed: () => workload.placed(), log: storm.log },
    standing: () => standing(world.database, workload.customers),
    stream: process.stderr,
  });
  try {
    await workload.run();
  } finally {
    // However it ends: a fault that goes on would bring back a broker that was just taken down.
    await storm.heal();
    await progress.stop();
  }
  return { struck: storm.log, violations: await guard.stop(), redelivered: await redelivered.stop() };
}

const GUARD_EVERY_MS = 5_000;

function guardInvariants(world: World, { customers, productIds }: Workload) {
  const violations: Verdict['outcomes'] = [];
  const repeating = every(GUARD_EVERY_MS, async () => {
    violations.push(...(await auditUnderway(world, customers, productIds)));
  });
  return { stop: async () => (await repeating.stop(), violations) };
}

/** What processes that were killed had counted since the last look is not in it. */
function countRedeliveries(world: World) {
  const seen = new Map<string, number>();
  const look = async () => {
    for (const member of world.fleet.members) {
      const text = await member.metrics();
      const counts = [...text.matchAll(/^holdfast_messages_redelivered_total\{[^}]*\} (\d+)/gm)].map(([, count]) =>
        Number(count),
      );
      if (text !== '')
        seen.set(
          `${member.name} ${member.starts}`,
          counts.reduce((a, b) => a + b, 0),
        );
    }
  };
  const repeating = every(2_000, look);
  return { stop: async () => (await repeating.stop(), await look(), [...seen.values()].reduce((a, b) => a + b, 0)) };
}

/** Runs the work again and again with a pause in between; a round that fails (the database is away) is left out. */
function every(pauseMs: number, work: () => Promise<void>) {
  let isOver = false;
  let wake = () => {};
  const running = (async () => {
    while (!isOver) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        wake = () => (clearTimeout(timer), resolve());
      });
      if (!isOver) await work().catch(() => undefined);
    }
  })();
  return { stop: () => ((isOver = true), wake(), running) };
}

async function measure(world: World, tap: Tap, customers: string[]) {
  const { confirmed, cancelled } = await standing(world.database, customers);
  const [row] = await world.database.$queryRaw<{ expired: number }[]>`
    SELECT count(*)::int AS expired FROM orders.orders WHERE reason_code = 'EXPIRED'`;
  const { published, repeated } = tap.counts();
  return {
    ...{ confirmed, cancelled, expired: row!.expired, deliveries: published },
    repeatedShare: share(repeated, published),
    peakMiB: Object.fromEntries(world.fleet.members.map(({ name, peakMiB }) => [name, peakMiB])),
  };
}

/** What was broken under way counts, even if all is well at the end. */
function withViolations(verdict: Verdict, violations: Verdict['outcomes']): Verdict {
  const broken = { ...verdict, outcomes: [...verdict.outcomes, ...violations] };
  for (const { group, broken: count } of violations) broken[group] += count;
  return violations.length > 0 ? { ...broken, verdict: 'FAIL' } : broken;
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 10_000) / 10_000;
}

function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 100) / 10;
}
