import { mkdir, stat, truncate } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { withConnection } from '../connection';
import { silent, type DatabaseLog } from '../log';
import { plainUrl } from '../url';
import { chooseAccount } from './account';
import { findPostgresBinaries } from './binaries';
import { openCluster } from './cluster';
import { takeOwnership, type Ownership } from './ownership';
import { choosePort, keepPort } from './port';
import { PortTakenError, startServer, stopLeftover, type Server, type ServerOptions } from './server';

/** A running Postgres that belongs to this process. */
export interface EmbeddedPostgres {
  /** With user and password, for the database `holdfast`, which exists. */
  readonly url: string;
  readonly port: number;
  /** For people, as `18.4`. */
  readonly version: string;
  /** True when the data was created by this start. */
  readonly isNew: boolean;
  /** Of the server's first process; another one after it was killed and started again. */
  readonly pid: number;
  /** Ends sessions, writes everything down and frees the data folder for the next. Safe to call twice. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** The data folder of this Holdfast; the server's files are in `<dataDir>/postgres`. Created when missing. */
  dataDir: string;
  /** The port to prefer; another free one is taken when it is busy, and kept for the next start. */
  port?: number;
  log?: DatabaseLog;
}

/**
 * Starts the Postgres that npm installed, on the data in `dataDir`, creating it the first time. It listens on 127.0.0.1 only and lets
 * in nobody without the generated password.
 *
 * A server that a killed Holdfast left behind is stopped first and a fresh one started: that ends the dead process's transactions
 * and locks at once, and leaves one state to reason about. A server that dies under us is started again, on the same port.
 *
 * Rejects with a line for people when the folder is in use, when there are no programs for this machine, or when the server does not
 * start; then nothing is left running.
 */
export async function startEmbeddedPostgres({
  dataDir,
  port = 5433,
  log = silent,
}: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const folder = resolve(dataDir);
  const ownership = await takeFolder(folder);
  try {
    return await startOwned(folder, port, ownership, log);
  } catch (error) {
    await ownership.release();
    throw error;
  }
}

/** Others may pass through the folder, because the user who runs Postgres for root must; they can neither list it nor read what is in it. */
async function takeFolder(folder: string): Promise<Ownership> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o711 });
    return await takeOwnership(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new Error(
      `The data folder ${folder} cannot be written (${code}). Make room or put its rights in order, or set HOLDFAST_DATA to another folder.`,
      { cause: error },
    );
  }
}

async function startOwned(
  folder: string,
  preferredPort: number,
  ownership: Ownership,
  log: DatabaseLog,
): Promise<EmbeddedPostgres> {
  const clusterDir = join(folder, 'postgres');
  const binaries = await findPostgresBinaries(join(folder, 'postgres-libraries'));
  const account = chooseAccount({ program: binaries.postgres, clusterDir, dataDir: folder });
  const cluster = await openCluster(clusterDir, binaries, account);
  if (await stopLeftover(cluster)) log('warn', 'Stopped the Postgres that an earlier Holdfast left behind');

  const logPath = join(folder, 'postgres.log');
  await boundLog(logPath);
  const onRecovery = () => log('info', 'Postgres is recovering from a crash; this can take a while');
  const { server, port } = await startOnFreePort({ cluster, binaries, account, logPath, onRecovery }, clusterDir, preferredPort);
  const url = `postgresql://holdfast:${cluster.password}@127.0.0.1:${port}/holdfast`;
  const supervision = supervise(server, () => startServer({ cluster, binaries, account, logPath, onRecovery, port }), log);
  try {
    const version = await prepareDatabase(url);
    return {
      url,
      port,
      version,
      isNew: cluster.isNew,
      get pid() {
        return supervision.pid();
      },
      stop: once(async () => {
        await supervision.stop();
        await ownership.release();
      }),
    };
  } catch (error) {
    await supervision.stop();
    throw error;
  }
}

const logSizeMaxBytes = 10 * 1024 * 1024;

async function boundLog(logPath: string): Promise<void> {
  const size = await stat(logPath).then(
    ({ size }) => size,
    () => 0,
  );
  if (size > logSizeMaxBytes) await truncate(logPath);
}

async function startOnFreePort(
  options: Omit<ServerOptions, 'port'>,
  clusterDir: string,
  preferred: number,
): Promise<{ server: Server; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = await choosePort(clusterDir, preferred);
    try {
      const server = await startServer({ ...options, port });
      await keepPort(clusterDir, port);
      return { server, port };
    } catch (error) {
      const canTryAgain = error instanceof PortTakenError || (await stopLeftover(options.cluster));
      if (!canTryAgain || attempt === 5) throw error;
    }
  }
}

/** Keeps a server running until told to stop: one that ends by itself is started again, after 0.1 s and then ever longer, up to 5 s. */
function supervise(first: Server, startAgain: () => Promise<Server>, log: DatabaseLog) {
  let server = first;
  let stopping = false;
  const run = async () => {
    for (let failures = 0; ; ) {
      await server.ended;
      if (stopping) return;
      log('error', 'Postgres ended by itself; starting it again', { pid: server.pid });
      await delay(Math.min(100 * 2 ** failures, 5_000), undefined, { ref: false });
      if (stopping) return;
      try {
        server = await startAgain();
        if (stopping) return await server.stop();
        failures = 0;
        log('info', 'Postgres is back', { pid: server.pid });
      } catch (error) {
        failures += 1;
        log('error', error instanceof Error ? error.message : String(error));
      }
    }
  };
  const running = run();
  return {
    pid: () => server.pid,
    stop: async () => {
      stopping = true;
      await server.stop();
      await running;
    },
  };
}

/** The server's version, once the database exists. */
function prepareDatabase(url: string): Promise<string> {
  return withConnection(plainUrl(url, 'postgres'), async (client) => {
    const found = await client.query(`SELECT 1 FROM pg_database WHERE datname = 'holdfast'`);
    if (found.rowCount === 0) await client.query('CREATE DATABASE holdfast');
    const { rows } = await client.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version.split(' ')[0] ?? 'unknown';
  });
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}
