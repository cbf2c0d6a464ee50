import { execFile } from 'node:child_process';
import { join } from 'node:path';

import { type SimulationResult } from '../../scripts/simulation/report';

/** A longer dose: `SIMULATION_SEEDS=10000 npx jest test/simulation`, or `npm run simulation -- --seeds 1..10000`. */
const isLong = process.env.HOLDFAST_TESTS === 'long';
const sameSeeds = isLong ? '1..40' : '1..10';
const seeds = Number(process.env.SIMULATION_SEEDS ?? (isLong ? 300 : 60));

interface Ended {
  code: number;
  result?: SimulationResult;
}

/** In a process of its own, because it takes the clocks away from the one it runs in, and jest loads modules its own way. */
function simulation(args: string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const program = [join(__dirname, '../support/runTypeScript.cjs'), join(__dirname, '../../scripts/simulation.ts'), ...args];
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...environment }, maxBuffer: 2 ** 26 };
    execFile(process.execPath, [...program, '--json'], options, (error, stdout) => {
      const code = typeof error?.code === 'number' ? error.code : 0;
      resolve({ code, result: stdout === '' ? undefined : (JSON.parse(stdout) as SimulationResult) });
    });
  });
}

it(`keeps every promise over ${seeds} seeds, and, where they are many, has tried every state with every event, and every fault`, async () => {
  const { result } = await simulation(['--seeds', `1..${seeds}`]);
  expect(result!.violations).toEqual([]);
  // Sixty seeds leave out what is rare.
  if (seeds >= 300) expect(result!.missing).toEqual([]);
  expect(result!.simulations).toBe(seeds);
}, 600_000);

it('does the same again for the same seeds, decision by decision', async () => {
  const [once, again] = await Promise.all([simulation(['--seeds', sameSeeds]), simulation(['--seeds', sameSeeds])]);
  expect(again.result!.hash).toBe(once.result!.hash);
  expect((await simulation(['--seeds', '41..42'])).result!.hash).not.toBe(once.result!.hash);
});

it('finds a planted bug, stops there and says at which seed', async () => {
  const { code, result } = await simulation(['--seeds', '1..100', '--planted', 'no inbox']);
  expect(code).toBe(2);
  expect(result).toMatchObject({ verdict: 'FAIL', planted: 'no inbox' });
  expect(result!.violations).toHaveLength(1);
  expect(result!.violations[0]!.seed).toBe(result!.simulations);
});

it.each([
  ['production', ['--seeds', '1'], { NODE_ENV: 'production' }],
  ['a bug that nobody knows', ['--planted', 'nothing'], {}],
  ['seeds that are none', ['--seeds', '5..1'], {}],
])('refuses %s with exit code 64', async (_what, args, environment) => {
  expect(await simulation(args, environment)).toEqual({ code: 64, result: undefined });
});
