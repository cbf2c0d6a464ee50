import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A TypeScript program of test/support that runs in a process of its own. */
export interface Child {
  process: ChildProcess;
  pid: number;
  /** Its first line of output, as JSON. Rejects with what it wrote to stderr when it ends without one. */
  firstLine<Line>(): Promise<Line>;
  /** Signals it, unless it has ended, and waits for its end. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export function startChild(program: string, ...args: string[]): Child {
  const child = spawn(process.execPath, [join(__dirname, 'runTypeScript.cjs'), join(__dirname, program), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  const complaints: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => complaints.push(text));
  const line = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void ended.then(() => reject(new Error(`${program} ended without a word on stdout: ${complaints.join('')}`)));
  });
  line.catch(() => undefined);
  return {
    process: child,
    pid: child.pid!,
    firstLine: async <Line>() => JSON.parse(await line) as Line,
    end: async (signal) => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    },
  };
}
