import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { queues } from '../../src/contracts';
import { audit, auditChecks, brokenByGroup, type AuditGroup, type AuditOutcome, type AuditScope } from '../audit';
import { untilAtRest } from '../simulate/decisions';
import { readJournal } from './journal';
import { type Tap } from './tap';
import { type World } from './world';

/** How long the world may take to come to rest after the last fault has healed. */
export const REST_LIMIT_MS = 120_000;

export interface Verdict extends Record<AuditGroup, number> {
  verdict: 'PASS' | 'FAIL';
  /** Seconds from the healing until all was at rest. */
  restSeconds: number;
  outcomes: AuditOutcome[];
}

/** What is judged: a world at peace again, and what its clients and its subscriber know. */
export interface Judged {
  world: World;
  tap: Tap;
  journalPath: string;
  customers: string[];
  productIds: number[];
  poison: string[];
  signal: AbortSignal;
}

/** Waits for rest, then holds the database against the clients' journal and the subscriber's record. */
export async function judge(judged: Judged): Promise<Verdict> {
  const { world, tap, signal } = judged;
  const healedAt = performance.now();
  const deadline = healedAt + REST_LIMIT_MS;
  const unready = await world.fleet.untilReady(REST_LIMIT_MS).then(
    () => [],
    (error: Error) => [error.message],
  );
  const scope = await scopeOf(judged);
  // What a subscriber hears comes last, and is asked for last.
  await untilAtRest(world.database, { ...scope, heard: undefined, poison: undefined }, deadline, signal);
  await untilQuiet(judged, deadline);
  const restSeconds = Math.round((performance.now() - healedAt) / 100) / 10;
  const outcomes = [
    ...(await audit(world.database, { ...scope, heard: tap.heard() })),
    outcome('queues are empty', 'stuck', 'At rest nothing waits in a queue (I15).', await leftInQueues(tap)),
    outcome('processes live on', 'stuck', 'No process ends by itself, and each is ready again after the faults.', [
      ...world.fleet.crashes(),
      ...unready,
    ]),
    outcome(
      'the broker never refuses us',
      'mismatched',
      'No channel is closed for what we did on it.',
      await protocolFaults(world),
    ),
    outcome('no deadlocks', 'mismatched', 'Everyone locks in one order: nobody ever waits in a circle.', await deadlocks(world)),
  ];
  return { ...verdictOf(outcomes), restSeconds, outcomes };
}

export function verdictOf(outcomes: AuditOutcome[]): Record<AuditGroup, number> & { verdict: 'PASS' | 'FAIL' } {
  const verdict = outcomes.every(({ broken }) => broken === 0) ? 'PASS' : 'FAIL';
  return { verdict, ...brokenByGroup(outcomes) };
}

/** What must hold at every moment, faults or not: asked while they strike. */
export async function auditUnderway(world: World, customers: string[], productIds: number[]): Promise<AuditOutcome[]> {
  const scope: AuditScope = { customers, productIds, acknowledged: [], foreign: [], soldOutProductIds: [] };
  const always = auditChecks.filter((check) => !check.atRest);
  return (await audit(world.database, scope, always)).filter(({ broken }) => broken > 0);
}

async function scopeOf({ journalPath, customers, productIds, poison }: Judged): Promise<AuditScope> {
  const { acknowledged, closed } = await readJournal(journalPath);
  return { customers, productIds, acknowledged, closed, poison, foreign: [], soldOutProductIds: [] };
}

const workQueues = [
  ...[queues.orderCreated, queues.orderCancelled, queues.orderFulfilled, queues.amendReservation, queues.stockReplies],
  ...[queues.orderReserved, queues.paymentClosings, queues.paymentReplies],
];
/** Beside each work queue, those where its messages wait for another try, or to be kept as dead letters. */
const allQueues = workQueues.flatMap((queue) => [
  queue,
  `${queue}.dead`,
  ...[1, 2, 3, 4].map((tier) => `${queue}.retry.${tier}`),
]);

async function untilQuiet({ world, tap, poison }: Judged, deadline: number): Promise<void> {
  while (performance.now() < deadline) {
    const [row] = await world.database.$queryRaw<{ dead: number }[]>`
      SELECT count(*)::int AS dead FROM operations.dead_letters`.catch(() => [{ dead: -1 }]);
    const isQuiet = (await tap.waiting(allQueues).catch(() => 1)) === 0 && row!.dead >= poison.length;
    if (isQuiet) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function leftInQueues(tap: Tap): Promise<string[]> {
  const left = await tap.waiting(allQueues).catch((error: Error) => error.message);
  if (left === 0) return [];
  return [typeof left === 'string' ? `the queues could not be asked: ${left}` : `${left} messages wait`];
}

async function deadlocks({ database }: World): Promise<string[]> {
  const [row] = await database.$queryRaw<{ deadlocks: number }[]>`
    SELECT deadlocks::int AS deadlocks FROM pg_stat_database WHERE datname = current_database()`;
  return row!.deadlocks === 0 ? [] : [`Postgres broke ${row!.deadlocks} circles`];
}

/** RabbitMQ's own log knows; an ack on the wrong channel is such a fault. */
async function protocolFaults({ folder }: World): Promise<string[]> {
  const log = await readFile(join(folder, 'rabbitmq', 'log', 'rabbit.log'), 'utf8').catch(() => '');
  return log.split('\n').filter((line) => /unknown delivery tag|UNEXPECTED_FRAME|COMMAND_INVALID|FRAME_ERROR/.test(line));
}

function outcome(name: string, group: AuditGroup, promise: string, examples: string[]): AuditOutcome {
  return { name, group, promise, broken: examples.length, examples: examples.slice(0, 5) };
}
