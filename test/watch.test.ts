import { type Broker } from '../src/messaging';
import { createHealth, createMetrics } from '../src/observability';
import { watch } from '../src/watch';
import { eventually } from './support/eventually';
import { createTestDatabase, type TestDatabase } from './support/postgres';

/** What a load balancer hears of a process that is busy, and of one whose database is gone. */
let test: TestDatabase;
const health = createHealth({ checkLimitMs: 500, reuseMs: 0 });
const statusOf = async (name: string) => (await health.ready()).checks.find((check) => check.name === name)?.status;

beforeAll(async () => {
  test = await createTestDatabase({ poolSize: 1, connectionTimeoutMs: 10_000 });
  const broker = { name: 'none', status: () => ({ state: 'ready', detail: 'here' }) } as unknown as Broker;
  const { database } = test;
  watch({ health, metrics: createMetrics(), database, broker, outboxes: [], deadLetters: () => Promise.resolve(new Map()) });
});
afterAll(() => test.drop());

it('is ready while every connection is at work, as long as work is answered', async () => {
  await eventually(async () => (await health.ready()).status === 'UP');
  const work = test.database.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1`;
    expect(await statusOf('database')).toBe('UP');
    expect(await statusOf('migrations')).toBe('UP');
    return test.database.connections();
  });
  expect(await work).toMatchObject({ open: 1, idle: 0 });
});

it('asks when nothing was answered for two seconds, and says so when there is no answer', async () => {
  await test.database.$transaction(
    async (tx) => {
      await tx.$queryRaw`SELECT pg_sleep(2.2)::text`;
      expect(await statusOf('database')).toBe('UP');
      await new Promise((resolve) => setTimeout(resolve, 2_200));
      expect(await statusOf('database')).toBe('DOWN');
    },
    { timeout: 30_000 },
  );
  await eventually(async () => (await statusOf('database')) === 'UP');
});
