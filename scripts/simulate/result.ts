import { build, type Histogram } from 'hdr-histogram-js';

import { type Database } from '../../src/database';
import { brokenByGroup, soldUnits, type AuditOutcome, type AuditScope } from '../audit';
import { decisionTimes, standing, type DecisionTimes } from './decisions';
import { type SimulateOptions } from './options';
import { type Journal } from './placeOrders';
import { percentiles, rounded, type SimulateResult } from './report';

/** What a finished run left behind. */
export interface FinishedRun {
  run: string;
  fingerprint: string;
  options: SimulateOptions;
  journal: Journal;
  scope: AuditScope;
  outcomes: AuditOutcome[];
  /** From the first order until all was at rest, by our clock: what speed goes by when no order is in the database. */
  seconds: number;
  stock: number[];
  retries: number;
}

/** Puts the figures of a run together. A run in which nothing was accepted has shown nothing, and does not pass. */
export async function measure(
  database: Database,
  finished: FinishedRun,
): Promise<{ result: SimulateResult; decisions: DecisionTimes['byMs'] }> {
  const { run, fingerprint, options, journal, scope, outcomes, seconds, stock, retries } = finished;
  const { confirmed, cancelled } = await standing(database, scope.customers);
  const times = await decisionTimes(database, scope.customers);
  const accepted = new Set(journal.acknowledged.map((order) => order.orderId)).size;
  const hasPassed = outcomes.every(({ broken }) => broken === 0) && accepted + journal.foreign.length > 0;
  const result: SimulateResult = {
    verdict: hasPassed ? 'PASS' : 'FAIL',
    ...{
      run,
      seed: options.seed,
      stream: fingerprint,
      orders: options.orders,
      concurrency: options.concurrency,
      hot: options.hot,
    },
    ...{ accepted, confirmed, cancelled, ...brokenByGroup(outcomes) },
    ...(options.hot ? { sold: await soldUnits(database, scope.productIds), stock: stock[0]! } : {}),
    ...(options.foreign > 0 ? { foreign: foreignCounts(journal) } : {}),
    ...{ refused: journal.refused.length, conflicts: journal.conflicts, retries },
    orders_per_second: rate(accepted, times.settledInSeconds) || rate(journal.foreign.length, seconds),
    accepted_per_second: rate(accepted, times.placedInSeconds) || rate(journal.foreign.length, seconds),
    answer_ms: percentiles(journal.answerTimes, 1_000),
    decision_ms: percentiles(histogramOf(times.byMs), 1),
    checks: Object.fromEntries(outcomes.map(({ name, broken }) => [name, broken])),
  };
  return { result, decisions: times.byMs };
}

function rate(orders: number, seconds: number): number {
  return seconds > 0 ? rounded(orders / seconds) : 0;
}

function foreignCounts({ foreign }: Journal) {
  const told = (event: string) => foreign.filter(({ answers }) => answers.includes(event)).length;
  return { sent: foreign.length, reserved: told('StockReserved'), rejected: told('StockRejected') };
}

function histogramOf(byMs: DecisionTimes['byMs']): Histogram {
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 86_400_000, numberOfSignificantValueDigits: 3 });
  for (const { ms, orders } of byMs) histogram.recordValueWithCount(Math.max(0, ms), orders);
  return histogram;
}
