import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';

import { certificateFault } from '../tls';
import { sqlStateOf } from './errors';
import { connectionTo } from './tls';
import { plainUrl } from './url';

/**
 * Runs `work` on a connection of its own, outside any pool, and closes it. For the few statements of setting up. Rejects with a
 * line that names the server, what it said and what to do when it cannot be reached or does not let us in.
 */
export async function withConnection<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    ...connectionTo(url),
    connectionTimeoutMillis: 10_000,
    application_name: 'holdfast setup',
  });
  // A lost connection shows in the next statement; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw new Error(`No connection to Postgres at ${new URL(url).host}: ${reasonOf(error)}. ${adviceFor(error)}`, {
      cause: error,
    });
  });
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * Resolves when Postgres takes our connections; asks again while it is away or starting up, and rejects with the last line it said
 * after `limitMs`. That it does not let us in or has no such database is final at once.
 */
export async function waitForPostgres(url: string, limitMs = 30_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return await withConnection(url, () => Promise.resolve());
    } catch (error) {
      if (isFinal(error) || performance.now() > deadline) throw error;
      await setTimeout(ASK_AGAIN_MS);
    }
  }
}

const ASK_AGAIN_MS = 250;

/** The server is there and said no: not "starting up", which is of class 57. Or it is not who it should be. */
function isFinal(error: unknown): boolean {
  if (isStranger((error as Error).cause)) return true;
  const state = sqlStateOf((error as Error).cause);
  return state !== undefined && !state.startsWith('57');
}

/** For the statements about databases, which cannot be given inside the one they are about. */
export async function onMaintenanceDatabase(url: string, statement: string): Promise<void> {
  await withConnection(plainUrl(url, 'postgres'), (client) => client.query(statement));
}

/** A refused connection to a name with several addresses has its reasons inside and no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return certificateFault(error) ?? (error instanceof Error ? error.message : String(error));
}

/** Nothing was said to it, for it could not prove to be the server, or does not speak TLS at all. */
function isStranger(error: unknown): boolean {
  return certificateFault(error) !== undefined || (error instanceof Error && error.message.includes('does not support SSL'));
}

/** SQLSTATE class 28: the server is there, and does not let us in. */
function adviceFor(error: unknown): string {
  if (isStranger(error))
    return 'Nothing was sent to it. Correct its certificate, or sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL.';
  return sqlStateOf(error)?.startsWith('28')
    ? 'Correct the user and password in DATABASE_URL.'
    : 'Start it, or correct DATABASE_URL.';
}
