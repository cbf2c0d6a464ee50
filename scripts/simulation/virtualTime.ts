import timers from 'node:timers';
import timersPromises from 'node:timers/promises';

import { substitute } from '../substitute';
import { type Happening, type Scheduler } from './scheduler';

/** Runs all of a simulation under its own time. */
export async function underVirtualTime(scheduler: Scheduler, begin: () => void): Promise<void> {
  active = scheduler;
  try {
    begin();
    await scheduler.run(real.setImmediate);
  } finally {
    active = undefined;
  }
}

/** The scheduler of the simulation that runs; there is one at a time. */
export function activeScheduler(): Scheduler | undefined {
  return active;
}

let active: Scheduler | undefined;
const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = timers;
const real = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate };
const realPromises = { ...timersPromises };
const RealDate = Date;

/** When every simulation begins. */
export const EPOCH_MS = RealDate.UTC(2026, 0, 1);

class VirtualTimer {
  constructor(public happening: Happening) {}
  unref = () => this;
  ref = () => this;
  hasRef = () => true;
  refresh = () => this;
}

type Callback = (...values: unknown[]) => void;

function startTimer(callback: Callback, delayMs = 0, ...values: unknown[]) {
  if (!active) return real.setTimeout(callback, delayMs, ...values);
  return new VirtualTimer(active.at(atLeastOne(delayMs), active.current, 'timer', () => callback(...values)));
}

function startInterval(callback: Callback, delayMs = 0, ...values: unknown[]) {
  if (!active) return real.setInterval(callback, delayMs, ...values);
  const { current } = active;
  const next = (): Happening =>
    active!.at(atLeastOne(delayMs), current, 'interval', () => {
      timer.happening = next();
      callback(...values);
    });
  const timer = new VirtualTimer(next());
  return timer;
}

function startImmediate(callback: Callback, ...values: unknown[]) {
  if (!active) return real.setImmediate(callback, ...values);
  return new VirtualTimer(active.immediately('immediate', () => callback(...values)));
}

function stopTimer(timer: unknown): void {
  if (timer instanceof VirtualTimer) timer.happening.work = undefined;
  else real.clearTimeout(timer as NodeJS.Timeout);
}

function passed(delayMs: number, value: unknown, signal?: AbortSignal): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const aborted = () => new DOMException('The operation was aborted', 'AbortError');
    if (signal?.aborted) return reject(aborted());
    const happening = active!.at(atLeastOne(delayMs), active!.current, 'timer', () => {
      signal?.removeEventListener('abort', abort);
      resolve(value);
    });
    const abort = () => {
      happening.work = undefined;
      reject(aborted());
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** As Node counts: no timer is shorter than a millisecond. */
function atLeastOne(delayMs: number): number {
  return delayMs >= 1 ? delayMs : 1;
}

/** The clock of the process in whose name the code runs, right or wrong. */
function now(): number {
  return active ? Math.floor(EPOCH_MS + active.nowMs + active.current.clockErrorMs) : RealDate.now();
}

function virtualDate(): DateConstructor {
  return new Proxy(RealDate, {
    construct: (target, values) => (values.length === 0 ? new target(now()) : Reflect.construct(target, values)) as Date,
    get: (target, key) => (key === 'now' ? now : (Reflect.get(target, key) as unknown)),
  });
}

/**
 * Takes the clocks, timers and randomness of this Node process away from it. While a simulation runs, they are those of its
 * scheduler: nothing real leaks in. Otherwise they are Node's own.
 */
function installVirtualTime(): void {
  globalThis.setTimeout = startTimer as unknown as typeof setTimeout;
  globalThis.clearTimeout = stopTimer;
  globalThis.setInterval = startInterval as unknown as typeof setInterval;
  globalThis.clearInterval = stopTimer;
  globalThis.setImmediate = startImmediate as unknown as typeof setImmediate;
  globalThis.clearImmediate = stopTimer;
  globalThis.Date = virtualDate();
  const realNow = performance.now.bind(performance);
  performance.now = () => active?.nowMs ?? realNow();
  // The one place where randomness is not passed in: here it is taken away from whoever would take it from the air.
  const realRandom = Object.getOwnPropertyDescriptor(Math, 'random')!.value as () => number;
  Object.defineProperty(Math, 'random', { value: () => (active ? active.random() : realRandom()) });

  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = globalThis;
  substitute<typeof timers>('timers', () => ({
    ...{ setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate },
  }));
  substitute<typeof timersPromises>('timers/promises', () => ({
    setTimeout: ((delayMs: number, value: unknown, options?: { signal?: AbortSignal }) =>
      active ? passed(delayMs, value, options?.signal) : realPromises.setTimeout(delayMs, value, options)) as never,
    setImmediate: ((value: unknown) =>
      active
        ? new Promise((resolve) => active!.immediately('immediate', () => resolve(value)))
        : realPromises.setImmediate(value)) as never,
  }));
}

// Loading this file is enough, and it is to be loaded first: what others take from Node afterwards is ours.
installVirtualTime();
