import { build, type Histogram } from 'hdr-histogram-js';

import { percentiles, type Percentiles } from '../../simulate/report';

/** The times of a round by this process's clock: a warm-up, then the part that counts. */
export interface RoundClock {
  startedAt: number;
  measuredFrom: number;
  measuredTo: number;
}

export function startClock({ warmUpMs, measuredMs }: { warmUpMs: number; measuredMs: number }): RoundClock {
  const startedAt = performance.now();
  return { startedAt, measuredFrom: startedAt + warmUpMs, measuredTo: startedAt + warmUpMs + measuredMs };
}

/** Counts the orders that were finished within the measured part, and how long each took. */
export class Tally {
  private readonly histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000_000,
    numberOfSignificantValueDigits: 3,
  });
  private measured = 0;

  constructor(private readonly clock: RoundClock) {}

  finished(orders: number, sentAt: number, now: number): void {
    if (now < this.clock.measuredFrom || now > this.clock.measuredTo) return;
    this.measured += orders;
    this.histogram.recordValue(Math.max(1, Math.round((now - sentAt) * 1_000)));
  }

  perSecond(): number {
    return (this.measured * 1_000) / (this.clock.measuredTo - this.clock.measuredFrom);
  }

  /** Undefined when nothing was finished. */
  answerMs(): Percentiles | undefined {
    return this.measured === 0 ? undefined : percentiles(this.histogram, 1_000);
  }
}

/**
 * What to add to `performance.now()` for milliseconds since 1970, as the database's clock counts them. `Date.now()` only ticks whole
 * ones, so the largest difference of some milliseconds is the true one.
 */
export function wallOffsetMs(): number {
  let offset = -Infinity;
  for (const until = performance.now() + 3; performance.now() < until; ) {
    offset = Math.max(offset, Date.now() - performance.now());
  }
  return offset;
}
