import { below, pick, seededRandom, type Random } from '../random';
import { type BrokerFaults } from './broker';
import { type DatabaseFaults } from './database';

/** What one seed stands for: how Holdfast is run, what is asked of it, and what goes wrong. */
export interface Plan {
  shape: 'distributed' | 'embedded';
  processes: { name: string; roles: Role[] }[];
  settings: Settings;
  orders: number;
  /** Units of each product, from the first id on. */
  stock: number[];
  /** What each customer has to spend. The last has no account. */
  balances: number[];
  /** For so long orders are placed and things go wrong; afterwards everything works, and must come to rest. */
  stormMs: number;
  database: DatabaseFaults;
  broker: BrokerFaults;
  /** What befalls whole processes and servers, and the mean time between two of a kind. */
  strokes: Partial<Record<Stroke, number>>;
}

export type Role = 'gateway' | 'orders' | 'inventory' | 'accounts';

export interface Settings {
  sweepIntervalMs: number;
  sweepBatchMax: number;
  windowMax: number;
  intakeMax: number;
  batchSizeMax: number;
  watchIntervalMs: number;
  deadlineMs: number;
  republishAfterMs: number;
}

/** One thing that goes wrong at one moment. */
export const strokes = [
  'crash',
  'crash at a failpoint',
  'pause',
  'restart',
  'clock jump',
  'connection cut',
  'broker down',
  'database down',
  'poison',
  'stray answer',
  'replay',
  'stray expiry',
  'stray payment answer',
] as const;
export type Stroke = (typeof strokes)[number];

/** Most plans leave most faults out: what is rare among all faults at once is common where it has little company. */
export function planOf(seed: number, ordersWanted?: number): Plan {
  const random = seededRandom(seed * 2 + 1);
  const shape = random() < 0.25 ? 'embedded' : 'distributed';
  const some = (probability: number) => (random() < 0.4 ? probability * random() : 0);
  const orders = ordersWanted ?? 10 + below(21, random);
  const database = {
    ...{ serialization: some(0.05), deadlock: some(0.05), lostBeforeCommit: some(0.03), ambiguousCommit: some(0.1) },
    latencyMaxMs: pick([0.5, 5, 100], random),
  };
  const striking = strokes.filter(() => random() < 0.35);
  const broker = {
    ...{ lostPublication: some(0.2), lostConfirm: some(0.2), duplicate: some(0.3), latencyMaxMs: pick([0.5, 20, 500], random) },
    // A stray refusal is taken for the last word of the one inventory, and the one accounts, there is: with a second, nobody would tell
    // ours again to let go.
    confirmedAndLost: striking.some((stroke) => stroke === 'stray answer' || stroke === 'stray payment answer') ? 0 : some(0.1),
  };
  return {
    ...{ shape, orders, database, broker, processes: processesOf(shape, random), settings: settingsOf(random) },
    stock: Array.from({ length: 1 + below(6, random) }, () => pick([1, 3, 10, orders * 20], random)),
    balances: [1_000_000, pick([500, 3_000], random)],
    stormMs: 5_000 + below(25_000, random),
    strokes: Object.fromEntries(striking.map((stroke) => [stroke, pick([2_000, 8_000, 20_000], random)])),
  };
}

function processesOf(shape: Plan['shape'], random: Random): Plan['processes'] {
  if (shape === 'embedded') return [{ name: 'all', roles: ['gateway', 'orders', 'inventory', 'accounts'] }];
  const some = (role: Role, most: number) =>
    Array.from({ length: 1 + below(most, random) }, (_, index) => ({ name: `${role}-${index + 1}`, roles: [role] }));
  return [...some('gateway', 2), ...some('orders', 2), ...some('inventory', 2), ...some('accounts', 2)];
}

function settingsOf(random: Random): Settings {
  return {
    sweepIntervalMs: pick([1_000, 3_000], random),
    sweepBatchMax: pick([2, 500], random),
    windowMax: pick([2, 500], random),
    intakeMax: pick([3, 256], random),
    batchSizeMax: pick([1, 4, 64], random),
    watchIntervalMs: pick([1_000, 3_000], random),
    deadlineMs: pick([8_000, 60_000], random),
    republishAfterMs: pick([3_000, 30_000], random),
  };
}
