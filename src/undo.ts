/** What was started, to be taken back in reverse. */
export interface Undo {
  add: (step: () => Promise<unknown>) => void;
  /** Takes everything back, the last first; a step that fails does not keep the others. Safe to call twice. */
  run: () => Promise<void>;
}

export function createUndo(): Undo {
  const steps: (() => Promise<unknown>)[] = [];
  return {
    add: (step) => void steps.push(step),
    async run() {
      for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
        await step().catch((error: unknown) => process.stderr.write(`not stopped cleanly: ${String(error)}\n`));
      }
    },
  };
}
