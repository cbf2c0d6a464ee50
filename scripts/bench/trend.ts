import { median } from './round';

/** Whether something grew while everything else stayed the same. */
export interface Trend {
  name: string;
  median: number;
  most: number;
  /** Of the straight line that fits best, once all was warm. */
  perMinute: number;
  /** It grew by no more than a tenth, or than what it may swing by anyway. */
  isFlat: boolean;
  /** What it was, in some steps, for a picture. */
  course: number[];
}

export interface Point {
  atMs: number;
  value: number;
}

const COURSE_STEPS = 30;

/** The first quarter is warming up, and is left out of the slope. `slack`: growth over the whole that means nothing. */
export function trendOf(name: string, points: Point[], slack: number): Trend {
  const warm = points.slice(Math.floor(points.length / 4));
  const perMs = slopeOf(warm);
  const growth = perMs * ((warm.at(-1)?.atMs ?? 0) - (warm[0]?.atMs ?? 0));
  const middle = warm.length === 0 ? 0 : median(warm.map(({ value }) => value));
  const values = points.map(({ value }) => value);
  return {
    ...{ name, median: middle, most: Math.max(0, ...values), perMinute: perMs * 60_000 },
    isFlat: growth <= Math.max(slack, middle / 10),
    course: inSteps(values),
  };
}

/** Least squares. */
function slopeOf(points: Point[]): number {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const [at, value] = [mean(points.map((point) => point.atMs)), mean(points.map((point) => point.value))];
  const spread = points.reduce((sum, point) => sum + (point.atMs - at) ** 2, 0);
  const joint = points.reduce((sum, point) => sum + (point.atMs - at) * (point.value - value), 0);
  return spread === 0 ? 0 : joint / spread;
}

function inSteps(values: number[]): number[] {
  const steps = Math.min(COURSE_STEPS, values.length);
  return Array.from({ length: steps }, (_, step) => {
    const part = values.slice(Math.floor((step * values.length) / steps), Math.floor(((step + 1) * values.length) / steps));
    return Math.max(...part);
  });
}
