import { ATTEMPTS_MAX, retryDelayMs } from '../../src/messaging/backoff';

describe('retryDelayMs', () => {
  const longest = () => 1 - Number.EPSILON;
  const attempts = Array.from({ length: ATTEMPTS_MAX - 1 }, (_, index) => index + 1);

  it('doubles its ceiling with every attempt, up to half a minute', () => {
    expect(attempts.map((attempt) => retryDelayMs(attempt, longest))).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  });

  it('draws from the upper half, so that messages that failed together part', () => {
    expect(attempts.map((attempt) => retryDelayMs(attempt, () => 0))).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000]);
  });

  it.each([0, -1, 1.5, 1_000, Number.MAX_SAFE_INTEGER])('stays within bounds for attempt %p', (attempt) => {
    const delayMs = retryDelayMs(attempt, () => 0.5);
    expect(delayMs).toBeGreaterThanOrEqual(250);
    expect(delayMs).toBeLessThanOrEqual(30_000);
  });
});
