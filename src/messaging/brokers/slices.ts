/** Runs many small pieces of work in order, a bounded slice per turn of the event loop. */
export interface Slices {
  add(work: () => void): void;
  /** Resolves in the turn that its place in the line comes up. */
  next(): Promise<void>;
}

/**
 * Timers, sockets and requests get their turn after every slice, however much work is added: a flood of messages makes itself
 * wait, not everyone else. A piece of work that throws breaks the program, so pieces catch what they can decide about.
 */
export function createSlices(): Slices {
  let line: (() => void)[] = [];
  let at = 0;
  let scheduled = false;

  function runSlice(): void {
    const end = performance.now() + sliceMs;
    for (let count = 0; count < slicePieces && at < line.length; count++) {
      line[at++]?.();
      if (performance.now() > end) break;
    }
    if (at === line.length) {
      line = [];
      at = 0;
      scheduled = false;
    } else {
      if (at > 10_000) {
        line = line.slice(at);
        at = 0;
      }
      setImmediate(runSlice);
    }
  }

  function add(work: () => void): void {
    line.push(work);
    if (scheduled) return;
    scheduled = true;
    setImmediate(runSlice);
  }

  return { add, next: () => new Promise((resolve) => add(resolve)) };
}

const slicePieces = 100;
const sliceMs = 2;
