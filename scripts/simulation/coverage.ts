import { failpoints } from '../../src/faults';
import { transitions } from '../../src/orders/order';
import { strokes } from './plan';

/** How often each of many things came to pass. */
export type Counts = Record<string, number>;

/** What a set of runs has tried out. */
export interface Coverage {
  /** `PENDING × StockReserved` and so on: every state with every event. */
  cells: Counts;
  faults: Counts;
  /** How often each was passed. */
  failpoints: Counts;
}

export const faultKinds = [
  ...strokes,
  ...['lostPublication', 'lostConfirm', 'confirmedAndLost', 'duplicate'],
  ...['serialization', 'deadlock', 'lostBeforeCommit', 'ambiguousCommit'],
  ...['repeated key', 'conflicting key', 'concurrent key', 'retried request'],
];

export const cells = Object.entries(transitions).flatMap(([status, row]) =>
  Object.keys(row).map((event) => `${status} × ${event}`),
);

/** Orders and commands by message, and notifications, are no part of the simulated world. */
const simulated = failpoints
  .map(({ name }): string => name)
  .filter((name) => !/^(new_orders_queue|order\.update\.|payment\.process)|notifications/.test(name));

export function noCoverage(): Coverage {
  const none = (names: string[]): Counts => Object.fromEntries(names.map((name) => [name, 0]));
  return { cells: none(cells), faults: none(faultKinds), failpoints: none(simulated) };
}

export function count(counts: Counts, name: string, times = 1): void {
  counts[name] = (counts[name] ?? 0) + times;
}

export function addUp(total: Coverage, more: Coverage): void {
  for (const kind of ['cells', 'faults', 'failpoints'] as const) {
    for (const [name, times] of Object.entries(more[kind])) count(total[kind], name, times);
  }
}

/** What no run has hit. */
export function missing({ cells, faults, failpoints: passed }: Coverage): string[] {
  return Object.entries({ ...cells, ...faults, ...passed })
    .filter(([, times]) => times === 0)
    .map(([name]) => name);
}
