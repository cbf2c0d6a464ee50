import { type Histogram } from 'hdr-histogram-js';

import { type AuditGroup, type AuditOutcome } from '../audit';
import { type DecisionTimes } from './decisions';
import { type SimulateOptions } from './options';
import { grouped } from './progress';

/** The result of a run, as `--json` prints it. */
export interface SimulateResult extends Record<AuditGroup, number> {
  verdict: 'PASS' | 'FAIL';
  run: string;
  seed: number;
  /** The fingerprint of the order stream: the same for the same seed and shape. */
  stream: string;
  orders: number;
  concurrency: number;
  hot: boolean;
  /** Different orders that a client was told of. */
  accepted: number;
  /** By the database, as are cancelled and what is broken. */
  confirmed: number;
  cancelled: number;
  /** Only with --hot: units sold, and units there were. */
  sold?: number;
  stock?: number;
  /** Only with --foreign. */
  foreign?: { sent: number; reserved: number; rejected: number };
  refused: number;
  conflicts: number;
  retries: number;
  /** Settled: accepted orders by the seconds from the first order to the last change of any, by the database's clock. */
  orders_per_second: number;
  /** Accepted orders by the seconds from the first to the last placed. */
  accepted_per_second: number;
  /** From the first attempt to the answer, as the client saw it, in milliseconds. */
  answer_ms: Percentiles;
  /** From the order's row to the row of its decision, by the database's clock, in milliseconds. */
  decision_ms: Percentiles;
  /** Every check with how many rows broke it. */
  checks: Record<string, number>;
}

export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** `unit`: how many of the histogram's values make a millisecond. */
export function percentiles(histogram: Histogram, unit: number): Percentiles {
  const at = (percentile: number) =>
    histogram.totalCount === 0 ? 0 : rounded(histogram.getValueAtPercentile(percentile) / unit);
  return { p50: at(50), p95: at(95), p99: at(99) };
}

export function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The first line of a run. */
export function headline(run: string, stream: string, options: SimulateOptions): string {
  const parts = [
    `run ${run}`,
    `seed ${options.seed}`,
    `stream ${stream}`,
    `${grouped(options.orders)} orders`,
    `${options.concurrency} at a time`,
  ];
  parts.push(options.hot ? 'one hot product' : `duplicates ${options.duplicates * 100} %`);
  if (options.cancels > 0) parts.push(`cancels ${options.cancels * 100} %`);
  if (options.paid) parts.push(`paid ${options.paid * 100} %`);
  if (options.foreign > 0) parts.push(`foreign ${options.foreign * 100} %`);
  return parts.join('  ');
}

/** The result for people: the verdict, what broke it, how fast it went. */
export function report(result: SimulateResult, outcomes: AuditOutcome[], decisions: DecisionTimes['byMs']): string {
  const { accepted, confirmed, cancelled, foreign, refused, conflicts, retries } = result;
  const counts = [`accepted ${grouped(accepted)}`, `confirmed ${grouped(confirmed)}`, `cancelled ${grouped(cancelled)}`];
  if (result.hot) counts.push(`sold ${grouped(result.sold!)} of ${grouped(result.stock!)} units`);
  if (foreign)
    counts.push(
      `foreign ${grouped(foreign.sent)} (reserved ${grouped(foreign.reserved)}, rejected ${grouped(foreign.rejected)})`,
    );
  counts.push(`key conflicts refused ${grouped(conflicts)}`, `retries ${grouped(retries)}`);
  if (refused > 0) counts.push(`refused ${grouped(refused)}`);
  return [
    '',
    `█ VERDICT${result.verdict.padStart(WIDTH - 9)}`,
    '  How many rows break each promise, counted by SQL on the database:',
    ...inTwoColumns(outcomes.map(verdictCell)),
    ...(accepted + (foreign?.sent ?? 0) === 0 ? ['  ✗ no order was accepted, so nothing was shown'] : []),
    ...outcomes.filter(({ broken }) => broken > 0).flatMap(explained),
    `█ ORDERS   ${counts.join('  ')}`,
    `█ SPEED    settled ${grouped(result.orders_per_second)}/s  accepted ${grouped(result.accepted_per_second)}/s`,
    `█ LATENCY  answer    ${inWords(result.answer_ms)} ms   as the client saw it`,
    `           decision  ${inWords(result.decision_ms)} ms   by the database's clock`,
    ...histogramRows(decisions),
    '',
  ].join('\n');
}

const WIDTH = 96;

function verdictCell({ name, broken }: AuditOutcome): string {
  return `${broken === 0 ? '✓' : '✗'} ${name.padEnd(38)}${grouped(broken).padStart(5)}`;
}

function inTwoColumns(cells: string[]): string[] {
  const rows = Math.ceil(cells.length / 2);
  return Array.from({ length: rows }, (_, row) => `  ${cells[row]}    ${cells[row + rows] ?? ''}`.trimEnd());
}

function explained({ promise, broken, examples }: AuditOutcome): string[] {
  const more = broken > examples.length ? [`      and ${grouped(broken - examples.length)} more`] : [];
  return [`  ✗ ${promise}`, ...examples.map((example) => `      ${example}`), ...more];
}

function inWords({ p50, p95, p99 }: Percentiles): string {
  return `p50 ${p50} · p95 ${p95} · p99 ${p99}`;
}

const bounds = [10, 25, 50, 100, 250, 1_000, 5_000];

/** How the decision times are spread; the ranges that nothing fell into at either end are left out. */
function histogramRows(decisions: DecisionTimes['byMs']): string[] {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  for (const { ms, orders } of decisions) {
    const range = bounds.findIndex((bound) => ms < bound);
    counts[range === -1 ? bounds.length : range]! += orders;
  }
  const total = counts.reduce((a, b) => a + b, 0);
  const rows = counts.map((count, index) => ({ label: rangeLabel(index), share: total === 0 ? 0 : count / total }));
  const first = rows.findIndex(({ share }) => share > 0);
  const last = rows.findLastIndex(({ share }) => share > 0);
  return rows.slice(first, last + 1).map(({ label, share }) => {
    const bar = share > 0 ? '▇'.repeat(Math.max(1, Math.round(share * 40))) : '';
    return `  ${label.padStart(14)} ms  ${bar} ${(share * 100).toFixed(share < 0.01 ? 2 : 0)} %`;
  });
}

function rangeLabel(index: number): string {
  if (index === bounds.length) return `≥ ${grouped(bounds.at(-1)!)}`;
  return `${grouped(bounds[index - 1] ?? 0)}–${grouped(bounds[index]!)}`;
}
