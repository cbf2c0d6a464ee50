/** How often a delivery is tried, and how long the first pause is. */
export interface RetryLimits {
  attemptsMax: number;
  /** The ceiling of the first pause; each later one is four times as long, up to half a day. */
  firstPauseMs: number;
}

/**
 * How long to wait before a delivery is tried again; undefined when it has been tried often enough. Receivers are away for a
 * deployment or for a night, so the pauses grow from seconds to half a day; each is drawn from the upper half of its ceiling, so
 * that deliveries that failed together do not come back together. With the defaults (10 attempts, 10 s):
 *
 * after attempt  1     2     3      4       5       6      7      8     9     10
 * pause up to    10 s  40 s  2.7 m  10.7 m  42.7 m  2.8 h  11.4 h 12 h  12 h  dead
 *
 * A delivery is thus given up after 20 to 39 hours.
 */
export function deliveryPauseMs(attempt: number, { attemptsMax, firstPauseMs }: RetryLimits, random: () => number) {
  if (attempt >= attemptsMax) return undefined;
  const ceilingMs = Math.min(firstPauseMs * 4 ** Math.min(attempt - 1, 20), PAUSE_MAX_MS);
  return Math.round(ceilingMs / 2 + (random() * ceilingMs) / 2);
}

const PAUSE_MAX_MS = 12 * 3_600_000;
