import { randomBytes } from 'node:crypto';

import { openDatabase, type Database, type DatabaseOptions } from '../../src/database';
import { onMaintenanceDatabase } from '../../src/database/connection';
import { plainUrl } from '../../src/database/url';

export interface TestDatabase {
  url: string;
  /** Open, with a pool of ten and by index, as the roles have it. */
  database: Database;
  /** Closes `database` and removes what it stood for, whoever is still connected. */
  drop: () => Promise<void>;
}

/** A migrated, empty database of its own, on the server that globalSetup started. Takes about 50 ms. */
export async function createTestDatabase(options: Partial<DatabaseOptions> = {}): Promise<TestDatabase> {
  const template = new URL(testServerUrl());
  const name = `holdfast_test_${randomBytes(6).toString('hex')}`;
  await onMaintenanceDatabase(template.href, `CREATE DATABASE ${name} TEMPLATE ${template.pathname.slice(1)}`);
  const url = plainUrl(template.href, name);
  const database = openDatabase({ url, poolSize: 10, byIndex: true, ...options });
  return {
    url,
    database,
    drop: async () => {
      await database.close();
      await onMaintenanceDatabase(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** The URL of the migrated template. Nobody connects to it, or it cannot be copied. */
export function testServerUrl(): string {
  const url = process.env.HOLDFAST_TEST_POSTGRES_URL;
  if (url === undefined)
    throw new Error('HOLDFAST_TEST_POSTGRES_URL is not set: run the tests with jest, whose globalSetup starts the server.');
  return url;
}
