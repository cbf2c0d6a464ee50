import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readRuntime, type Runtime } from '../../src/database';
import { eventually } from '../support/eventually';

/** How a script ended. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Program {
  process: ChildProcess;
  /** What it has said so far. */
  stdout(): string;
  stderr(): string;
  ended: Promise<Ended>;
}

/** Starts a script, or Holdfast itself, as a process of its own with nothing of our environment but what is given; `input` is what somebody types. */
export function startProgram(file: string, args: string[], environment: Record<string, string>, input?: string): Program {
  const runTypeScript = join(__dirname, '..', 'support', 'runTypeScript.cjs');
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, HOLDFAST_DATA: join(tmpdir(), 'holdfast-none'), ...environment };
  const child = spawn(process.execPath, [runTypeScript, file, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...out }));
  return { process: child, stdout: () => out.stdout, stderr: () => out.stderr, ended };
}

export const runProgram = (...started: Parameters<typeof startProgram>) => startProgram(...started).ended;

/** Holdfast and the scripts beside it share it. */
const AUTH_SECRET = randomBytes(32).toString('hex');

/** A whole Holdfast in a process of its own, on a data folder and ports of its own. */
export interface OwnHoldfast {
  /** What a script needs to find it. */
  environment: Record<string, string>;
  /** Where GraphQL is served, as its screen says. */
  url: string;
  /** What it wrote for the scripts beside it; nothing when it was given a DATABASE_URL. */
  runtime?: Runtime;
  /** Ends it, and starts it again on the same data and ports when `start` is called. */
  kill9(): Promise<void>;
  start(): Promise<void>;
  /** Ends it for good. */
  remove(): Promise<void>;
}

export async function anOwnHoldfast(environment: Record<string, string> = {}): Promise<OwnHoldfast> {
  const dataDir = mkdtempSync(join(tmpdir(), 'holdfast-scripts-'));
  const settings = {
    HOLDFAST_DATA: dataDir,
    PORT: '0',
    GRPC_PORT: '0',
    POSTGRES_PORT: '0',
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    DRAIN_SECONDS: '5',
    AUTH_SECRET,
  };
  let program: Program | undefined;
  const holdfast: OwnHoldfast = {
    environment: { HOLDFAST_DATA: dataDir, AUTH_SECRET, ...environment },
    url: '',
    kill9,
    start,
    remove,
  };
  await start().catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return holdfast;

  async function start() {
    const { gatewayPort = 0, databaseUrl } = holdfast.runtime ?? {};
    const ports = { PORT: String(gatewayPort), GRPC_PORT: '0', POSTGRES_PORT: databaseUrl ? new URL(databaseUrl).port : '0' };
    const started = startProgram('src/main.ts', ['--no-seed'], { ...settings, ...ports, ...environment });
    program = started;
    const failed = started.ended.then(({ stderr }) => Promise.reject(new Error(`Holdfast ended: ${stderr}`)));
    failed.catch(() => undefined);
    const urlOnScreen = () => /GraphQL +(http\S+)/.exec(started.stdout())?.[1];
    holdfast.url = await Promise.race([eventually(urlOnScreen), failed]);
    holdfast.runtime = await readRuntime(dataDir);
  }

  async function kill9() {
    program!.process.kill('SIGKILL');
    await program!.ended;
  }

  async function remove() {
    program!.process.kill('SIGTERM');
    await program!.ended;
    rmSync(dataDir, { recursive: true, force: true });
  }
}
