/**
 * How long to wait before the next try of a message that met broken surroundings. The ceiling doubles with every attempt and
 * is capped; the delay is drawn from its upper half, so that messages that failed together do not come back together.
 *
 * attempt   1           2         3       4       5       6        7         then
 * delay     0.25–0.5 s  0.5–1 s   1–2 s   2–4 s   4–8 s   8–16 s   15–30 s   dead letter
 *
 * A message is thus tried 8 times within 31 to 62 seconds: longer than a failover, shorter than an order's deadline.
 *
 * @param attempt the attempt that has just failed, from 1
 * @param random a number from 0 (included) to 1 (excluded)
 */
export function retryDelayMs(attempt: number, random: () => number): number {
  const exponent = Math.min(Math.max(0, Math.floor(attempt) - 1), 30);
  const ceilingMs = Math.min(firstCeilingMs * 2 ** exponent, ceilingMaxMs);
  return Math.round(ceilingMs / 2 + (random() * ceilingMs) / 2);
}

/** After so many failed attempts a message is a dead letter. */
export const ATTEMPTS_MAX = 8;

const firstCeilingMs = 500;
const ceilingMaxMs = 30_000;
