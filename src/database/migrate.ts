import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Client } from 'pg';

import { type Database } from './client';
import { onMaintenanceDatabase, withConnection } from './connection';
import { sqlStateOf } from './errors';
import { silent, type DatabaseLog } from './log';
import { openSchemaEngine } from './schemaEngine';
import { Prisma } from './sql';
import { databaseName, escapedDatabaseName } from './url';

/**
 * Brings the database at `url` to the schema of this release: creates it when missing, applies what is pending of
 * `prisma/migrations` and returns those names, oldest first. Each migration is applied whole or not at all, also when the process
 * dies in the middle. Any number of processes may do this at once: one works, the others wait and find nothing left.
 *
 * Rejects with the migration's name and the server's words when one fails; nothing after it is applied.
 */
export async function migrate(url: string, log: DatabaseLog = silent): Promise<string[]> {
  await createDatabaseIfMissing(url, log);
  return withConnection(url, async (client) => {
    await takeMigrationLock(client, log);
    if ((await pendingBy(askerOf(client))).length === 0) return [];
    const applied = await asOwner(async () => {
      await forgetInterrupted(client);
      return applyMigrations(url);
    });
    log('info', `Applied ${applied.length} migration(s)`, { migrations: applied });
    return applied;
  });
}

/** A role's own user may not change the schema (`npm run grants`): that is for the owner of the tables, before the roles start. */
async function asOwner<T>(work: () => Promise<T>): Promise<T> {
  return work().catch((error: unknown) => {
    if (sqlStateOf(error) !== insufficientPrivilege) throw error;
    throw new Error(
      'The database is behind this release, and the user of DATABASE_URL may not change it: run `npm run migrate` as the owner of the tables, then `npm run grants`.',
      { cause: error },
    );
  });
}

const insufficientPrivilege = '42501';

/** The names of this release's migrations that the database lacks; all of them when it is empty. For readiness. */
export async function pendingMigrations(where: string | Database): Promise<string[]> {
  if (typeof where === 'string') return withConnection(where, (client) => pendingBy(askerOf(client)));
  return pendingBy((text) => where.$queryRaw(Prisma.raw(text)));
}

/** Runs a fixed statement, over whichever connection there is. */
type Ask = <Row>(text: string) => Promise<Row[]>;

function askerOf(client: Client): Ask {
  return async <Row>(text: string) => (await client.query(text)).rows as Row[];
}

async function pendingBy(ask: Ask): Promise<string[]> {
  const names = await migrationNames();
  if (!(await hasMigrationsTable(ask))) return names;
  const rows = await ask<{ name: string }>(
    'SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  const applied = new Set(rows.map((row) => row.name));
  return names.filter((name) => !applied.has(name));
}

async function hasMigrationsTable(ask: Ask): Promise<boolean> {
  const rows = await ask<{ exists: boolean }>(`SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`);
  return rows[0]?.exists === true;
}

async function createDatabaseIfMissing(url: string, log: DatabaseLog): Promise<void> {
  const exists = await withConnection(url, () => Promise.resolve(true)).catch((error: unknown) => {
    if (sqlStateOf(error) === noSuchDatabase) return false;
    throw error;
  });
  if (exists) return;
  await onMaintenanceDatabase(url, `CREATE DATABASE ${escapedDatabaseName(url)}`).catch((error: unknown) => {
    // Another process was faster; the duplicate shows as either code.
    if (!['42P04', '23505'].includes(sqlStateOf(error) ?? '')) throw error;
  });
  log('info', `Created the database ${databaseName(url)}`);
}

const noSuchDatabase = '3D000';

/** Polled rather than waited for inside the server, where a waiting statement would hold up CREATE INDEX CONCURRENTLY. Ends with the connection. */
async function takeMigrationLock(client: Client, log: DatabaseLog): Promise<void> {
  for (let polls = 0; ; polls++) {
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [migrationLockKey]);
    if (rows[0]?.taken) return;
    if (polls === 20) log('info', 'Another process is migrating this database; waiting for it');
    await delay(100);
  }
}

/** Any number will do, as long as it stays the same in every release. */
const migrationLockKey = 4_830_001;

/**
 * A row without an end is a migration that did not happen: our engine writes its end in the migration's own transaction. Prisma
 * would refuse to go on until someone resolves it by hand.
 */
async function forgetInterrupted(client: Client): Promise<void> {
  if (!(await hasMigrationsTable(askerOf(client)))) return;
  await client.query('DELETE FROM _prisma_migrations WHERE finished_at IS NULL AND rolled_back_at IS NULL');
}

async function applyMigrations(url: string): Promise<string[]> {
  const engine = await openSchemaEngine({ url });
  try {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: await readMigrations(),
      filters: { externalTables: [], externalEnums: [] },
    });
    return appliedMigrationNames;
  } catch (error) {
    throw new Error(explain(error), { cause: error });
  } finally {
    await engine.close();
  }
}

/** The engine's report is a trace through its own sources, with the two things that matter inside. */
function explain(error: unknown): string {
  const report = error instanceof Error ? error.message : String(error);
  const name = /migration_name="([^"]+)"/.exec(report)?.[1];
  const reason = /ERROR: (.+)/.exec(report)?.[1] ?? report;
  const subject =
    name === undefined ? 'The database could not be migrated' : `Migration ${name} failed, and nothing of it was kept`;
  return `${subject}: ${reason}`;
}

/** As the engine takes them. */
export async function readMigrations() {
  const baseDir = migrationsDir();
  const names = await migrationNames();
  return {
    baseDir,
    lockfile: { path: 'migration_lock.toml', content: await readFile(join(baseDir, 'migration_lock.toml'), 'utf8') },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.map(async (name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: await readFile(join(baseDir, name, 'migration.sql'), 'utf8') },
        },
      })),
    ),
  };
}

/** Named by their time, so that their names sort in the order of their making. */
async function migrationNames(): Promise<string[]> {
  const entries = await readdir(migrationsDir(), { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Beside package.json, whether this runs from src/ or from dist/. */
function migrationsDir(): string {
  let folder = __dirname;
  while (!existsSync(join(folder, 'package.json'))) {
    if (dirname(folder) === folder)
      throw new Error(
        `No package.json above ${__dirname}: run Holdfast from a complete copy of its folder, prisma/migrations included.`,
      );
    folder = dirname(folder);
  }
  return join(folder, 'prisma', 'migrations');
}
