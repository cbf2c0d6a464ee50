import { spawn } from 'node:child_process';
import { writeSync } from 'node:fs';

/** Something that is to go wrong: at which passing of which point, and how. */
export interface Fault {
  name: string;
  /** From 1; `every` passing, for slowness that stays. */
  nth: number | 'every';
  action: FaultAction;
  /** Seconds of a stop, milliseconds of a delay; without meaning for the others. */
  argument: number;
}

/**
 * - `kill9`: SIGKILL to ourselves, as by the kernel when memory runs out.
 * - `throw`: an error out of that very line.
 * - `stop`: SIGSTOP to ourselves, and SIGCONT after the argument, 5 to 30 s: a machine that freezes and wakes up with old ideas.
 * - `delay`: the whole process stands still for the argument, 1 to 30,000 ms, as in a long collection of garbage.
 */
export const faultActions = ['kill9', 'throw', 'stop', 'delay'] as const;
export type FaultAction = (typeof faultActions)[number];

/** What the `throw` action throws. */
export class InjectedFault extends Error {
  override name = 'InjectedFault';
}

export function perform(fault: Fault): void {
  say(`failpoint ${fault.name} fires: ${fault.action}`);
  switch (fault.action) {
    case 'kill9':
      process.kill(process.pid, 'SIGKILL');
      return standStill(1_000);
    case 'throw':
      throw new InjectedFault(`failpoint ${fault.name}`);
    case 'stop':
      wakeAfter(fault.argument);
      process.kill(process.pid, 'SIGSTOP');
      return;
    case 'delay':
      return standStill(fault.argument);
    default:
      return fault.action satisfies never;
  }
}

/** Written before anything else happens: a killed process has no later. */
export function say(line: string): void {
  try {
    writeSync(2, `${line}\n`);
  } catch {
    // Nobody reads stderr any more: the fault is what counts.
  }
}

/** By a process of its own, for a stopped one cannot wake itself. */
function wakeAfter(seconds: number) {
  const script = 'sleep "$0"; kill -CONT "$1"';
  spawn('sh', ['-c', script, String(seconds), String(process.pid)], { detached: true, stdio: 'ignore' }).unref();
}

function standStill(ms: number) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
