import { type AuditOutcome } from '../audit';
import { rounded, type Percentiles } from '../simulate/report';
import { flawsOf } from './flaws';
import { referenceClients, type BenchCommand } from './options';
import { overloadFaults, type OverloadResult } from './overload';
import { isMet, ratiosOf, type Ratio } from './ratios';
import { median, pointsLike, type Family, type Measured, type Round, type Setting } from './round';
import { type BenchRun } from './run';
import { type SoakResult } from './soak';

/** The result of a bench, as `--json` prints it. */
export interface BenchResult {
  /** Of the promises and of the measuring, not of the speed. */
  verdict: 'PASS' | 'FAIL';
  machine: BenchRun['machine'];
  /** How many clients the ratios are of. */
  clients: number;
  points: PointResult[];
  /** Null where one of the two was not measured, or has no such figure, which then is among the failures. */
  ratios: Record<string, number | null | Record<string, number>> & { cpu_ms_per_order: Record<string, number> };
  goals: GoalResult[];
  /** By site and part. */
  peak_rss_mib: Record<string, Record<string, number>>;
  soak?: SoakFigures;
  overload?: OverloadResult;
  broken: (Omit<AuditOutcome, 'group'> & { site: string })[];
  /** What makes the figures worthless, and what is only to be known of them. */
  failures: string[];
  notices: string[];
}

export interface GoalResult {
  name: string;
  value: number | null;
  at_least?: number;
  at_most?: number;
  met: boolean | null;
}

/** Medians over the rounds. */
interface Figures {
  /** Settled or, where nothing settles, answered. */
  orders_per_second: number;
  accepted_per_second: number;
  /** Of all rounds together. */
  refused: number;
  broken: number;
  /** What was said of the first of either. */
  refusal?: string;
  answer_ms?: Percentiles;
  decision_ms?: Percentiles;
  cpu_ms_per_order: Record<string, number>;
}

export interface PointResult extends Figures {
  family: Family;
  setting: Setting;
  /** What `orders_per_second` is the median of. */
  rates: number[];
}

export function resultOf(command: BenchCommand, { machine, measured, inspections, soak, overload }: BenchRun): BenchResult {
  const clients = referenceClients(command);
  const ratios = ratiosOf(measured, clients);
  const points = measured.map(pointResult);
  const reference = pointsLike(points, 'e2e', { product: 'uniform', lines: 1, clients })[0];
  const audited = inspections.flatMap(({ site, broken }) => broken.map((outcome) => ({ site, ...outcome })));
  const faults = overload ? overloadFaults(overload) : [];
  const broken = [
    ...audited,
    ...faults.map((promise) => ({ site: 'distributed', name: 'overload', promise, broken: 1, examples: [] })),
  ];
  const flaws = flawsOf({ measured, soak, inspections, ratios });
  return {
    ...{ verdict: broken.length + flaws.failures.length === 0 ? 'PASS' : 'FAIL', machine, clients, points },
    ratios: {
      ...Object.fromEntries(ratios.map(({ name, value }) => [name, value === null ? null : thousandths(value)])),
      cpu_ms_per_order: reference?.cpu_ms_per_order ?? {},
    },
    goals: ratios.flatMap(goalResult),
    peak_rss_mib: Object.fromEntries(inspections.map(({ site, peakMiB }) => [site, each(peakMiB, Math.round)])),
    soak: soak && soakFigures(soak),
    overload,
    broken,
    ...flaws,
  };
}

/** Trends are of the whole soak; `course` shows each in steps of the same length. */
export interface SoakFigures extends Figures {
  minutes: number;
  /** What was sent, whether or not answers came. */
  sent_per_second: number;
  is_flat: boolean;
  samples: SoakResult['samples'];
  trends: { name: string; median: number; most: number; per_minute: number; is_flat: boolean; course: number[] }[];
}

function soakFigures({ minutes, ordersPerSecond, round, trends, samples }: SoakResult): SoakFigures {
  return {
    ...{ minutes, sent_per_second: ordersPerSecond, is_flat: trends.every(({ isFlat }) => isFlat), ...figuresOf([round]) },
    samples,
    trends: trends.map(({ name, median, most, perMinute, isFlat, course }) => ({
      ...{ name, median: rounded(median), most: rounded(most), per_minute: thousandths(perMinute), is_flat: isFlat },
      course: course.map(rounded),
    })),
  };
}

function pointResult({ family, setting, rounds }: Measured): PointResult {
  return { family, setting, ...figuresOf(rounds), rates: rounds.map((round) => rounded(round.ordersPerSecond)) };
}

function figuresOf(rounds: Round[]): Figures {
  const parts = Object.keys(rounds[0]?.cpuMsPerOrder ?? {});
  return {
    orders_per_second: rounded(median(rounds.map((round) => round.ordersPerSecond))),
    accepted_per_second: rounded(median(rounds.map((round) => round.acceptedPerSecond))),
    refused: rounds.reduce((sum, round) => sum + round.refused, 0),
    broken: rounds.reduce((sum, round) => sum + round.broken, 0),
    refusal: rounds.find(({ refusal }) => refusal !== undefined)?.refusal,
    answer_ms: medianPercentiles(rounds.map((round) => round.answerMs)),
    decision_ms: medianPercentiles(rounds.map((round) => round.decisionMs)),
    cpu_ms_per_order: Object.fromEntries(
      parts.map((part) => [part, thousandths(median(rounds.map((round) => costOf(round, part))))]),
    ),
  };
}

function costOf({ cpuMsPerOrder }: Round, part: string): number {
  return cpuMsPerOrder[part] ?? 0;
}

function medianPercentiles(all: (Percentiles | undefined)[]): Percentiles | undefined {
  const known = all.filter((percentiles) => percentiles !== undefined);
  if (known.length === 0) return undefined;
  const of = (name: keyof Percentiles) => rounded(median(known.map((percentiles) => percentiles[name])));
  return { p50: of('p50'), p95: of('p95'), p99: of('p99') };
}

function goalResult(ratio: Ratio): GoalResult[] {
  const { name, value, goal } = ratio;
  if (goal === undefined) return [];
  const wanted = 'atLeast' in goal ? { at_least: goal.atLeast } : { at_most: goal.atMost };
  return [{ name, value: value === null ? null : thousandths(value), ...wanted, met: isMet(ratio) ?? null }];
}

function thousandths(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

function each(values: Record<string, number>, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}
