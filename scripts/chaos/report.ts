import { auditGroups, type AuditGroup, type AuditOutcome } from '../audit';
import { grouped } from '../simulate/progress';
import { type ChaosResult } from './run';

/** All seeds together, as `--json` prints it. */
export interface ChaosSummary extends Record<AuditGroup, number> {
  verdict: 'PASS' | 'FAIL';
  seeds: number;
  orders: number;
  faults: number;
  /** Faults by name. */
  struck: Record<string, number>;
  results: (Omit<ChaosResult, 'outcomes'> & { broken: AuditOutcome[] })[];
}

export function summaryOf(results: ChaosResult[]): ChaosSummary {
  const sum = (figure: (result: ChaosResult) => number) => results.reduce((total, result) => total + figure(result), 0);
  const struck: Record<string, number> = {};
  for (const { name } of results.flatMap((result) => result.struck)) struck[name] = (struck[name] ?? 0) + 1;
  const broken = Object.fromEntries(auditGroups.map((group) => [group, sum((result) => result[group])])) as Record<
    AuditGroup,
    number
  >;
  return {
    verdict: results.every(({ verdict }) => verdict === 'PASS') ? 'PASS' : 'FAIL',
    ...{ seeds: results.length, orders: sum(({ orders }) => orders), faults: sum((result) => result.struck.length) },
    ...broken,
    struck,
    results: results.map(({ outcomes, ...result }) => ({ ...result, broken: outcomes.filter(({ broken }) => broken > 0) })),
  };
}

const columns: [head: string, width: number, cell: (result: ChaosResult) => string | number][] = [
  ['seed', 6, ({ seed }) => seed],
  ['orders', 9, ({ orders }) => grouped(orders)],
  ['faults', 8, ({ struck }) => struck.length],
  ...auditGroups.map((group): [string, number, (result: ChaosResult) => number] => [group, 12, (result) => result[group]]),
  ['confirmed', 11, ({ confirmed }) => grouped(confirmed)],
  ['expired', 9, ({ expired }) => grouped(expired)],
  ['repeated', 10, ({ repeatedShare }) => percent(repeatedShare)],
  ['redelivered', 13, ({ redeliveredShare }) => percent(redeliveredShare)],
  ['rest', 8, ({ restSeconds }) => `${restSeconds} s`],
  ['', 8, ({ verdict }) => verdict],
];

export function head(): string {
  return columns.map(([name, width]) => name.padStart(width)).join('');
}

/** One line for a seed; below it, what was broken and where its logs are. */
export function row(result: ChaosResult): string {
  const cells = columns.map(([, width, cell]) => String(cell(result)).padStart(width)).join('');
  const broken = result.outcomes.filter((outcome) => outcome.broken > 0).flatMap(explained);
  const folder = result.folder === undefined ? [] : [`  logs and journal: ${result.folder}`];
  return [cells, ...broken, ...folder].join('\n');
}

export function closing({ verdict, seeds, orders, faults, struck }: ChaosSummary): string {
  const kinds = Object.entries(struck)
    .sort(([, a], [, b]) => b - a)
    .map(([name, times]) => `  ${name.padEnd(34)}${String(times).padStart(5)}`);
  return [
    '',
    ...kinds,
    `  ${'faults in all'.padEnd(34)}${String(faults).padStart(5)}`,
    '',
    `${verdict}: ${seeds} seeds, ${grouped(orders)} orders`,
    '',
  ].join('\n');
}

function explained({ promise, broken, examples }: AuditOutcome): string[] {
  const more = broken > examples.length ? [`      and ${grouped(broken - examples.length)} more`] : [];
  return [`  ✗ ${promise}`, ...examples.map((example) => `      ${example}`), ...more];
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
