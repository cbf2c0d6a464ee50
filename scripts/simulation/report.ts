import { type Counts, type Coverage } from './coverage';
import { type SimulationOutcome } from './simulate';
import { transitions } from '../../src/orders/order';

/** What a number of simulations came to, as `--json` prints it. */
export interface SimulationResult {
  verdict: 'PASS' | 'FAIL';
  seeds: string;
  simulations: number;
  orders: number;
  virtual_seconds: number;
  seconds: number;
  per_second: number;
  /** Over the hashes of all traces: the same seeds give the same. */
  hash: string;
  /** The seeds that broke a promise, and how. */
  violations: { seed: number; words: string[] }[];
  planted?: string;
  coverage: Coverage;
  /** States with events, and kinds of faults, that did not come up. */
  missing: string[];
}

export function report(result: SimulationResult): string {
  const { verdict, simulations, orders, coverage, violations } = result;
  const lines = [
    `${verdict}  ${simulations} simulations (seeds ${result.seeds}), ${orders} orders, ${result.virtual_seconds} virtual seconds`,
    `      in ${result.seconds} s, ${result.per_second} a second; hash ${result.hash}`,
    '',
    ...cellTable(coverage.cells),
    '',
    ...pairs('faults', coverage.faults),
    '',
    ...pairs('failpoints passed', coverage.failpoints),
  ];
  if (result.missing.length > 0) lines.push('', `never seen: ${result.missing.join(', ')}`);
  for (const { seed, words } of violations) lines.push('', `seed ${seed}:`, ...words.map((line) => `  ${line}`));
  return `${lines.join('\n')}\n`;
}

/** States down, events across, how often each met each. */
function cellTable(cells: Counts): string[] {
  const events = Object.keys(transitions.PENDING);
  const width = Math.max(...events.map((event) => event.length)) + 2;
  const row = (name: string, texts: string[]) => name.padEnd(width) + texts.map((text) => text.padStart(width)).join('');
  return [
    row('state × event', events),
    ...Object.keys(transitions).map((status) =>
      row(
        status,
        events.map((event) => String(cells[`${status} × ${event}`])),
      ),
    ),
  ];
}

function pairs(title: string, counts: Counts): string[] {
  const names = Object.keys(counts);
  const width = Math.max(title.length, ...names.map((name) => name.length)) + 2;
  const size = Math.max(...Object.values(counts)).toString().length;
  return [title, ...names.map((name) => `  ${name.padEnd(width)}${String(counts[name]).padStart(size)}`)];
}

export function inWords({ violations }: SimulationOutcome): string[] {
  return violations.map(({ group, words }) => `${group}: ${words}`);
}
