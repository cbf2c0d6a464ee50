import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { freePort, type FleetMember } from './fleet';

/** A process that is told, life by life, at which failpoint to go wrong. Between its lives it is started again by itself. */
export interface Victim {
  readonly name: string;
  /** Ends the life that is under way, unless it is over already, and starts one with this FAIL; none for a life in peace. */
  live(fail?: string): Promise<void>;
  /** Resolves with the signal or code when the life that `live` began is over; undefined when it is not after so long. */
  death(limitMs: number): Promise<string | undefined>;
  /** How often a failpoint has fired in it, in all its lives. */
  fired(): number;
  ready(): Promise<void>;
}

/** A member of a fleet, which starts it again; this only says what is special about its next life. */
export function victimOf(member: FleetMember, folder: string): Victim {
  let isDoomed = false;
  let isOver = false;
  return {
    name: member.name,
    async live(fail) {
      const { starts } = member;
      const life = fail === undefined ? {} : { settings: { FAIL: fail }, doomed: true };
      if (isDoomed && isOver) member.plan(life);
      else await member.kill9(life);
      [isDoomed, isOver] = [fail !== undefined, false];
      while (member.starts === starts) await pause(10);
    },
    async death(limitMs) {
      const how = await within(member.ended(), limitMs);
      isOver = how !== undefined;
      return how;
    },
    fired: () => firedIn(join(folder, `${member.name}.log`)),
    ready: () => member.ready(),
  };
}

/** A Holdfast with everything inside, on a data folder that outlives it. */
export interface EmbeddedHoldfast extends Victim {
  readonly url: string;
  readonly dataDir: string;
  close(): Promise<void>;
}

export interface EmbeddedOptions {
  folder: string;
  name: string;
  settings: Record<string, string>;
  /** How `node` runs Holdfast; the built one, unless a test runs the sources. */
  program?: string[];
}

export async function createEmbeddedHoldfast(options: EmbeddedOptions): Promise<EmbeddedHoldfast> {
  const { folder, name, settings, program = [join(__dirname, '..', '..', 'src', 'main.js')] } = options;
  const port = await freePort();
  const dataDir = join(folder, name);
  const logFile = join(folder, `${name}.log`);
  const url = `http://127.0.0.1:${port}`;
  let over: Promise<string> = Promise.resolve('not started');
  let child: ChildProcess | undefined;

  async function end(signal: NodeJS.Signals) {
    child?.kill('SIGCONT');
    child?.kill(signal);
    await over;
  }

  return {
    ...{ name, dataDir, url: `${url}/graphql` },
    async live(fail) {
      await end('SIGKILL');
      const { PATH, HOME } = process.env;
      const given = {
        PORT: String(port),
        GRPC_PORT: '0',
        POSTGRES_PORT: '0',
        HOLDFAST_DATA: dataDir,
        ...(fail === undefined ? {} : { FAIL: fail }),
      };
      const log = openSync(logFile, 'a');
      const env = { PATH, HOME, ...settings, ...given };
      const started = spawn(process.execPath, [...program, '--no-seed'], { env, stdio: ['ignore', log, log] });
      closeSync(log);
      over = new Promise((resolve) => started.once('exit', (code, signal) => resolve(signal ?? `code ${code}`)));
      child = started;
    },
    death: (limitMs) => within(over, limitMs),
    fired: () => firedIn(logFile),
    async ready() {
      const deadline = performance.now() + READY_LIMIT_MS;
      while (!(await isReady(url))) {
        if (performance.now() > deadline)
          throw new Error(`${name} is not ready after ${READY_LIMIT_MS / 1000} s: see ${logFile}`);
        await pause(50);
      }
    },
    close: () => end('SIGTERM'),
  };
}

const READY_LIMIT_MS = 60_000;

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  await response?.text().catch(() => undefined);
  return response?.ok ?? false;
}

function firedIn(logFile: string): number {
  return readFileSync(logFile, 'utf8').match(/^failpoint \S+ fires: /gm)?.length ?? 0;
}

async function within<T>(event: Promise<T>, limitMs: number): Promise<T | undefined> {
  const limit = new AbortController();
  const late = pause(limitMs, undefined, { signal: limit.signal }).catch(() => undefined);
  return Promise.race([event, late]).finally(() => limit.abort());
}
