import { below, type Random } from '../random';

/** One simulated operating system process. Once it is dead, nothing that was to happen in it happens any more. */
export interface SimulatedProcess {
  readonly name: string;
  isAlive: boolean;
  /** Until then it is stopped, and what is due in it waits. */
  pausedUntilMs: number;
  /** How far its clock is off. */
  clockErrorMs: number;
}

/** Something that will happen, unless its `work` is taken away. */
export interface Happening {
  dueUs: number;
  /** Among happenings that are due at the same moment the smallest is first. */
  tie: number;
  process: SimulatedProcess;
  label: string;
  work?: () => void;
}

/**
 * An event loop on virtual time, for any number of simulated processes. It takes the happening that is due next; among those due
 * at the same moment the seed chooses, save that the immediates of one process keep their order, as they do in Node. After each,
 * all promise jobs run to their end, so what a happening sets off belongs to its process and to no other.
 */
export class Scheduler {
  /** In whose name the code that runs this moment is running. */
  current: SimulatedProcess;
  readonly trace: string[] = [];
  private nowUs = 0;
  private readonly heap: Happening[] = [];
  private readonly outside: SimulatedProcess = aProcess('outside');
  private readonly lastImmediate = new WeakMap<SimulatedProcess, Happening>();
  private isStopped = false;

  constructor(readonly random: Random) {
    this.current = this.outside;
  }

  get nowMs(): number {
    return this.nowUs / 1_000;
  }

  /** Has `work` done in this process after so long. */
  at(delayMs: number, process: SimulatedProcess, label: string, work: () => void): Happening {
    const dueUs = this.nowUs + Math.round(delayMs * 1_000);
    return this.push({ dueUs, tie: this.random(), process, label, work });
  }

  /** Has `work` done in the current process as soon as possible, and after its earlier immediates. */
  immediately(label: string, work: () => void): Happening {
    const last = this.lastImmediate.get(this.current);
    const tie = last?.dueUs === this.nowUs ? last.tie + this.random() : this.random();
    const happening = this.push({ dueUs: this.nowUs, tie, process: this.current, label, work });
    this.lastImmediate.set(this.current, happening);
    return happening;
  }

  /** Writes down what was decided. The trace of a seed is the same on every run. */
  note(text: string): void {
    this.trace.push(`${this.nowUs} ${text}`);
  }

  chance(probability: number): boolean {
    return probability > 0 && this.random() < probability;
  }

  /** From `fromMs` to `toMs`, in whole microseconds. */
  between(fromMs: number, toMs: number): number {
    return fromMs + below((toMs - fromMs) * 1_000, this.random) / 1_000;
  }

  stop(): void {
    this.isStopped = true;
  }

  /** Runs until it is stopped, or nothing is left to happen. Rejects with what a happening threw: nobody else could catch it. */
  run(nextTurn: (step: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = () => {
        try {
          if (!this.takeNext()) return resolve();
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)));
        }
        nextTurn(step);
      };
      nextTurn(step);
    });
  }

  private takeNext(): boolean {
    this.current = this.outside;
    while (!this.isStopped && this.heap.length > 0) {
      const happening = this.pop();
      if (this.isDue(happening)) {
        this.happen(happening);
        return true;
      }
    }
    return false;
  }

  private isDue(happening: Happening): boolean {
    const { work, process } = happening;
    if (!work || !process.isAlive) return false;
    const pausedUntilUs = Math.round(process.pausedUntilMs * 1_000);
    if (pausedUntilUs <= happening.dueUs) return true;
    happening.dueUs = pausedUntilUs;
    this.push(happening);
    return false;
  }

  private happen({ dueUs, process, label, work }: Happening): void {
    if (this.trace.length > TRACE_MAX)
      throw new Error(`No end in sight: the last of the trace is\n${this.trace.slice(-20).join('\n')}`);
    this.nowUs = dueUs;
    this.current = process;
    this.trace.push(`${dueUs} ${process.name}: ${label}`);
    work!();
  }

  private push(happening: Happening): Happening {
    const { heap } = this;
    let index = heap.push(happening) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(happening, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = happening;
    return happening;
  }

  private pop(): Happening {
    const { heap } = this;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let index = 0;
    for (let child = 1; child < heap.length; child = 2 * index + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
    return first;
  }
}

/** A hundred times what the longest simulation takes: beyond it, something turns in circles. */
const TRACE_MAX = 300_000;

export function aProcess(name: string): SimulatedProcess {
  return { name, isAlive: true, pausedUntilMs: 0, clockErrorMs: 0 };
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.dueUs < b.dueUs || (a.dueUs === b.dueUs && a.tie < b.tie);
}
