import { type FuzzOptions } from '../../scripts/fuzz/options';
import { report, resultOf, type FuzzResult } from '../../scripts/fuzz/report';

const options: FuzzOptions = {
  ...{ graphql: 0, hostile: 1_200, doors: 1_000, amqp: 0, poison: 0 },
  ...{ as: 'customer', seed: 1, concurrency: 8, timeoutMs: 1, json: false },
};

const none = { requests: 0, accepted: 0, refused: 0 };

const found: Omit<FuzzResult, 'verdict' | 'seed' | 'audit'> = {
  hostile: {
    kinds: { valid: none, mutated: none, hostile: { requests: 1_200, accepted: 200, refused: 1_000 } },
    ...{ rateLimited: 40, violations: [], silenceMs: 1_234, seconds: 17.4 },
    slowest: [{ name: 'a slow body', number: 7, ms: 1_050 }],
    slowestRefusals: [{ name: 'crosswise', number: 9, ms: 88 }],
    beside: {
      alone: { orders: 100, refused: 0, p50: 5.1, p95: 9, p99: 11.2, max: 12 },
      ordinary: { orders: 120, refused: 0, p50: 9.5, p95: 27, p99: 40, max: 44 },
      attacked: { orders: 174, refused: 2, p50: 22.5, p95: 81, p99: 1_180.2, max: 1_301.9 },
      p95Ratios: { toAlone: 9, toOrdinary: 3 },
      memory: { before: 140, peak: 210 },
    },
  },
  doors: {
    doors: { grpc: { calls: 1_000, accepted: 300, refused: 700 }, rest: { calls: 1_000, accepted: 250, refused: 750 } },
    ...{ violations: [], slowest: [{ name: 'grpc UpdateOrder', number: 4, ms: 40 }], seconds: 12 },
  },
  ...{ markerMs: 35, memory: { 'gateway-1': { start: 100, peak: 210 } }, violations: [] },
};

describe('the report', () => {
  const lines = report(resultOf(options, found, []), []).split('\n');
  const lineWith = (words: string) => lines.find((line) => line.includes(words))!;

  it('says how a neighbour was answered alone and beside others, one under the other', () => {
    const [alone, beside] = [lineWith('a neighbour alone'), lineWith('beside these')];
    expect(alone).toMatch(/100 orders +0 refused +p50 +5\.1 +p95 +9\.0 +p99 +11\.2 +max +12\.0 ms$/);
    expect(beside).toMatch(/174 orders +2 refused +p50 +22\.5 +p95 +81\.0 +p99 +1180\.2 +max +1301\.9 ms$/);
    for (const label of ['orders', 'refused', 'p50', 'p95', 'p99', 'max', 'ms'])
      expect(beside.indexOf(label)).toBe(alone.indexOf(label));
    expect(lineWith('beside requests')).toMatch(/120 orders +0 refused +p50 +9\.5 /);
    expect(lineWith("neighbour's p95")).toContain('9 times that alone, 3 times that beside requests that mean no harm');
    expect(lineWith('the gateway held')).toContain('140 MiB before, 210 at its peak');
  });

  it('leaves out kinds that were not sent, and shows refusals apart', () => {
    expect(lines.filter((line) => /^ {2}(valid|mutated)/.test(line))).toEqual([]);
    expect(lineWith('too often')).toContain('40 of these');
    expect(lineWith('slowest: ')).toContain('a slow body 1,050 ms');
    expect(lineWith('slowest refusals: ')).toContain('crosswise 88 ms');
  });

  it('has a row for each door', () => {
    expect(lineWith('█ DOORS')).toContain('2,000 calls in 12 s');
    expect(lineWith('  grpc  ')).toMatch(/1,000 calls +300 answered +700 refused$/);
    expect(lineWith('  rest  ')).toMatch(/1,000 calls +250 answered +750 refused$/);
  });
});

it('one violation is enough to fail', () => {
  const violation = { what: 'waited 6000 ms', where: 'neighbour 3', sample: '{}' };
  expect(resultOf(options, found, []).verdict).toBe('PASS');
  expect(resultOf(options, { ...found, violations: [violation] }, []).verdict).toBe('FAIL');
});
