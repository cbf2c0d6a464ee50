import { join } from 'node:path';

import { type ChaosSummary } from '../../scripts/chaos/report';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { runProgram } from '../scripts/program';

const root = join(__dirname, '..', '..');
/** The roles are run from the sources, as everything else in a test is. */
const HOLDFAST_PROGRAM = `${join(root, 'test', 'support', 'runTypeScript.cjs')} ${join(root, 'src', 'main.ts')}`;

const chaos = (...args: string[]) => runProgram('scripts/chaos.ts', args, { HOLDFAST_PROGRAM });
const withRabbitmq = findRabbitmqServer() === undefined ? it.skip : it;

withRabbitmq(
  'no order is lost, doubled, stuck or oversold while roles are killed, wires cut, servers restarted and poison sent (S2.13, S2.14, S2.15)',
  async () => {
    const roles = ['--roles', 'gateway=1,inventory=2,orders=1'];
    const { code, stdout, stderr } = await chaos(
      '--seed',
      '5',
      '--orders',
      '120',
      '--faults',
      '6',
      '--every',
      '1',
      '--json',
      ...roles,
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const summary = JSON.parse(stdout) as ChaosSummary;
    expect(summary).toMatchObject({ verdict: 'PASS', lost: 0, duplicated: 0, stuck: 0, oversold: 0, unpaid: 0, unearned: 0 });
    expect(summary).toMatchObject({ leaked: 0, mismatched: 0 });
    expect(summary.results[0]).toMatchObject({ acknowledged: 120, refused: 0, broken: [] });
    expect(summary.faults).toBeGreaterThanOrEqual(3);
  },
  240_000,
);

it.each([
  ['--seed', 'x'],
  ['--seed', '3..1'],
  ['--every', '0'],
  ['--roles', 'cook=1'],
  ['--only', 'an earthquake'],
  ['--drain', '5', '--cluster'],
])('refuses %s %s with one line', async (...args) => {
  const { code, stderr } = await chaos(...args);
  expect(code).toBe(64);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});
