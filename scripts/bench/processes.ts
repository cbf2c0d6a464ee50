import { fork, spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { extname, join } from 'node:path';

import { builtProgram } from '../chaos/fleet';
import { type Told } from './workers/serve';

/** A process of the bench's own, its words in a log file. */
export interface OwnProcess {
  readonly name: string;
  readonly pid: number;
  /** Rejects when it ends before it is told to: a bench of a process that died is worth nothing. */
  readonly untimelyEnd: Promise<never>;
  /** SIGTERM lets it finish what is under way; SIGKILL does not. Resolves when it is gone, with its signal or `code 0`. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<string>;
}

/** Starts Holdfast itself, with nothing of our environment but what is given. */
export function startHoldfast(options: {
  name: string;
  folder: string;
  args: string[];
  settings: Record<string, string>;
}): OwnProcess {
  const { name, folder, args, settings } = options;
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, ...settings };
  const child = spawn(process.execPath, [...builtProgram, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  return owned(name, folder, child);
}

/** One of the bench's own programs, asked over a wire of its own. */
export interface Worker<Request, Reply> extends OwnProcess {
  ask(request: Request): Promise<Reply>;
}

export type WorkerName = 'load' | 'ceiling' | 'floor' | 'intake';

/** `aborted`: rejects when no answer is wanted any more. */
export function startWorker<Request extends object, Reply>(
  name: WorkerName,
  { folder, aborted }: { folder: string; aborted: Promise<never> },
): Worker<Request, Reply> {
  const { PATH, HOME } = process.env;
  const [program = '', ...args] = [...runner, join(__dirname, 'workers', `${name}${extname(__filename)}`)];
  const child = fork(program, args, { env: { PATH, HOME, NODE_ENV: 'production' }, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
  const worker = owned(name, folder, child);
  const ask = (request: Request) => {
    const told = new Promise<Reply>((resolve, reject) => {
      child.once('message', (message: Told<Reply>) =>
        'reply' in message ? resolve(message.reply) : reject(new Error(`${name}: ${message.fault}`)),
      );
    });
    child.send(request);
    return Promise.race([told, worker.untimelyEnd, aborted]);
  };
  return { ...worker, ask };
}

/** What runs a program for Node: nothing when it is built, a loader when a test runs the sources. */
const runner = builtProgram.slice(0, -1);

function owned(name: string, folder: string, child: ChildProcess): OwnProcess {
  const log = createWriteStream(join(folder, `${name}.log`), { flags: 'a' });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  let isOver = false;
  const over = endOf(child);
  const untimelyEnd = over.then((how): Promise<never> => {
    log.end();
    return isOver ? new Promise(() => undefined) : Promise.reject(new Error(`${name} ended by itself: ${how}`));
  });
  untimelyEnd.catch(() => undefined);
  return {
    name,
    pid: child.pid ?? 0,
    untimelyEnd,
    async end(signal) {
      isOver = true;
      child.kill(signal);
      const how = await over;
      child.stdout?.destroy();
      child.stderr?.destroy();
      return how;
    },
  };
}

/** How it ended: its signal, its code, or why it never began. */
function endOf(child: ChildProcess): Promise<string> {
  running.add(child);
  const over = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    child.on('error', (error) => child.pid === undefined && resolve(error.message));
  });
  void over.then(() => running.delete(child));
  return over;
}

/** A bench that ends at once, by a second signal, leaves nothing of its own behind. */
const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));
