import { type Percentiles } from '../simulate/report';

/** What one round has shown. */
export interface Round {
  /** What the point is compared by: orders settled in a second or, where nothing settles, answered. */
  ordersPerSecond: number;
  acceptedPerSecond: number;
  orders: number;
  /** Orders that were answered, and not with an id; orders that were not answered at all. */
  refused: number;
  broken: number;
  /** What was said of the first of either. */
  refusal?: string;
  answerMs?: Percentiles;
  decisionMs?: Percentiles;
  /** Of each process and server, and of the load generator. */
  cpuMsPerOrder: Record<string, number>;
}

export const families = ['ceiling', 'floor', 'e2e', 'paced', 'bulk', 'intake', 'embedded', 'drain', 'growth'] as const;
export type Family = (typeof families)[number];

/** What tells a point from the others of its family. */
export interface Setting {
  product?: 'uniform' | 'hot';
  lines?: number;
  clients?: number;
  /** Inventory processes. */
  workers?: number;
  /** Orders that were there before. */
  preloaded?: number;
}

/** Something that is measured once in every set of rounds. */
export interface Point {
  family: Family;
  setting: Setting;
  run(): Promise<Round>;
}

/** A point with all its rounds: the first of each were made in the same set, within minutes of one another. */
export interface Measured {
  family: Family;
  setting: Setting;
  rounds: Round[];
}

export function nameOf(setting: Setting): string {
  const plural = (value: number, word: string) => `${value.toLocaleString('en-US')} ${word}${value === 1 ? '' : 's'}`;
  const { product, lines, clients, workers, preloaded } = setting;
  return [
    ...(product === undefined ? [] : [product]),
    ...(lines === undefined ? [] : [plural(lines, 'line')]),
    ...(clients === undefined ? [] : [plural(clients, 'client')]),
    ...(workers === undefined ? [] : [plural(workers, 'worker')]),
    ...(preloaded === undefined ? [] : [`after ${plural(preloaded, 'order')}`]),
  ].join(', ');
}

/** The points of a family that agree with all that is given. */
export function pointsLike<Kind extends Pick<Measured, 'family' | 'setting'>>(
  all: readonly Kind[],
  family: Family,
  like: Setting,
): Kind[] {
  const wanted = Object.entries(like);
  return all.filter(
    (point) => point.family === family && wanted.every(([name, value]) => point.setting[name as keyof Setting] === value),
  );
}

export function firstOfEach(points: Point[], families: Family[]): Point[] {
  return families.flatMap((family) => pointsLike(points, family, {})[0] ?? []);
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
