import { setTimeout as delay } from 'node:timers/promises';

import { rounded } from '../simulate/report';
import { type Neighbour, type OrderAnswers, type Part } from './neighbour';
import { type Violation } from './violation';

/** What an attack was to others: their answers, and the memory of the gateway in MiB before it and at its peak while it went on. */
export interface Beside extends Record<Part, OrderAnswers> {
  /**
   * How much longer the slowest twentieth waited beside the attack than alone, and than beside requests that mean no harm, as many at a
   * time. Figures, and no verdict: all of them work on the same cores.
   */
  p95Ratios: { toAlone: number; toOrdinary: number };
  memory: { before: number; peak: number };
}

export interface BesideOptions<Outcome> {
  neighbour: Neighbour;
  /** How long the neighbour is alone, first uncounted and then counted. */
  warmUpMs: number;
  baselineMs: number;
  /** Of the gateway, now. */
  memoryMiB: () => number;
  signal: AbortSignal;
  /** What goes on beside the neighbour: requests that mean no harm, and then the attack. */
  ordinary: () => Promise<Outcome>;
  attack: () => Promise<Outcome>;
}

/** Lets the neighbour order alone, beside ordinary requests, and beside the attack. What broke for it is a violation like any other. */
export async function besideNeighbour<Outcome extends { violations: Violation[] }>(
  options: BesideOptions<Outcome>,
): Promise<Outcome & { beside: Beside }> {
  const { neighbour } = options;
  const { ordinary, attacked, memory } = await goThroughParts(options).catch(async (error: unknown) => {
    await neighbour.stop();
    throw error;
  });
  const { violations, ...answers } = await neighbour.stop();
  const all = [...ordinary.violations, ...attacked.violations, ...violations];
  return { ...attacked, violations: all, beside: { ...answers, p95Ratios: ratiosOf(answers), memory } };
}

async function goThroughParts<Outcome>(options: BesideOptions<Outcome>) {
  const { neighbour, memoryMiB, signal } = options;
  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => undefined);
  await pause(options.warmUpMs);
  neighbour.enter('alone');
  await pause(options.baselineMs);
  neighbour.enter('ordinary');
  const ordinary = await options.ordinary();
  const memory = { before: memoryMiB(), peak: memoryMiB() };
  const watching = setInterval(() => (memory.peak = Math.max(memory.peak, memoryMiB())), 100);
  neighbour.enter('attacked');
  const attacked = await options.attack().finally(() => clearInterval(watching));
  return { ordinary, attacked, memory };
}

function ratiosOf({ alone, ordinary, attacked }: Record<Part, OrderAnswers>): Beside['p95Ratios'] {
  return { toAlone: rounded(attacked.p95 / alone.p95), toOrdinary: rounded(attacked.p95 / ordinary.p95) };
}
