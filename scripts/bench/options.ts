import { parseArgs } from 'node:util';

import { type RoleCounts } from '../chaos/fleet';
import { rolesOf } from '../chaos/options';
import { usageFault } from '../exit';
import { count } from '../simulate/options';
import { families, type Family } from './round';

export const usage = `Usage: npm run bench [-- options]

Starts a Postgres, a RabbitMQ and a Holdfast of its own and measures them, in alternating rounds so that what drifts on the machine
meets every figure alike. Prints medians, and the ratios that say more than any figure of one machine. Nothing but loopback is used,
and nothing is left running. The whole takes about 20 minutes.

  --only A,B          only these: ${families.join(', ')} (all)
  --clients A,B,C     how many clients ask at a time; ratios are taken at 64, or at the one in the middle (16,64,256)
  --rounds N          rounds of each point (3)
  --seconds S         measured part of a round (4)
  --warm-up S         what comes before it and does not count (1)
  --backlog N         orders that wait when a drain begins, in hundreds (50000)
  --growth A,B        orders there are already, beside none (1000000,5000000)
  --roles LIST        processes of each role (gateway=1,orders=1,inventory=1)
  --soak MINUTES      instead of all this: so long at 80 % of the highest rate, watching what grows
  --overload N        instead of all this: N orders while inventory is stopped, until they are answered BUSY; then it returns
  --mark N            with --overload: how many orders may wait before that (BACKLOG_MAX, 50000)
  --quick             a small dose of everything, to see that it works
  --seed S            the same seed makes the same orders (1)
  --json              one object on stdout instead of the report
  --help              this

Exit codes: 0 measured · 1 failed · 2 a promise was broken · 64 wrong options · 130 interrupted. A bench has failed, too, when more
than 1 % of the orders of a round were refused or not answered, when a round measured nothing, or when a soak was hardly sampled. Goals
that are missed are shown as such, and change no exit code: they hold for a machine that does nothing else.
`;

export interface BenchCommand {
  only: readonly Family[];
  clients: number[];
  rounds: number;
  seconds: number;
  warmUpSeconds: number;
  backlog: number;
  growth: number[];
  roles: RoleCounts;
  soakMinutes?: number;
  overloadOrders?: number;
  mark: number;
  seed: number;
  json: boolean;
}

const declared = {
  only: { type: 'string' },
  clients: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  'warm-up': { type: 'string' },
  backlog: { type: 'string' },
  growth: { type: 'string' },
  roles: { type: 'string', default: 'gateway=1,orders=1,inventory=1' },
  soak: { type: 'string' },
  overload: { type: 'string' },
  mark: { type: 'string', default: '50000' },
  quick: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const fullDose = { clients: '16,64,256', rounds: '3', seconds: '4', 'warm-up': '1', backlog: '50000', growth: '1000000,5000000' };
const quickDose = { clients: '8', rounds: '1', seconds: '0.5', 'warm-up': '0.2', backlog: '500', growth: '2000' };

/** Reads the command line; undefined when only the usage is wanted. Throws with exit code 64 for what makes no sense. */
export function readOptions(args: string[]): BenchCommand | undefined {
  const { values } = parseArgs({ args, options: declared });
  if (values.help) return undefined;
  const dose = { ...(values.quick ? quickDose : fullDose), ...values };
  return {
    only: values.only?.split(',').map(familyNamed) ?? families,
    clients: counts('clients', dose.clients, 1, 1_000),
    rounds: count('rounds', dose.rounds, 1, 100),
    seconds: positive('seconds', dose.seconds),
    warmUpSeconds: positive('warm-up', dose['warm-up']),
    backlog: count('backlog', dose.backlog, 100, 10_000_000),
    growth: counts('growth', dose.growth, 1, 100_000_000),
    roles: rolesOf(values.roles, 0),
    soakMinutes: values.soak === undefined ? undefined : positive('soak', values.soak),
    overloadOrders: values.overload === undefined ? undefined : count('overload', values.overload, 100, 10_000_000),
    mark: count('mark', values.mark, 10, 10_000_000),
    seed: count('seed', values.seed, 0, 2 ** 32 - 1),
    json: values.json,
  };
}

/** Where ratios are taken. */
export function referenceClients({ clients }: Pick<BenchCommand, 'clients'>): number {
  return clients.includes(64) ? 64 : clients[Math.floor(clients.length / 2)]!;
}

function counts(name: string, text: string, min: number, max: number): number[] {
  return text
    .split(',')
    .map((part) => count(name, part, min, max))
    .sort((a, b) => a - b);
}

function positive(name: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw usageFault(`--${name} ${text}: must be a number above 0.`);
}

function familyNamed(name: string): Family {
  const family = families.find((candidate) => candidate === name);
  if (family === undefined) throw usageFault(`--only ${name}: there is no such thing to measure; ${families.join(', ')}.`);
  return family;
}
