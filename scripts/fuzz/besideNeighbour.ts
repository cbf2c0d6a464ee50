import { setTimeout as delay } from 'node:timers/promises';

import { rounded } from '../simulate/report';
import { type Neighbour, type OrderAnswers, type Part } from './neighbour';
import { type Violation } from './violation';

/** What an attack was to others: their answers, and the memory of the gateway in MiB before it and at its peak while it went on. */
export interface Beside extends Record<Part, OrderAnswers> {
  /** How much longer the slowest twentieth waited than before; a figure, and no verdict: the attack works on the same cores. */
  p95Ratio: number;
  memory: { before: number; peak: number };
}

export interface BesideOptions {
  neighbour: Neighbour;
  /** How long the neighbour is alone, first uncounted and then counted. */
  warmUpMs: number;
  baselineMs: number;
  /** Of the gateway, now. */
  memoryMiB: () => number;
  signal: AbortSignal;
}

/** Lets the neighbour order for a while alone, and then beside the attack. What broke for it is a violation like any other. */
export async function besideNeighbour<Outcome extends { violations: Violation[] }>(
  { neighbour, warmUpMs, baselineMs, memoryMiB, signal }: BesideOptions,
  attack: () => Promise<Outcome>,
): Promise<Outcome & { beside: Beside }> {
  const pause = (ms: number) => delay(ms, undefined, { signal }).catch(() => undefined);
  await pause(warmUpMs);
  neighbour.enter('before');
  await pause(baselineMs);
  const memory = { before: memoryMiB(), peak: memoryMiB() };
  const watching = setInterval(() => (memory.peak = Math.max(memory.peak, memoryMiB())), 100);
  neighbour.enter('during');
  const end = () => (clearInterval(watching), neighbour.stop());
  const attacked = await attack().catch(async (error: unknown) => {
    await end();
    throw error;
  });
  const { violations, ...answers } = await end();
  const p95Ratio = rounded(answers.during.p95 / answers.before.p95);
  return { ...attacked, violations: [...attacked.violations, ...violations], beside: { ...answers, p95Ratio, memory } };
}
