/** What a start tells the terminal, a line a step; plain text, so that it reads the same in a log file. */
export interface StartScreen {
  /** Runs a step and prints one line for it: ✔ with its detail and time, or ✖. Rethrows: the last line says why, and what to do. */
  step<T>(name: string, work: () => Promise<{ value: T; detail: string }>): Promise<T>;
  line(text?: string): void;
}

export function createStartScreen(write: (text: string) => void): StartScreen {
  return {
    async step(name, work) {
      const startedAt = performance.now();
      try {
        const { value, detail } = await work();
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        write(`✔ ${name.padEnd(10)} ${detail.padEnd(58)} ${seconds.padStart(5)} s\n`);
        return value;
      } catch (error) {
        write(`✖ ${name.padEnd(10)} failed\n`);
        throw error;
      }
    },
    line: (text = '') => write(`${text}\n`),
  };
}
