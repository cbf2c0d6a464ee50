import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { migrate, startEmbeddedPostgres } from '../../src/database';
import { onMaintenanceDatabase } from '../../src/database/connection';
import { plainUrl } from '../../src/database/url';
import { startRabbitmqForTests } from './brokers';

/** What globalTeardown undoes, in the reverse of the order in which it was started. Lives on the global object, because jest loads the two files apart. */
export interface TestSurroundings {
  holdfastTestStops?: (() => Promise<void>)[];
}

/** Starts the real servers that the suites stand on, once: a Postgres with a migrated template database, and a RabbitMQ where one can be had. */
export default async function globalSetup(): Promise<void> {
  const stops: (() => Promise<void>)[] = [];
  (globalThis as TestSurroundings).holdfastTestStops = stops;
  try {
    const outcomes = await Promise.allSettled([preparePostgres(stops), prepareRabbitmq(stops)]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  } catch (error) {
    // Jest runs no teardown after a setup that failed.
    await stopAll(stops);
    throw error;
  }
}

/** Every one is tried, whatever the others do; the first failure is what counts. */
export async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (let stop = stops.pop(); stop !== undefined; stop = stops.pop())
    await stop().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function preparePostgres(stops: (() => Promise<void>)[]): Promise<void> {
  const serverUrl = process.env.HOLDFAST_TEST_DATABASE_URL ?? (await startPostgres(stops));
  const template = `holdfast_template_${randomBytes(4).toString('hex')}`;
  const url = plainUrl(serverUrl, template);
  stops.push(() => onMaintenanceDatabase(url, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`));
  await migrate(url);
  process.env.HOLDFAST_TEST_POSTGRES_URL = url;
}

async function startPostgres(stops: (() => Promise<void>)[]): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'holdfast-test-'));
  stops.push(() => rm(dataDir, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ dataDir, port: 0 });
  stops.push(() => postgres.stop());
  return postgres.url;
}

async function prepareRabbitmq(stops: (() => Promise<void>)[]): Promise<void> {
  const rabbitmq = await startRabbitmqForTests();
  if ('missing' in rabbitmq) {
    process.stderr.write(`\n${rabbitmq.missing}\n`);
    return;
  }
  stops.push(() => rabbitmq.stop());
  process.env.HOLDFAST_TEST_RABBITMQ_URL = rabbitmq.url;
}
