import { readdirSync, readFileSync } from 'node:fs';

/** What is known of every process at one moment, from /proc; empty where there is none. */
export class ProcessTable {
  private readonly rows = new Map<number, Row>();

  constructor() {
    for (const name of entries('/proc')) if (/^\d+$/.test(name)) this.add(Number(name));
  }

  /** A process with all it has started; those that have ended count as long as their parent has taken note. */
  tree(root: number): number[] {
    return this.rows.has(root) ? [root, ...this.children(root).flatMap((child) => this.tree(child))] : [];
  }

  children(pid: number): number[] {
    return [...this.rows].filter(([, { parent }]) => parent === pid).map(([child]) => child);
  }

  /** Processor time used so far, in the kernel and out of it. */
  cpuSeconds(pids: number[]): number {
    return pids.reduce((sum, pid) => sum + (this.rows.get(pid)?.cpuSeconds ?? 0), 0);
  }

  private add(pid: number): void {
    const text = read(`/proc/${pid}/stat`);
    // The name stands in parentheses and may hold anything, so fields are counted from the last one on.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields.length < 15) return;
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    this.rows.set(pid, { parent: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND });
  }
}

interface Row {
  parent: number;
  /** Its own and that of children that have ended. */
  cpuSeconds: number;
}

/** What Linux counts processor time in, on every machine that runs Node. */
const TICKS_PER_SECOND = 100;

/** The most memory that a process has held so far. */
export function peakMiB(pid: number): number {
  return mebibytes(/^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`)));
}

/** The memory that a process holds now. */
export function residentMiB(pid: number): number {
  return mebibytes(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`)));
}

/** The memory that processes hold together now, what they share counted once. */
export function sharedOutMiB(pids: number[]): number {
  return pids.reduce((sum, pid) => sum + mebibytes(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))), 0);
}

function mebibytes(match: RegExpExecArray | null): number {
  return Number(match?.[1] ?? 0) / 1_024;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
