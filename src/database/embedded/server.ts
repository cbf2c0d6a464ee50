import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type Socket } from 'node:net';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { identityOf, type Account } from './account';
import { type PostgresBinaries } from './binaries';
import { type Cluster } from './cluster';
import { commandLineOf, endProcess, isAlive } from './processes';

/** A postmaster that takes connections. */
export interface Server {
  pid: number;
  /** Resolves when it is gone, whoever ended it. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

export interface ServerOptions {
  cluster: Cluster;
  binaries: PostgresBinaries;
  account: Account;
  port: number;
  /** Where the server writes what it has to say. */
  logPath: string;
  /** Called once when readiness takes long, which is a recovery after a crash. */
  onRecovery: () => void;
}

/** Thrown when the port went to somebody else between our look and the server's start. */
export class PortTakenError extends Error {}

/**
 * Starts the server and waits until it takes connections, however long its recovery takes. Rejects with one line and the end of its
 * log when it ends instead.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const logStart = sizeOf(options.logPath);
  const child = launch(options);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const { pid } = child;
  if (pid === undefined) {
    const reason = await new Promise<Error>((resolve) => child.once('error', resolve));
    throw new Error(
      `The embedded Postgres could not be started: ${reason.message}. Put that right, or set DATABASE_URL to a Postgres of your own.`,
    );
  }
  const stop = () => {
    // Whoever stops it waits for its end, and this process must live to hear of it.
    child.ref();
    return stopServer(pid);
  };
  const server = { pid, ended, stop };
  stopWhenWeDie(server);
  await waitUntilReady(pid, options, logStart);
  return server;
}

/** A postmaster on this data whose parent was killed: ends it, so that the next start finds one known state. False when there was none. */
export async function stopLeftover(cluster: Cluster): Promise<boolean> {
  const pid = readPostmaster(cluster)?.pid;
  if (pid === undefined) return false;
  if (isAlive(pid) && commandLineOf(pid)?.includes(cluster.dataDir)) {
    await stopServer(pid);
    return true;
  }
  // The number may by now belong to a stranger, for whose sake Postgres would refuse to start.
  await rm(join(cluster.dataDir, 'postmaster.pid'), { force: true });
  return false;
}

/** `fast` ends sessions and writes a checkpoint; `immediate` leaves that to the next start's recovery. */
async function stopServer(pid: number): Promise<void> {
  const gone = await endProcess(pid, [
    ['SIGINT', 30_000],
    ['SIGQUIT', 10_000],
    ['SIGKILL', 5_000],
  ]);
  if (!gone)
    throw new Error(
      `The embedded Postgres with pid ${pid} did not end, not even when killed. Look at what it waits for: ps -o stat,wchan -p ${pid}`,
    );
}

function launch({ cluster, binaries, account, port, logPath }: ServerOptions): ChildProcess {
  const [command = binaries.postgres, ...rest] = [...account.prefix, binaries.postgres, '-D', cluster.dataDir, ...settings(port)];
  const logFile = openSync(logPath, 'a', 0o600);
  try {
    const child = spawn(command, rest, {
      ...identityOf(account),
      cwd: cluster.dataDir,
      env: { ...process.env, ...binaries.environment, LC_ALL: 'C' },
      stdio: ['ignore', logFile, logFile],
      // A Ctrl-C at the terminal goes to the whole process group; the database must outlive the drain.
      detached: true,
    });
    child.unref();
    return child;
  } finally {
    closeSync(logFile);
  }
}

function settings(port: number): string[] {
  return Object.entries({
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    password_encryption: 'scram-sha-256',
    max_connections: 100,
    shared_buffers: `${sharedBuffersMib()}MB`,
    // What a COMMIT promises holds through a power cut.
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    wal_compression: 'on',
    max_wal_size: '1GB',
    checkpoint_timeout: '5min',
    // Hot rows and the outbox leave dead rows faster than the defaults collect them.
    autovacuum_naptime: '10s',
    autovacuum_vacuum_scale_factor: 0.05,
    autovacuum_analyze_scale_factor: 0.05,
    autovacuum_vacuum_cost_limit: 1000,
    random_page_cost: 1.1,
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Refused statements are told to their sender, who logs what matters.
    log_min_messages: 'log',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * An eighth of the memory, from 128 MiB to a gigabyte; pages that are never used cost nothing. The indexes of a million orders are
 * larger than 128 MiB.
 */
function sharedBuffersMib(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Infinity);
  return Math.round(Math.min(1024, Math.max(128, memory / 8 / 2 ** 20)));
}

async function waitUntilReady(
  pid: number,
  { cluster, logPath, port, onRecovery }: ServerOptions,
  logStart: number,
): Promise<void> {
  const slow = setTimeout(onRecovery, 3_000);
  try {
    for (;;) {
      const postmaster = readPostmaster(cluster);
      if (postmaster?.pid === pid && postmaster.status === 'ready') return;
      if (!isAlive(pid)) throw failure(readFrom(logPath, logStart), logPath, port);
      await delay(10);
    }
  } finally {
    clearTimeout(slow);
  }
}

function failure(log: string, logPath: string, port: number): Error {
  if (log.includes('could not bind')) return new PortTakenError(`Port ${port} is taken.`);
  const lines = log.trim().split('\n');
  const cause = lines.find((line) => /FATAL|PANIC/.test(line)) ?? lines.at(-1) ?? '';
  const words = cause.replace(/^.*?(FATAL|PANIC): */, '') || 'it ended without a word';
  return new Error(`The embedded Postgres did not start: ${words}. The end of ${logPath}:\n  ${lines.slice(-8).join('\n  ')}`);
}

/** The first and eighth line of `postmaster.pid`. */
function readPostmaster(cluster: Cluster): { pid: number; status: string } | undefined {
  try {
    const lines = readFileSync(join(cluster.dataDir, 'postmaster.pid'), 'utf8').split('\n');
    const pid = Number(lines[0]);
    return Number.isSafeInteger(pid) && pid > 1 ? { pid, status: lines[7]?.trim() ?? '' } : undefined;
  } catch {
    return undefined;
  }
}

/** A shell that reads from us: when we die, however we die, it reads the end and tells the server to stop. It goes when the server goes. */
function stopWhenWeDie(server: Server): void {
  const watcher = spawn('/bin/sh', ['-c', 'read _; kill -INT "$0"', String(server.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.on('error', () => undefined);
  watcher.unref();
  (watcher.stdin as Socket).unref();
  void server.ended.then(() => watcher.kill('SIGKILL'));
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function readFrom(path: string, start: number): string {
  return readFileSync(path).subarray(start).toString('utf8');
}
