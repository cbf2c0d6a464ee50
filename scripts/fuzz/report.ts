import { type AuditOutcome } from '../audit';
import { grouped } from '../simulate/progress';
import { type DoorsOutcome } from './attackDoors';
import { type GraphqlOutcome } from './attackGraphql';
import { type QuestionOutcome } from './attackQuestions';
import { type QueueOutcome } from './attackQueues';
import { type Beside } from './besideNeighbour';
import { type OrderAnswers } from './neighbour';
import { type FuzzOptions } from './options';
import { type Timed } from './slowest';
import { type Violation } from './violation';

/** All that a run found. */
export interface FuzzResult {
  verdict: 'PASS' | 'FAIL';
  seed: number;
  graphql?: GraphqlBeside;
  hostile?: GraphqlBeside;
  doors?: DoorsOutcome;
  amqp?: QueueOutcome;
  questions?: QuestionOutcome;
  poison?: QueueOutcome;
  /** How long an ordinary order took to be confirmed afterwards. */
  markerMs: number;
  /** Memory of each process in MiB, before the first attack and at its peak. */
  memory: Record<string, { start: number; peak: number }>;
  /** What is left in the database, every check with how many rows broke it. */
  audit: Record<string, number>;
  violations: Violation[];
}

/** Requests, and what they were to others. */
export type GraphqlBeside = GraphqlOutcome & { beside: Beside };

/** The result for people: a table of what was sent, then each promise that broke, with what broke it. */
export function report(
  { graphql, hostile, doors, amqp, questions, poison, ...result }: FuzzResult,
  outcomes: AuditOutcome[],
): string {
  const broken = outcomes.filter((outcome) => outcome.broken > 0);
  return [
    '',
    `█ VERDICT${result.verdict.padStart(WIDTH - 9)}`,
    ...(graphql ? graphqlRows('GRAPHQL', graphql) : []),
    ...(hostile ? graphqlRows('HOSTILE', hostile) : []),
    ...(doors ? doorRows(doors) : []),
    ...(amqp ? queueRows('AMQP', amqp) : []),
    ...(questions ? questionRows(questions) : []),
    ...(poison ? queueRows('POISON', poison) : []),
    `█ AFTERWARDS   an order was confirmed in ${grouped(result.markerMs)} ms; ${outcomes.length} checks of the database, ${broken.length} broken`,
    ...Object.entries(result.memory).map(
      ([name, { start, peak }]) => `  ${name.padEnd(34)}${`${start} → ${peak} MiB`.padStart(24)}`,
    ),
    ...broken.flatMap(({ promise, examples }) => [`  ✗ ${promise}`, ...examples.map((example) => `      ${example}`)]),
    ...result.violations.slice(0, SHOWN_MAX).flatMap(({ what, where, sample }) => [`  ✗ ${where}: ${what}`, `      ${sample}`]),
    ...(result.violations.length > SHOWN_MAX ? [`  ✗ and ${grouped(result.violations.length - SHOWN_MAX)} more`] : []),
    '',
  ].join('\n');
}

/** What `--json` prints and the verdict stands on. */
export function resultOf(
  { seed }: FuzzOptions,
  found: Omit<FuzzResult, 'verdict' | 'seed' | 'audit'>,
  outcomes: AuditOutcome[],
): FuzzResult {
  const isClean = found.violations.length === 0 && outcomes.every(({ broken }) => broken === 0);
  const audit = Object.fromEntries(outcomes.map(({ name, broken }) => [name, broken]));
  return { verdict: isClean ? 'PASS' : 'FAIL', seed, ...found, audit };
}

const WIDTH = 96;
const SHOWN_MAX = 20;

function graphqlRows(title: string, outcome: GraphqlBeside): string[] {
  const { kinds, rateLimited, slowest, slowestRefusals, silenceMs, seconds, beside } = outcome;
  const total = Object.values(kinds).reduce((sum, { requests }) => sum + requests, 0);
  return [
    `█ ${title.padEnd(8)} ${grouped(total)} requests in ${grouped(seconds)} s, longest silence of the gateway ${grouped(silenceMs)} ms`,
    ...Object.entries(kinds)
      .filter(([, { requests }]) => requests > 0)
      .map(([kind, { requests, accepted, refused }]) => row(kind, { requests, 'answered with data': accepted, refused })),
    ...(rateLimited > 0 ? [`  ${grouped(rateLimited)} of these were refused for asking too often`] : []),
    `  slowest: ${inWords(slowest)}`,
    `  slowest refusals: ${inWords(slowestRefusals)}`,
    ...besideRows(beside),
  ];
}

function inWords(timed: Timed[]): string {
  return timed.map(({ name, ms }) => `${name} ${grouped(ms)} ms`).join(' · ');
}

function besideRows({ alone, ordinary, attacked, p95Ratios, memory }: Beside): string[] {
  const { toAlone, toOrdinary } = p95Ratios;
  return [
    answersRow('a neighbour alone', alone),
    answersRow('beside requests', ordinary),
    answersRow('beside these', attacked),
    `  the neighbour's p95 is ${toAlone} times that alone, ${toOrdinary} times that beside requests that mean no harm`,
    `  the gateway held ${memory.before} MiB before, ${memory.peak} at its peak`,
  ];
}

function answersRow(name: string, { orders, refused, p50, p95, p99, max }: OrderAnswers): string {
  const times = Object.entries({ p50, p95, p99, max }).map(([label, ms]) => `${label} ${ms.toFixed(1).padStart(7)}`);
  return `${row(name, { orders, refused })}   ${times.join('  ')} ms`;
}

function doorRows({ doors, slowest, seconds }: DoorsOutcome): string[] {
  const total = Object.values(doors).reduce((sum, { calls }) => sum + calls, 0);
  return [
    `█ DOORS    ${grouped(total)} calls in ${grouped(seconds)} s`,
    ...Object.entries(doors).map(([door, { calls, accepted, refused }]) => row(door, { calls, answered: accepted, refused })),
    `  slowest: ${inWords(slowest)}`,
  ];
}

function queueRows(title: string, { queues, seconds }: QueueOutcome): string[] {
  const total = Object.values(queues).reduce((sum, { sent }) => sum + sent, 0);
  return [
    `█ ${title.padEnd(8)} ${grouped(total)} messages in ${grouped(seconds)} s`,
    ...Object.entries(queues).map(([queue, counts]) => row(queue, counts)),
  ];
}

function questionRows({ queues, seconds }: QuestionOutcome): string[] {
  const total = Object.values(queues).reduce((sum, { asked }) => sum + asked, 0);
  return [
    `█ RPC      ${grouped(total)} questions in ${grouped(seconds)} s`,
    ...Object.entries(queues).map(([queue, counts]) => row(queue, counts)),
  ];
}

function row(name: string, counts: Record<string, number>): string {
  const cells = Object.entries(counts).map(([label, value]) => `${grouped(value).padStart(8)} ${label}`);
  return `  ${name.padEnd(26)}${cells.join('  ')}`;
}
