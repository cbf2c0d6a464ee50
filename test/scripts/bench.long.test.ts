import { join } from 'node:path';

import { type BenchResult } from '../../scripts/bench/result';
import { pointsLike } from '../../scripts/bench/round';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { runProgram } from './program';

const withRabbitmq = findRabbitmqServer() === undefined ? it.skip : it;
const root = join(__dirname, '..', '..');
/** The roles are run from the sources, as everything else in a test is. */
const HOLDFAST_PROGRAM = `${join(root, 'test', 'support', 'runTypeScript.cjs')} ${join(root, 'src', 'main.ts')}`;

withRabbitmq(
  'a quick bench measures ceiling and end to end, audits what it did, and prints one object',
  async () => {
    const args = ['--quick', '--only', 'ceiling,e2e,paced', '--json'];
    const { code, stdout, stderr } = await runProgram('scripts/bench.ts', args, { HOLDFAST_PROGRAM });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const result = JSON.parse(stdout) as BenchResult;
    expect(result).toMatchObject({ verdict: 'PASS', clients: 8, broken: [], failures: [], notices: [] });
    expect(result.points.map(({ family }) => family)).toEqual(['ceiling', 'e2e', 'e2e', 'e2e', 'e2e', 'paced']);
    for (const point of result.points)
      expect(point).toMatchObject({ refused: 0, broken: 0, orders_per_second: expect.any(Number) as number });
    expect(result.ratios.e2e_to_ceiling).toBeGreaterThan(0);
    expect(result.ratios.growth_5m).toBeNull();
    expect(Object.keys(result.ratios.cpu_ms_per_order)).toEqual(
      expect.arrayContaining(['gateway', 'orders', 'inventory', 'postgres', 'rabbitmq']),
    );
    expect(pointsLike(result.points, 'paced', {})[0]!.decision_ms!.p50).toBeGreaterThan(0);
  },
  180_000,
);
