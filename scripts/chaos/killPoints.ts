import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { queues } from '../../src/contracts';
import { openDatabase, readRuntime, type Database } from '../../src/database';
import { failpoints, type FailpointName } from '../../src/faults';
import { audit, auditGroups, brokenByGroup, everything, type AuditGroup, type AuditScope } from '../audit';
import { below, pick, seededRandom, type Random } from '../random';
import { ownLogin } from '../login';
import { createClient, type Client } from '../simulate/client';
import { untilAtRest } from '../simulate/decisions';
import { type FleetRole } from './fleet';
import { openJournal, readJournal, type Journal } from './journal';
import { leaveBehind, type LeftBehind } from './leftBehind';
import { createEmbeddedHoldfast, victimOf, type EmbeddedHoldfast, type Victim } from './victims';
import { prepareWorkload } from './workload';
import { openWorld } from './world';

export interface KillPointOptions {
  /** How often each point is struck. */
  kills: number;
  seed: number;
  /** One process with everything inside, instead of roles apart on RabbitMQ. */
  embedded: boolean;
  /** These only; all of them unless given. */
  points?: readonly FailpointName[];
  /** `stop` freezes the process for 5 to 16 s: longer than leases and idle transactions last, so that others take over meanwhile. */
  action: 'kill9' | 'stop';
  /** How many clients order at a time. */
  clients?: number;
  ordersPerSecond?: number;
  signal: AbortSignal;
  /** Told a line now and then. */
  say: (line: string) => void;
  program?: string[];
}

export interface KillPointReport {
  verdict: 'PASS' | 'FAIL';
  rows: KillPointRow[];
  kills: number;
  orders: number;
  seconds: number;
  /** Where logs and journals are, when they are worth a look. */
  folder?: string;
}

/** What became of one point. Two that were worked side by side share what was found. */
export interface KillPointRow extends Record<AuditGroup, number> {
  point: FailpointName;
  /** How often the process died, or stopped, there and by its own hand. */
  kills: number;
  seconds: number;
  /** In words, what was not as it must be; a point that was not reached for one. */
  trouble: string[];
}

/**
 * Strikes at every failpoint, again and again, under the load of clients who order, cancel and fulfil; after each point waits for
 * rest and holds the database against the clients' journal. Servers and all other processes live on, so that a kill costs no more
 * than the start of one process.
 */
export async function runKillPoints(options: KillPointOptions): Promise<KillPointReport> {
  const startedAt = performance.now();
  const site = await (options.embedded ? openEmbeddedSite(options) : openDistributedSite(options));
  const rows: KillPointRow[] = [];
  let orders = 0;
  try {
    const points = options.points ?? failpoints.map((point) => point.name);
    for (let first = 0; first < points.length && !options.signal.aborted; first += site.lanes) {
      const round = await workRound(site, points.slice(first, first + site.lanes), first, options);
      rows.push(...round.rows);
      orders += round.orders;
    }
  } finally {
    await site.close(rows.every(isPassed));
  }
  const verdict = rows.length > 0 && rows.every((row) => isPassed(row) && row.kills === options.kills) ? 'PASS' : 'FAIL';
  const folder = verdict === 'PASS' ? undefined : site.folder;
  return { verdict, rows, orders, folder, kills: sum(rows.map((row) => row.kills)), seconds: secondsSince(startedAt) };
}

/** For people. */
export function killPointTable({ rows }: KillPointReport): string {
  const columns = ['kills', ...auditGroups, 'seconds'] as const;
  const width = Math.max(...rows.map((row) => row.point.length), 5);
  const line = (name: string, cells: (string | number)[]) =>
    [name.padEnd(width), ...cells.map((cell, index) => String(cell).padStart(columns[index]!.length))].join('  ');
  const body = rows.flatMap((row) => [
    line(
      row.point,
      columns.map((column) => row[column]),
    ),
    ...row.trouble.map((why) => `  ! ${why}`),
  ]);
  return [line('point', [...columns]), ...body].join('\n');
}

/** Where the striking happens. */
interface Site {
  folder: string;
  database: Database;
  client: Client;
  /** How many points can be worked side by side. */
  lanes: number;
  victimFor(point: FailpointName, lane: number): Victim;
  /** Resolves when every process answers; then says what is not as it must be. */
  troubles: () => Promise<string[]>;
  restLimitMs: number;
  close(isPassed: boolean): Promise<void>;
}

/** Two of every role, and a point may be worked on each: while one is down the other bears the load. */
async function openDistributedSite({ program, clients = CLIENTS }: KillPointOptions): Promise<Site> {
  const world = await openWorld({ roles: { gateway: 2, orders: 2, inventory: 2, accounts: 2, notifications: 2 }, program });
  const victims = new Map(world.fleet.members.map((member) => [member.name, victimOf(member, world.folder)]));
  const client = createClient({ login: ownLogin.token, urls: world.fleet.gatewayUrls, connections: clients, retryMs: RETRY_MS });
  return {
    ...{ folder: world.folder, database: world.database, client, lanes: 2, restLimitMs: 120_000 },
    victimFor: (point, lane) => victims.get(`${roleOf(point)}-${lane + 1}`)!,
    async troubles() {
      await world.fleet.untilReady(60_000);
      const deadline = performance.now() + 30_000;
      for (;;) {
        const left = await leftInQueues((...words) => world.broker.control(...words));
        if (left.length === 0 || performance.now() > deadline) return [...world.fleet.crashes(), ...left];
        await pause(500);
      }
    },
    async close(isPassed) {
      await client.close();
      await world.close({ keep: !isPassed });
    },
  };
}

async function openEmbeddedSite({ program, clients = CLIENTS }: KillPointOptions): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-kill-points-'));
  const settings = {
    ...ownLogin.settings,
    NODE_ENV: 'test',
    LOG_LEVEL: 'warn',
    ORDER_REPUBLISH_SECONDS: '5',
    ORDER_DEADLINE_SECONDS: '75',
    DRAIN_SECONDS: '5',
  };
  const holdfast = await createEmbeddedHoldfast({ folder, name: 'embedded', settings, program });
  await holdfast.live();
  await holdfast.ready();
  const database = await openDatabaseOf(holdfast);
  const client = createClient({ login: ownLogin.token, urls: [holdfast.url], connections: clients, retryMs: RETRY_MS });
  return {
    ...{ folder, database, client, lanes: 1, restLimitMs: 60_000 },
    victimFor: () => holdfast,
    troubles: () => holdfast.ready().then(() => []),
    async close(isPassed) {
      await client.close();
      await database.close();
      await holdfast.close();
      if (isPassed) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Its password, port and data outlive every kill, so one pool serves for the whole run. */
async function openDatabaseOf({ dataDir }: EmbeddedHoldfast): Promise<Database> {
  const { databaseUrl } = (await readRuntime(dataDir))!;
  return openDatabase({ url: databaseUrl, poolSize: 4, applicationName: 'holdfast chaos', statementTimeoutMs: 120_000 });
}

const CLIENTS = 30;
/** Far longer than both gateways can be down at once, also on a busy machine: a client's patience is not what is tried here. */
const RETRY_MS = 600_000;

/** Which role passes a point. Every role has a relay: they take turns. */
function roleOf(point: FailpointName): FleetRole {
  if (point === 'relay.claimed' || point === 'relay.removed') return 'orders';
  if (point === 'relay.confirmed') return 'inventory';
  if (/accounts|^capturePayments|^closePayments|^payment\.process/.test(point)) return 'accounts';
  if (point.includes('notifications')) return 'notifications';
  if (/^(stock\.replies|payment\.replies|watchdog|new_orders_queue|order\.update\.)/.test(point)) return 'orders';
  if (point.includes('inventory') || /^(reserveStock|closeReservation|amendReservation)/.test(point)) return 'inventory';
  return 'gateway';
}

/** Works some points side by side, each on a victim of its own; then rest and audit. */
async function workRound(site: Site, points: readonly FailpointName[], number: number, options: KillPointOptions) {
  const startedAt = performance.now();
  const random = seededRandom(options.seed * 1_000 + number);
  const journalPath = join(site.folder, `journal-${number}.jsonl`);
  const journal = await openJournal(journalPath);
  const load = startLoad(site, journal, options.seed * 1_000 + number, options);
  const strikes = await Promise.all(
    points.map((point, lane) =>
      strike(site, { point, victim: site.victimFor(point, lane), random, productIds: load.productIds }, options),
    ),
  );
  const orders = await load.stop();
  await journal.close();
  const { outcomes, troubles } = await settle(site, journalPath, options.signal);
  const found = [...troubles, ...outcomes.flatMap(({ name, examples }) => examples.map((example) => `${name}: ${example}`))];
  const rows = strikes.map(
    ({ kills, trouble }, lane): KillPointRow => ({
      ...{ point: points[lane]!, kills, seconds: secondsSince(startedAt) },
      ...brokenByGroup(outcomes),
      trouble: [...trouble, ...found],
    }),
  );
  for (const row of rows)
    options.say(`${row.point}: ${row.kills} of ${options.kills}, ${isPassed(row) ? 'all zeros' : row.trouble[0]}`);
  return { rows, orders };
}

/** Clients who go on ordering until they are stopped: one workload after the other, each on products of its own. */
function startLoad(site: Site, journal: Journal, seed: number, { clients = CLIENTS, ordersPerSecond = 40 }: KillPointOptions) {
  const ending = new AbortController();
  const { signal } = ending;
  const productIds: number[] = [];
  let orders = 0;
  const run = async () => {
    for (let part = 0; !signal.aborted; part++) {
      const count = ordersPerSecond * PART_SECONDS;
      const workload = await prepareWorkload({
        ...{ seed: seed * 100 + part, orders: count, clients, secondsMin: PART_SECONDS },
        ...{ client: site.client, journal, signal },
      });
      productIds.push(...workload.productIds);
      await workload.run();
      orders += workload.placed();
    }
  };
  const running = run();
  // Reported where it is awaited: at the stop.
  running.catch(() => undefined);
  return {
    productIds,
    async stop() {
      ending.abort();
      await running;
      return orders;
    },
  };
}

const PART_SECONDS = 20;

interface Struck {
  point: FailpointName;
  victim: Victim;
  random: Random;
  productIds: number[];
}

/** Life after life of one process ends at the point; the last is one in peace. */
async function strike(site: Site, struck: Struck, options: KillPointOptions): Promise<{ kills: number; trouble: string[] }> {
  while (struck.productIds.length === 0) await pause(50);
  const ending = new AbortController();
  const leaving = leaveBehindAgainAndAgain(site, struck, ending.signal);
  try {
    return await (options.action === 'kill9' ? killAgainAndAgain(struck, options) : stopAgainAndAgain(struck, options));
  } finally {
    await struck.victim.live();
    await struck.victim.ready();
    ending.abort();
    await leaving;
  }
}

async function killAgainAndAgain({ point, victim, random }: Struck, { kills, signal }: KillPointOptions) {
  const trouble: string[] = [];
  let count = 0;
  for (let kill = 0; kill < kills && !signal.aborted; kill++) {
    const fired = victim.fired();
    await victim.live(`${point}:${nthOf(point, random)}:kill9`);
    const how = await victim.death(REACH_LIMIT_MS);
    if (how === 'SIGKILL' && victim.fired() === fired + 1) count++;
    else
      trouble.push(
        `${victim.name} ${how === undefined ? `did not reach it within ${REACH_LIMIT_MS / 1000} s` : `ended: ${how}`}`,
      );
  }
  return { kills: count, trouble };
}

/** One life with all the stops in it: a frozen process wakes up and goes on, with whatever it thought was true. */
async function stopAgainAndAgain({ point, victim, random }: Struck, { kills, signal }: KillPointOptions) {
  const before = victim.fired();
  let nth = 0;
  const faults = Array.from(
    { length: kills },
    () => `${point}:${(nth += nthOf(point, random))}:stop:${pick(STOP_SECONDS, random)}`,
  );
  await victim.live(faults.join(','));
  const deadline = performance.now() + kills * (REACH_LIMIT_MS / 2);
  while (victim.fired() < before + kills && performance.now() < deadline && !signal.aborted) await pause(250);
  await pause(STOP_SECONDS.at(-1)! * 1_000);
  const count = victim.fired() - before;
  return { kills: count, trouble: count === kills ? [] : [`${victim.name} reached it ${count} times of ${kills}`] };
}

/** Shorter and longer than the lease of an event (10 s) and than a session may sit in an open transaction (15 s). */
const STOP_SECONDS = [5, 11, 16];

/** How long a process may take to start and to reach its point. */
const REACH_LIMIT_MS = 60_000;

/** At which passing: anywhere in the first dozen, sooner where passings are rare. */
function nthOf(point: FailpointName, random: Random): number {
  return 1 + below(isRare(point) ? 2 : 12, random);
}

function isRare(point: FailpointName): boolean {
  return leftFor(point).length > 0 || rarePoints.some((start) => point.startsWith(start));
}

const rarePoints = [
  ...['closeOrder', 'closeReservation', queues.orderCancelled, queues.orderFulfilled],
  ...['closePayments', queues.paymentClosings],
  ...['updateOrder', 'amendReservation', queues.amendReservation],
];

/** What a point needs to be reached. */
function leftFor(point: FailpointName): readonly LeftBehind[] {
  if (point === 'relay.claimed') return ['unpublished'];
  // What was answered before is the business of the transaction alone.
  if (point.startsWith('reserveStock')) return ['repeated'];
  if (point.startsWith(queues.newOrders)) return ['requested'];
  if (point.startsWith(queues.paymentCommands) || point.startsWith(`${queues.orderUpdateCommands}.`)) return ['commanded'];
  return point.startsWith('watchdog') ? ['late', 'overdue'] : [];
}

async function leaveBehindAgainAndAgain(
  { database }: Site,
  { point, random, productIds }: Struck,
  signal: AbortSignal,
): Promise<void> {
  const choices = leftFor(point);
  while (choices.length > 0 && !signal.aborted) {
    // In the embedded shape the database dies with the process: what cannot be written now is written the next time.
    await leaveBehind(database, pick(choices, random), 'left-behind', pick(productIds, random)).catch(() => undefined);
    await pause(200);
  }
}

/** Waits for rest, as long as that may take, and then asks everything once. */
async function settle({ database, troubles, restLimitMs }: Site, journalPath: string, signal: AbortSignal) {
  const deadline = performance.now() + restLimitMs;
  const unrest = await troubles();
  const { acknowledged, closed } = await readJournal(journalPath);
  const scope: AuditScope = { ...everything, acknowledged, closed };
  await untilAtRest(database, scope, deadline, signal);
  return { outcomes: await audit(database, scope), troubles: unrest };
}

/** Queues where something waits though everybody has had time: dead letters above all. */
async function leftInQueues(control: (...words: string[]) => Promise<string>): Promise<string[]> {
  const listing = await control('list_queues', 'name', 'messages');
  return listing
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([name, messages]) => name !== undefined && name !== queues.unrouted && Number(messages) > 0)
    .map(([name, messages]) => `${messages} messages wait in ${name}`);
}

function isPassed(row: KillPointRow): boolean {
  return row.trouble.length === 0;
}

function secondsSince(startedAt: number): number {
  return Math.round((performance.now() - startedAt) / 100) / 10;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
