import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** True while the process runs. A zombie, dead but not yet collected by its parent, counts as dead. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, under another user.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !['Z', 'X'].includes(statFields(pid)?.[0] ?? '');
}

/**
 * Tells two processes with the same pid apart, also across a reboot: the moment it started. Undefined when it does not run or the
 * system does not say.
 */
export function birthOf(pid: number): string | undefined {
  const fields = statFields(pid);
  if (fields !== undefined) return `${readText('/proc/sys/kernel/random/boot_id') ?? ''}/${fields[19]}`.trim();
  return psColumn(pid, 'lstart');
}

/** How it was called, its arguments separated by spaces. Undefined when it does not run. */
export function commandLineOf(pid: number): string | undefined {
  const text = readText(`/proc/${pid}/cmdline`);
  return text === undefined ? psColumn(pid, 'command') : text.replaceAll('\0', ' ');
}

/** Signals in turn until it is gone: each `[signal, how long to wait for it in ms]`. False when it outlived them all. */
export async function endProcess(pid: number, signals: readonly (readonly [NodeJS.Signals, number])[]): Promise<boolean> {
  for (const [signal, limitMs] of signals) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
      throw error;
    }
    if (await becomesTrue(() => !isAlive(pid), limitMs)) return true;
  }
  return false;
}

/** Looks every 20 ms; false when it was not true by then. */
export async function becomesTrue(condition: () => boolean, limitMs: number): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await delay(20);
  }
  return true;
}

/** Linux only: what stands in /proc/<pid>/stat behind the name, which may itself contain spaces and brackets; `[0]` is the state, `[19]` the start. */
function statFields(pid: number): string[] | undefined {
  const text = readText(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ');
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** For systems without /proc. */
function psColumn(pid: number, column: string): string | undefined {
  try {
    return (
      execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).trim() || undefined
    );
  } catch {
    return undefined;
  }
}
