import { type Percentiles } from '../simulate/report';
import { median, pointsLike, type Family, type Measured, type Round, type Setting } from './round';

/** A figure of two points, and what is wanted of it. */
export interface Ratio {
  name: RatioName;
  /** Null where one of the two was not measured; NaN where a round of them has no such figure, which is a failure. */
  value: number | null;
  goal?: { atLeast: number } | { atMost: number };
}

/** Every ratio with its goal, if it has one. */
export const ratioGoals = {
  e2e_to_ceiling: { atLeast: 0.35 },
  e2e_accepted_to_ceiling: undefined,
  e2e_to_floor: undefined,
  hot_to_uniform: { atLeast: 0.9 },
  hot_to_hot_floor: undefined,
  five_lines_to_one: undefined,
  growth_1m: undefined,
  growth_5m: { atLeast: 0.9 },
  drain_to_e2e: { atLeast: 3 },
  hot_drain_two_to_one: { atLeast: 1 },
  embedded_to_distributed: { atLeast: 0.5 },
  embedded_settled_to_accepted: { atLeast: 0.95 },
  settled_to_accepted: undefined,
  answer_p99_to_p50: { atMost: 5 },
  decision_to_answer_p50: { atMost: 3 },
} as const;
export type RatioName = keyof typeof ratioGoals;

/**
 * Each is taken within a set of rounds, and is the median over the sets; but for drain to end to end, which are never in one set: that is
 * of their medians, minutes apart.
 */
export function ratiosOf(measured: readonly Measured[], clients: number): Ratio[] {
  const all = Object.entries(valuesOf(measured, clients)) as [RatioName, number | null][];
  return all.map(([name, value]) => ({ name, value, goal: ratioGoals[name] }));
}

function valuesOf(measured: readonly Measured[], clients: number): Record<RatioName, number | null> {
  const find = (family: Family, setting: Setting) => pointsLike(measured, family, setting)[0]?.rounds ?? [];
  const uniform = find('e2e', { product: 'uniform', lines: 1, clients });
  const hot = find('e2e', { product: 'hot', lines: 1, clients });
  const ceiling = find('ceiling', { clients });
  const embedded = find('embedded', { product: 'uniform', lines: 1 });
  const drains = (product: 'uniform' | 'hot', workers: number) => find('drain', { product, workers });
  const sizes = (preloaded: number) => find('growth', { preloaded });
  const paced = find('paced', {});
  return {
    e2e_to_ceiling: ofRates(uniform, ceiling),
    e2e_accepted_to_ceiling: ofPairs(uniform, ceiling, (round) => round.acceptedPerSecond),
    e2e_to_floor: ofRates(uniform, find('floor', { product: 'uniform' })),
    hot_to_uniform: ofRates(hot, uniform),
    hot_to_hot_floor: ofRates(hot, find('floor', { product: 'hot' })),
    five_lines_to_one: ofRates(find('e2e', { product: 'uniform', lines: 5, clients }), uniform),
    growth_1m: ofRates(sizes(1_000_000), sizes(0)),
    growth_5m: ofRates(sizes(5_000_000), sizes(0)),
    drain_to_e2e: ofMedians(drains('uniform', 1), uniform),
    hot_drain_two_to_one: ofRates(drains('hot', 2), drains('hot', 1)),
    embedded_to_distributed: ofRates(embedded, uniform),
    embedded_settled_to_accepted: within(embedded, (round) => round.ordersPerSecond / round.acceptedPerSecond),
    settled_to_accepted: within(uniform, (round) => round.ordersPerSecond / round.acceptedPerSecond),
    answer_p99_to_p50: within(uniform, ({ answerMs }) => quotient(answerMs, 'p99', answerMs, 'p50')),
    decision_to_answer_p50: within(paced, ({ decisionMs, answerMs }) => quotient(decisionMs, 'p50', answerMs, 'p50')),
  };
}

/** Of rounds of the same set. */
function ofPairs(over: Round[], under: Round[], figure: (round: Round) => number): number | null {
  const pairs = over.slice(0, under.length).map((round, set) => figure(round) / figure(under[set]!));
  return medianOrNull(pairs);
}

function ofRates(over: Round[], under: Round[]): number | null {
  return ofPairs(over, under, ({ ordersPerSecond }) => ordersPerSecond);
}

/** Of points that were measured in different sets. */
function ofMedians(over: Round[], under: Round[]): number | null {
  const rate = (rounds: Round[]) => medianOrNull(rounds.map(({ ordersPerSecond }) => ordersPerSecond));
  const [a, b] = [rate(over), rate(under)];
  return a === null || b === null ? null : b > 0 ? a / b : NaN;
}

function within(rounds: Round[], figure: (round: Round) => number): number | null {
  return medianOrNull(rounds.map(figure));
}

function quotient(
  over: Percentiles | undefined,
  a: keyof Percentiles,
  under: Percentiles | undefined,
  b: keyof Percentiles,
): number {
  return (over?.[a] ?? NaN) / (under?.[b] ?? NaN);
}

function medianOrNull(values: number[]): number | null {
  if (values.length === 0) return null;
  return values.every(Number.isFinite) ? median(values) : NaN;
}

/** Undefined where there is no goal, or nothing to hold against it. */
export function isMet({ value, goal }: Ratio): boolean | undefined {
  if (value === null || goal === undefined) return undefined;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}
