import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { pendingMigrations } from '../../src/database';
import { onMaintenanceDatabase, withConnection } from '../../src/database/connection';
import { plainUrl } from '../../src/database/url';
import { startChild } from '../support/child';
import { createTestDatabase, testServerUrl } from '../support/postgres';

const all = readdirSync(join(__dirname, '../../prisma/migrations'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort();

interface Outcome {
  applied?: string[];
  pending?: string[];
  refusal?: string;
}

describe('migrate', () => {
  const name = `holdfast_migrate_${process.pid}`;
  let url: string;

  beforeEach(() => {
    url = plainUrl(testServerUrl(), name);
  });
  afterEach(() => onMaintenanceDatabase(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));

  it('creates a missing database, applies everything in order, and the second time nothing', async () => {
    expect(await run()).toEqual({ applied: all, pending: [] });
    expect(await run()).toEqual({ applied: [], pending: [] });
  });

  it('lets exactly one of three processes that start together do the work', async () => {
    const outcomes = await Promise.all([run(), run(), run()]);
    expect(outcomes.flatMap((outcome) => outcome.applied)).toEqual(all);
    expect(outcomes.map((outcome) => outcome.pending)).toEqual([[], [], []]);
  });

  it('takes up by itself what a killed process began and did not finish', async () => {
    await run();
    await withConnection(url, async (client) => {
      await client.query('DROP SCHEMA orders, inventory, accounts, operations, notifications, gateway CASCADE');
      await client.query('UPDATE _prisma_migrations SET finished_at = NULL');
    });
    expect(await pendingMigrations(url)).toEqual(all);
    expect(await run()).toEqual({ applied: all, pending: [] });
  });

  it('names the migration that fails, with the reason, keeps nothing of it, and says the same the next time', async () => {
    await onMaintenanceDatabase(url, `CREATE DATABASE ${name}`);
    await withConnection(url, (client) => client.query('CREATE SCHEMA inventory CREATE TABLE stock (in_the_way int)'));
    for (const outcome of [await run(), await run()])
      expect(outcome.refusal).toBe(`Migration ${all[0]} failed, and nothing of it was kept: relation "stock" already exists`);
    await withConnection(url, async (client) => {
      const { rows } = await client.query(`SELECT to_regclass('orders.orders') AS orders`);
      expect(rows).toEqual([{ orders: null }]);
    });
  });

  it('says what is wrong and what to do when the server cannot be reached', async () => {
    const outcome = await startChild(
      'migrateProcess.ts',
      'postgresql://holdfast:secret@127.0.0.1:1/holdfast',
    ).firstLine<Outcome>();
    expect(outcome.refusal).toBe(
      'No connection to Postgres at 127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1. Start it, or correct DATABASE_URL.',
    );
  });

  it('says whose mistake it is when the server does not let us in', async () => {
    const wrong = new URL(url);
    wrong.password = 'wrong';
    const outcome = await startChild('migrateProcess.ts', wrong.href).firstLine<Outcome>();
    expect(outcome.refusal).toMatch(/password authentication failed.*\. Correct the user and password in DATABASE_URL\.$/);
    expect(outcome.refusal).not.toMatch(/wrong/);
  });

  function run(): Promise<Outcome> {
    return startChild('migrateProcess.ts', url).firstLine<Outcome>();
  }
});

describe('the migrations', () => {
  it('lead to the schema that schema.prisma describes, and the shadow database they were tried on is gone', async () => {
    const test = await createTestDatabase();
    const drift = await startChild('schemaDriftProcess.ts', test.url).firstLine<{ differs: boolean; script: string }>();
    expect(drift).toMatchObject({ differs: false });
    const shadows = await withConnection(test.url, (client) =>
      client.query(`SELECT datname FROM pg_database WHERE datname LIKE 'holdfast_shadow%'`),
    );
    expect(shadows.rows).toEqual([]);
    await test.drop();
  });
});

describe('pendingMigrations', () => {
  it('is empty on a migrated database, asked by URL and through an open pool', async () => {
    const test = await createTestDatabase();
    expect(await pendingMigrations(test.url)).toEqual([]);
    expect(await pendingMigrations(test.database)).toEqual([]);
    await test.drop();
  });
});
