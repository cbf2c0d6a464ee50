import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { plantedBugs } from '../planted';
import { usageFault } from '../exit';
import { runChaos } from './run';

/** What became of one bug that was put in on purpose. */
export interface PlantedRow {
  bug: string;
  does: string;
  /** Undefined when nobody found it. */
  caught?: { by: 'simulation' | 'chaos'; afterSeeds: number; as: string };
}

export interface PlantedOptions {
  /** Only this one. */
  bug?: string;
  /** Called with each row as it is known. */
  onRow: (row: PlantedRow) => void;
  signal: AbortSignal;
}

/** How many seeds each may need. */
const SIMULATION_SEEDS = 1_000;
const CHAOS_SEEDS = 20;

/** Puts each bug in and lets the simulation look for it, which takes seconds; what it cannot see, the harness looks for. */
export async function runPlanted({ bug, onRow, signal }: PlantedOptions): Promise<PlantedRow[]> {
  if (bug !== undefined && !Object.hasOwn(plantedBugs, bug))
    throw usageFault(`--bug ${bug}: there is no such bug; there are ${Object.keys(plantedBugs).join(', ')}.`);
  const rows: PlantedRow[] = [];
  for (const [name, { does }] of Object.entries(plantedBugs)) {
    if ((bug !== undefined && bug !== name) || signal.aborted) continue;
    const row = { bug: name, does, caught: (await bySimulation(name)) ?? (await byChaos(name, signal)) };
    rows.push(row);
    onRow(row);
  }
  return rows;
}

/** A process of its own: virtual time and planted code are no company for the harness. */
async function bySimulation(bug: string): Promise<PlantedRow['caught']> {
  const args = [join(__dirname, '..', 'simulation.js'), '--seeds', `1..${SIMULATION_SEEDS}`, '--planted', bug, '--json'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await new Promise((resolve) => child.once('close', resolve));
  const { violations } = JSON.parse(text) as { violations: { seed: number; words: string[] }[] };
  const [first] = violations;
  return first && { by: 'simulation', afterSeeds: first.seed, as: first.words[0] ?? 'a violation' };
}

async function byChaos(bug: string, signal: AbortSignal): Promise<PlantedRow['caught']> {
  const world = {
    roles: { gateway: 1, inventory: 3, orders: 2, accounts: 1 },
    preload: [require.resolve('../plant')],
    settings: { PLANTED: bug },
  };
  const load = { orders: 600, clients: 50, faults: 20, everySeconds: 1 };
  for (let seed = 1; seed <= CHAOS_SEEDS && !signal.aborted; seed++) {
    const { outcomes, verdict } = await runChaos({ ...world, ...load, seed, signal, keepFolder: false });
    const broken = outcomes.filter((outcome) => outcome.broken > 0);
    if (verdict === 'FAIL') return { by: 'chaos', afterSeeds: seed, as: broken.map(({ name }) => name).join(', ') };
  }
  return undefined;
}

export function plantedHead(): string {
  return `${'bug'.padEnd(36)}${'caught by'.padEnd(12)}${'seeds'.padStart(6)}  as`;
}

export function plantedLine({ bug, caught }: PlantedRow): string {
  if (!caught) return `${bug.padEnd(36)}NOBODY`;
  return `${bug.padEnd(36)}${caught.by.padEnd(12)}${String(caught.afterSeeds).padStart(6)}  ${caught.as}`;
}
