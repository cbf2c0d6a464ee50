import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';

import { readConfig } from '../../src/config';
import { developmentSecret, identitySettings, signToken } from '../../src/identity';
import { eventually } from './eventually';

/** Holdfast as its users start it: a process of its own, to be watched, signalled and killed. */
export interface HoldfastProcess {
  pid: number;
  /** Everything it has written to stdout so far. */
  screen: () => string;
  /** Everything it has written to stderr so far. */
  complaints: () => string;
  /** Where it answers HTTP; the process is ready when this resolves. Rejects with what it wrote when it ends before. */
  url: () => Promise<string>;
  ended: Promise<number | null>;
  /** The signal that ended it, its own or ours; null when it ended by itself. */
  endedBy: Promise<NodeJS.Signals | null>;
  /** Sends the signal and waits for the end; gives the exit code. */
  end: (signal: NodeJS.Signals) => Promise<number | null>;
  signal: (signal: NodeJS.Signals) => void;
  ask: <T>(query: string, variables?: Record<string, unknown>) => Promise<T>;
}

export function startHoldfast(environment: Record<string, string>, ...args: string[]): HoldfastProcess {
  const root = join(__dirname, '..', '..');
  const program = [join(__dirname, 'runTypeScript.cjs'), join(root, 'src', 'main.ts'), ...args];
  const { PATH, HOME } = process.env;
  // On a data folder of its own it makes a secret of its own, as for anybody who starts it for the first time.
  const login = environment['HOLDFAST_DATA'] ? {} : { AUTH_SECRET: randomBytes(32).toString('hex') };
  const env = { PATH, HOME, PORT: '0', GRPC_PORT: '0', POSTGRES_PORT: '0', LOG_LEVEL: 'warn', ...login, ...environment };
  const child: ChildProcess = spawn(process.execPath, program, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const ended = closed.then(([code]) => code);
  const endedBy = closed.then(([, signal]) => signal);
  let [screen, complaints] = ['', ''];
  let hasEnded = false;
  let authorization: string | undefined;
  void ended.then(() => (hasEnded = true));
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (screen += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  return {
    ...{ pid: child.pid!, ended, endedBy, screen: () => screen, complaints: () => complaints, url },
    signal: (signal) => void child.kill(signal),
    end: (signal) => (child.kill(signal), ended),
    ask,
  };

  async function url() {
    const found = await eventually(() => /Health +(https?:\S+)\/health/.exec(screen)?.[1] ?? (hasEnded ? 'ended' : undefined));
    if (found === 'ended') throw new Error(`Holdfast ended before it was ready:\n${screen}${complaints}`);
    return found;
  }

  async function ask<T>(query: string, variables?: Record<string, unknown>): Promise<T> {
    const base = await url();
    authorization ??= await operatorOf(env);
    const headers = { 'content-type': 'application/json', authorization };
    const response = await fetch(`${base}/graphql`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data: T; errors?: object };
    if (errors) throw new Error(`GraphQL failed: ${JSON.stringify(errors)}`);
    return data;
  }
}

async function operatorOf(environment: Record<string, string | undefined>): Promise<string> {
  const config = readConfig(environment);
  const settings = identitySettings(config) ?? (await developmentSecret(config.HOLDFAST_DATA));
  return `Bearer ${await signToken(settings!, { role: 'operator', name: 'test' }, 3_600)}`;
}
