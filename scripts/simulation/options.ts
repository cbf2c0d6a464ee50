import { parseArgs } from 'node:util';

import { usageFault } from '../exit';
import { plantedBugs } from '../planted';
import { count } from '../simulate/options';

export interface SimulationRun {
  firstSeed: number;
  lastSeed: number;
  /** Orders of each simulation; the seed decides when it is not given. */
  orders?: number;
  /** Print every decision and message. */
  trace: boolean;
  json: boolean;
  /** The bug that was planted. */
  planted?: string;
}

export const usage = `Usage: npm run simulation [-- options]

Runs all of Holdfast in one process, on virtual time and seeded chance, with every fault it must survive, and checks its promises.

  --seeds A..B        which simulations to run, or one seed (1..1000)
  --orders N          orders placed in each (by the seed, 10 to 30)
  --trace             print every decision and message; the same seed gives the same trace
  --json              one object on stdout instead of the report
  --planted NAME      break the product on purpose, and stop at the first seed that finds it
  --help              this

Bugs to plant: ${Object.keys(plantedBugs)
  .map((name) => `"${name}"`)
  .join(', ')}
Exit codes: 0 PASS · 1 failed · 2 FAIL, a promise was broken · 64 wrong options, or NODE_ENV=production
`;

/** Reads the command line; undefined when only the usage is wanted. Throws with exit code 64 for what makes no sense. */
export function readOptions(args: string[]): SimulationRun | undefined {
  const { values } = parseArgs({ args, options: declared });
  if (values.help) return undefined;
  const [firstSeed, lastSeed] = seedsOf(values.seeds ?? '1..1000');
  if (values.planted !== undefined && !Object.hasOwn(plantedBugs, values.planted)) {
    throw usageFault(`--planted ${values.planted}: there is no such bug; there are ${Object.keys(plantedBugs).join(', ')}.`);
  }
  const orders = values.orders === undefined ? undefined : count('orders', values.orders, 1, 10_000);
  return { firstSeed, lastSeed, orders, trace: values.trace ?? false, json: values.json ?? false, planted: values.planted };
}

const declared = {
  seeds: { type: 'string' },
  orders: { type: 'string' },
  trace: { type: 'boolean' },
  json: { type: 'boolean' },
  planted: { type: 'string' },
  help: { type: 'boolean' },
} as const;

function seedsOf(text: string): [number, number] {
  const [first, last = first] = text.split('..');
  const firstSeed = count('seeds', first!, 0, 2 ** 31 - 1);
  return [firstSeed, count('seeds', last!, firstSeed, 2 ** 31 - 1)];
}
