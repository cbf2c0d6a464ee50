import { PrismaPg } from '@prisma/adapter-pg';
import { type Socket } from 'node:net';
import { Pool, type PoolClient, type QueryResult } from 'pg';

import { PrismaClient, type Prisma } from '../generated/prisma/client';
import { inspectingClient, type Inspect } from './inspectingClient';
import { silent, type DatabaseLog } from './log';
import { rememberStatements } from './preparedStatements';
import { connectionTo } from './tls';

/** Prisma's client over a pool of our own. Close it once; after that every call fails. */
export type Database = PrismaClient & {
  /** Waits for statements under way, then closes every connection. */
  close(): Promise<void>;
  /** How the pool stands this moment, for metrics and health. */
  connections(): Connections;
  /** How long ago the server last answered a statement, in milliseconds; Infinity before the first. */
  silentMs(): number;
};

/** What `transaction()` hands to its work: models, `$queryRaw`, `$executeRaw`, but no nested transaction. */
export type Transaction = Prisma.TransactionClient;

export interface Connections {
  open: number;
  idle: number;
  /** Callers that wait for a connection. Above zero for long means that the pool is too small for the load. */
  waiting: number;
  sizeMax: number;
}

export interface DatabaseOptions {
  url: string;
  /** Connections at most; each busy transaction holds one. */
  poolSize: number;
  /**
   * For a program that looks up few rows of large tables, again and again: each statement is parsed and planned once a connection,
   * and its plan goes by index whatever size the tables had then. Not for reports that read everything.
   */
  byIndex?: boolean;
  /** Shown in `pg_stat_activity`, to tell the roles apart. */
  applicationName?: string;
  /** How long a caller waits for a free or new connection before it is told that the database is unavailable. */
  connectionTimeoutMs?: number;
  /** The server cancels a statement that runs longer. Prisma's own timeout would leave it running. */
  statementTimeoutMs?: number;
  /** The server gives up waiting for a row lock after this. */
  lockTimeoutMs?: number;
  /** The server ends a session that sits in an open transaction and says nothing, so that its locks never outlive a stuck process. */
  idleInTransactionTimeoutMs?: number;
  log?: DatabaseLog;
}

/** Opens no connection yet: the first statement does. */
export function openDatabase(options: DatabaseOptions): Database {
  const { log = silent } = options;
  let answeredAt = -Infinity;
  const pool = openPool(options, (result, statement) => {
    answeredAt = performance.now();
    refuseSilentRollback(result, statement);
  });
  const adapter = new PrismaPg(pool, {
    onConnectionError: (error) => log('warn', 'A database connection was lost inside a transaction', { reason: error.message }),
  });
  const client = new PrismaClient({ adapter });
  return Object.assign(client, {
    close: async () => {
      await client.$disconnect();
      await pool.end();
    },
    connections: () => ({ open: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount, sizeMax: options.poolSize }),
    silentMs: () => performance.now() - answeredAt,
  });
}

function openPool(options: DatabaseOptions, inspect: Inspect): Pool {
  const { log = silent, statementTimeoutMs = 10_000 } = options;
  const pool = new Pool({
    ...planning(options, inspect),
    max: options.poolSize,
    application_name: options.applicationName ?? 'holdfast',
    connectionTimeoutMillis: options.connectionTimeoutMs ?? 5_000,
    statement_timeout: statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs ?? 5_000,
    idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 15_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
  });
  // Without a listener the loss of an idle connection would end the process. While the pool closes, losing them is the point.
  pool.on('error', (error) => {
    if (!pool.ending) log('warn', 'An idle database connection was lost', { reason: error.message });
  });
  pool.on('connect', (client) => {
    // A dying server may say so twice, and the pool listens once: without a listener for life the second time ends the process.
    client.on('error', () => undefined);
    endWhenSilent(client, statementTimeoutMs + silenceMarginMs);
  });
  return pool;
}

/**
 * Planning anew for each batch costs half as much again as all that Postgres does for an order; a plan that is kept would go on
 * reading the whole of a table that was small when the plan was made. So plans are kept, and none may read a table in its order
 * on disk or merge along a whole index. Options that the URL carries are kept as well.
 */
function planning({ url, byIndex = false }: DatabaseOptions, inspect: Inspect) {
  const { connectionString, ssl } = connectionTo(url);
  if (!byIndex) return { connectionString, ssl, Client: inspectingClient(inspect) };
  const plain = new URL(connectionString);
  const given = plain.searchParams.get('options') ?? '';
  plain.searchParams.delete('options');
  return {
    connectionString: plain.href,
    ssl,
    Client: inspectingClient(inspect, rememberStatements()),
    options: `-c enable_seqscan=off -c enable_mergejoin=off -c jit=off ${given}`.trim(),
  };
}

/**
 * Postgres answers COMMIT with ROLLBACK, and no error, when a statement of the transaction had failed and its error was swallowed.
 * To the caller that would look like success.
 */
function refuseSilentRollback({ command }: QueryResult, statement: string): void {
  if (statement !== 'COMMIT' || command !== 'ROLLBACK') return;
  const refusal = new Error(
    'Nothing was committed: a statement of this transaction had failed, and the code went on as if it had not.',
  );
  throw Object.assign(refusal, { code: '25P02', severity: 'ERROR' });
}

/**
 * The server answers within `statement_timeout`, with a result or an error. When nothing comes for longer, the connection is dead
 * without having said so (a pulled cable, a frozen host), and waiting on would hold the caller for ever.
 */
function endWhenSilent(client: PoolClient, limitMs: number): void {
  // What pg keeps to itself: its socket, and whether it awaits an answer.
  const session = client as unknown as { connection: { stream: Socket }; readyForQuery: boolean };
  const { stream } = session.connection;
  stream.setTimeout(limitMs, () => {
    if (!session.readyForQuery)
      stream.destroy(Object.assign(new Error(`The database gave no answer for ${limitMs} ms`), { code: 'ETIMEDOUT' }));
  });
}

const silenceMarginMs = 5_000;
