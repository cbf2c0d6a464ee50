import { parseArgs } from 'node:util';

import { usageFault } from '../exit';
import { count } from '../simulate/options';
import { faults, type FaultName } from './faults';
import { type RoleCounts } from './fleet';

export const usage = `Usage: npm run chaos [-- options]

Starts a whole Holdfast of its own, lets clients order while faults strike, heals, waits for rest, and audits. Nothing but loopback
is used, and nothing is left running.

  --seed S            one seed, or a range such as 1..20: the same seed plans the same orders and faults (1)
  --orders N          orders of each seed (2000)
  --faults N          how many faults strike at most (orders / 70, at least 26)
  --every SECONDS     mean time between two faults (1.5)
  --clients N         clients at a time (50)
  --roles LIST        processes of each role (gateway=2,inventory=3,orders=2,accounts=2)
  --only A,B          only these faults, by name
  --json              one object on stdout instead of the report
  --help              this

Other attacks, each with --json:
  --kill-points       kill -9 at every failpoint [--kills 20] [--embedded] [--point NAME] [--stop: freeze instead]
  --cluster           the same orders over a RabbitMQ of three nodes whose queue leaders are killed
  --drain N           N orders wait in the queue; how long 1 and 4 inventory processes take, and what memory
  --planted           bugs put in on purpose; which of them the harness and the simulation find [--bug NAME]

Faults: ${Object.keys(faults).join(' · ')}

Exit codes: 0 PASS · 1 failed · 2 FAIL, a promise was broken · 64 wrong options · 130 interrupted
`;

export interface ChaosCommand {
  mode: 'storm' | 'kill-points' | 'cluster' | 'drain' | 'planted';
  seeds: number[];
  orders: number;
  faults: number;
  everySeconds: number;
  clients: number;
  roles: RoleCounts;
  only?: FaultName[];
  kills: number;
  embedded: boolean;
  stop: boolean;
  point?: string;
  bug?: string;
  json: boolean;
}

const declared = {
  seed: { type: 'string', default: '1' },
  orders: { type: 'string' },
  faults: { type: 'string' },
  every: { type: 'string', default: '1.5' },
  clients: { type: 'string', default: '50' },
  roles: { type: 'string', default: 'gateway=2,inventory=3,orders=2,accounts=2' },
  only: { type: 'string' },
  'kill-points': { type: 'boolean', default: false },
  kills: { type: 'string', default: '20' },
  stop: { type: 'boolean', default: false },
  embedded: { type: 'boolean', default: false },
  point: { type: 'string' },
  cluster: { type: 'boolean', default: false },
  drain: { type: 'string' },
  planted: { type: 'boolean', default: false },
  bug: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

/** Reads the command line; undefined when only the usage is wanted. Throws with exit code 64 for what makes no sense. */
export function readOptions(args: string[]): ChaosCommand | undefined {
  const { values } = parseArgs({ args, options: declared });
  if (values.help) return undefined;
  const modes = (['kill-points', 'cluster', 'planted'] as const).filter((mode) => values[mode]);
  const mode = values.drain !== undefined ? 'drain' : (modes[0] ?? 'storm');
  if (modes.length + (values.drain === undefined ? 0 : 1) > 1) throw usageFault('One attack at a time: leave out all but one.');
  const orders = count(values.drain === undefined ? 'orders' : 'drain', values.drain ?? values.orders ?? '2000', 1, 5_000_000);
  return {
    ...{ mode, orders, seeds: seedsOf(values.seed), embedded: values.embedded, point: values.point, bug: values.bug },
    faults: values.faults === undefined ? Math.max(26, Math.ceil(orders / 70)) : count('faults', values.faults, 0, 100_000),
    everySeconds: secondsOf(values.every),
    clients: count('clients', values.clients, 1, 1_000),
    roles: rolesOf(values.roles),
    only: values.only?.split(',').map(faultOf),
    kills: count('kills', values.kills, 1, 1_000),
    stop: values.stop,
    json: values.json,
  };
}

function seedsOf(text: string): number[] {
  const [, first = '', last = first] = /^(\d+)(?:\.\.(\d+))?$/.exec(text) ?? [];
  const from = count('seed', first || text, 0, 2 ** 32 - 1);
  const to = count('seed', last || text, from, 2 ** 32 - 1);
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

function secondsOf(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw usageFault(`--every ${text}: must be a number of seconds above 0.`);
}

/** One of each that is not named. Where nobody pays, none of accounts will do. */
export function rolesOf(text: string, accountsMin = 1): RoleCounts {
  const given = Object.fromEntries(text.split(',').map((part) => part.split('='))) as Record<string, string | undefined>;
  const names = ['gateway', 'inventory', 'orders', 'accounts'] as const;
  const unknown = Object.keys(given).find((name) => !(names as readonly string[]).includes(name));
  if (unknown !== undefined) throw usageFault(`--roles ${text}: there is no role ${JSON.stringify(unknown)}.`);
  const some = (name: (typeof names)[number], min: number) => count('roles', given[name] ?? String(min), min, 16);
  return {
    ...{ gateway: some('gateway', 1), inventory: some('inventory', 1), orders: some('orders', 1) },
    accounts: some('accounts', accountsMin),
  };
}

function faultOf(name: string): FaultName {
  if (name in faults) return name as FaultName;
  throw usageFault(`--only ${name}: there is no such fault; --help lists them.`);
}
