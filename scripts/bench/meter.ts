import { ProcessTable } from './procfs';
import { type Site } from './site';

/** Reads the processor time of every part of a site, and of those who ask it. */
export interface Meter {
  stop(): Spent;
}

/** What was used between start and stop. */
export interface Spent {
  /** Milliseconds of each part for each order. */
  perOrder(orders: number): Record<string, number>;
}

export function startMeter(site: Pick<Site, 'parts'>, others: Record<string, number>): Meter {
  const read = () => {
    const table = new ProcessTable();
    const parts = { ...site.parts(table), ...Object.fromEntries(Object.entries(others).map(([name, pid]) => [name, [pid]])) };
    return Object.fromEntries(Object.entries(parts).map(([name, pids]) => [name, table.cpuSeconds(pids)]));
  };
  const before = read();
  return {
    stop() {
      const spent = Object.entries(read()).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)] as const);
      return {
        perOrder: (orders) => Object.fromEntries(spent.map(([name, seconds]) => [name, (seconds * 1_000) / Math.max(1, orders)])),
      };
    },
  };
}
