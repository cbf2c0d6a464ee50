import { flawsOf } from '../../scripts/bench/flaws';
import { readOptions, referenceClients } from '../../scripts/bench/options';
import { overloadFaults } from '../../scripts/bench/overload';
import { isMet, ratiosOf } from '../../scripts/bench/ratios';
import { nameOf, type Family, type Measured, type Round, type Setting } from '../../scripts/bench/round';
import { type SoakResult } from '../../scripts/bench/soak';
import { trendOf } from '../../scripts/bench/trend';
import { orderMaker } from '../../scripts/bench/workers/orders';

describe('ratios', () => {
  it('are taken within a set of rounds, so that a machine that slows down changes none of them', () => {
    const measured = [aPoint('ceiling', { clients: 64 }, [1_000, 500, 100]), uniform([400, 200, 40])];
    expect(valueOf('e2e_to_ceiling', measured)).toBeCloseTo(0.4);
  });

  it('are the median over the sets', () => {
    const measured = [uniform([100, 100, 100]), aPoint('e2e', { product: 'hot', lines: 1, clients: 64 }, [90, 10, 95])];
    expect(valueOf('hot_to_uniform', measured)).toBeCloseTo(0.9);
  });

  it('compare a drain with the median of end to end, whose sets are others', () => {
    const drain = aPoint('drain', { product: 'uniform', lines: 1, workers: 1 }, [300, 400]);
    expect(valueOf('drain_to_e2e', [uniform([90, 100, 110]), drain])).toBeCloseTo(3.5);
  });

  it('are null, and neither met nor missed, where one of the two was not measured', () => {
    const growth = ratiosOf([uniform([100])], 64).find(({ name }) => name === 'growth_5m')!;
    expect(growth.value).toBeNull();
    expect(isMet(growth)).toBeUndefined();
  });

  it('have no figure where a round measured nothing, and leave no such round out', () => {
    const measured = [aPoint('ceiling', { clients: 64 }, [1_000, 0, 1_000]), uniform([400, 200, 400])];
    expect(valueOf('e2e_to_ceiling', measured)).toBeNaN();
    expect(flaws({ measured }).failures.join('\n')).toMatch(/ceiling 64 clients, round 2: nothing.*\n.*e2e_to_ceiling/);
  });

  it('know a goal that is a most from one that is a least', () => {
    expect(isMet({ name: 'hot_to_uniform', value: 0.89, goal: { atLeast: 0.9 } })).toBe(false);
    expect(isMet({ name: 'answer_p99_to_p50', value: 4, goal: { atMost: 5 } })).toBe(true);
  });
});

describe('flaws', () => {
  const withRefused = (refused: number, broken: number): Measured[] => {
    const { rounds, ...point } = uniform([990]);
    return [{ ...point, rounds: rounds.map((round) => ({ ...round, refused, broken, refusal: 'BUSY' })) }];
  };

  it('are none of a bench where every order was placed', () => {
    expect(flaws({ measured: [uniform([100, 90])] })).toEqual({ failures: [], notices: [] });
  });

  it('are told when an order was refused, and fail the bench when more than one in a hundred was, or was not answered', () => {
    const text = 'e2e uniform, 1 line, 64 clients, round 1: of 1,000 orders 4 were refused and 6 not answered: BUSY';
    expect(flaws({ measured: withRefused(4, 6) })).toEqual({ failures: [], notices: [text] });
    expect(flaws({ measured: withRefused(4, 7) }).failures).toHaveLength(1);
  });

  it.each([
    [0, 240],
    [119, 240],
    [7, 8],
  ])('fail a soak of %d samples where %d were wanted', (taken, wanted) => {
    expect(flaws({ soak: aSoak({ taken, wanted, fault: 'no way' }) }).failures).toEqual([
      `soak: only ${taken} of ${wanted} samples of what could grow were taken (no way)`,
    ]);
  });

  it('are none of a soak that was sampled most of the time', () => {
    expect(flaws({ soak: aSoak({ taken: 230, wanted: 240 }) })).toEqual({ failures: [], notices: [] });
  });

  it('tell of a process that did not end as it was told', () => {
    const inspections = [{ site: 'distributed', peakMiB: {}, broken: [], badEnds: ['orders-1 ended with code 1'] }];
    expect(flaws({ inspections }).notices).toEqual(['distributed: orders-1 ended with code 1']);
  });
});

describe('trends', () => {
  const course = (value: (minute: number) => number) =>
    Array.from({ length: 40 }, (_, minute) => ({ atMs: minute * 60_000, value: value(minute) }));

  it('are flat when what grows is the warming up', () => {
    expect(
      trendOf(
        'memory',
        course((minute) => Math.min(minute, 8) * 20),
        1,
      ),
    ).toMatchObject({ isFlat: true, perMinute: 0 });
  });

  it('grow when a little is added every minute', () => {
    const { isFlat, perMinute } = trendOf(
      'memory',
      course((minute) => 100 + minute),
      5,
    );
    expect(isFlat).toBe(false);
    expect(perMinute).toBeCloseTo(1);
  });

  it('are flat when the growth is within what means nothing', () => {
    expect(
      trendOf(
        'outbox rows',
        course((minute) => minute % 3),
        10,
      ).isFlat,
    ).toBe(true);
  });
});

describe('orders', () => {
  const shape = { lines: 5, productIds: Array.from({ length: 100 }, (_, index) => index + 1), seed: 7 };

  it('are the same for the same seed', () => {
    const made = (seed: number) => Array.from({ length: 20 }, () => orderMaker({ ...shape, seed }).lines());
    expect(made(7)).toEqual(made(7));
    expect(made(8)).not.toEqual(made(7));
  });

  it('have different products, the hot one first', () => {
    const maker = orderMaker({ ...shape, hotProductId: 1_000 });
    for (let order = 0; order < 50; order++) {
      const products = maker.lines().map(({ productId }) => productId);
      expect(products[0]).toBe(1_000);
      expect(new Set(products).size).toBe(5);
    }
  });
});

describe('options', () => {
  it('take ratios at 64 clients, or in the middle where there are none', () => {
    expect(referenceClients({ clients: [16, 64, 256] })).toBe(64);
    expect(referenceClients({ clients: [1, 8, 32] })).toBe(8);
  });

  it('let what is given go before the quick dose', () => {
    expect(readOptions(['--quick', '--rounds', '4'])).toMatchObject({ rounds: 4, clients: [8], growth: [2_000] });
  });

  it.each([
    ['--clients', '0'],
    ['--only', 'lunch'],
    ['--seconds', 'few'],
    ['--roles', 'cook=1'],
    ['--soak', '0'],
    ['--overload', '1'],
    ['--mark', 'none'],
  ])('refuse %s %s', (...args) => {
    expect(() => readOptions(args)).toThrow(expect.objectContaining({ exitCode: 64 }) as Error);
  });
});

describe('an overload', () => {
  const step = (taken: number, busy: number) => ({ taken, busy, waiting: taken, answerMs: { p50: 1, p95: 1, p99: 1 } });
  const after = { mark: 100, drainSeconds: 1, takenAfterwards: 10 };

  it('is as it should be when BUSY begins at the mark and orders are taken again', () => {
    expect(overloadFaults({ ...after, taken: 110, steps: [step(60, 0), step(50, 10)] })).toEqual([]);
  });

  it.each([
    ['BUSY never began', { ...after, taken: 500, steps: [step(500, 0)] }],
    ['before the mark', { ...after, taken: 60, steps: [step(60, 10)] }],
    ['no order was taken', { ...after, taken: 110, steps: [step(110, 10)], takenAfterwards: 0 }],
  ])('tells when %s', (fault, result) => expect(overloadFaults(result).join()).toContain(fault));

  it('has a mark of its own', () => {
    expect(readOptions(['--overload', '60000'])).toMatchObject({ overloadOrders: 60_000, mark: 50_000 });
    expect(readOptions([])).toMatchObject({ overloadOrders: undefined });
  });
});

it('names a point by what tells it from others', () => {
  expect(nameOf({ product: 'hot', lines: 1, clients: 64 })).toBe('hot, 1 line, 64 clients');
  expect(nameOf({ clients: 64, preloaded: 5_000_000 })).toBe('64 clients, after 5,000,000 orders');
});

function uniform(rates: number[]): Measured {
  return aPoint('e2e', { product: 'uniform', lines: 1, clients: 64 }, rates);
}

function flaws({ measured = [], soak, inspections = [] }: Partial<Parameters<typeof flawsOf>[0]>) {
  return flawsOf({ measured, soak, inspections, ratios: ratiosOf(measured, 64) });
}

function aSoak(samples: SoakResult['samples']): SoakResult {
  return { minutes: 1, ordersPerSecond: 100, round: uniform([100]).rounds[0]!, trends: [], samples };
}

function aPoint(family: Family, setting: Setting, rates: number[]): Measured {
  const round = (rate: number): Round => ({
    ...{ ordersPerSecond: rate, acceptedPerSecond: rate, orders: rate, refused: 0, broken: 0, cpuMsPerOrder: {} },
    answerMs: { p50: 1, p95: 1, p99: 1 },
  });
  return { family, setting, rounds: rates.map(round) };
}

function valueOf(name: string, measured: Measured[]): number | null | undefined {
  return ratiosOf(measured, 64).find((ratio) => ratio.name === name)?.value;
}
