import { v7 as uuidv7 } from 'uuid';

import { type Database } from '../../src/database';
import { createOutbox, outboxLag, Relay } from '../../src/messaging';
import { UnroutableError, type Broker, type Publication } from '../../src/messaging/broker';
import { claimDue, removePublished } from '../../src/messaging/outboxRows';
import { createLogger, createMetrics } from '../../src/observability';
import { eventually, oneOfThree } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let testDatabase: TestDatabase;
let database: Database;
const relays: Relay[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  ({ database } = testDatabase);
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
  await database.$executeRaw`TRUNCATE orders.outbox, inventory.outbox`;
});
afterAll(() => testDatabase.drop());

/** Confirms when it is told to; counts what waits for a confirm, whoever published it, as the port says. */
class CountingBroker implements Pick<Broker, 'publish' | 'status' | 'unsettled'> {
  published: Publication[] = [];
  open = 0;
  confirm: (publication: Publication) => Promise<void> = () => Promise.resolve();

  async publish(publication: Publication): Promise<void> {
    this.published.push(publication);
    this.open++;
    await this.confirm(publication).finally(() => this.open--);
  }
  status = () => ({ state: 'ready' as const, detail: 'counting' });
  unsettled = () => this.open;
}

type Options = ConstructorParameters<typeof Relay>[0];
const relayOn = (broker: CountingBroker, more: Partial<Options> = {}) => {
  const relay = new Relay({
    ...{ database, schema: 'orders', broker: broker as unknown as Broker, log: createLogger({ level: 'silent', name: 'test' }) },
    ...{ metrics: createMetrics(), leaseMs: 60_000, sweepIntervalMs: 3_600_000, sweepBatchMax: 100, windowMax: 50 },
    ...{ backlogMax: 1_000, intakeMax: Infinity, alone: false, drainMs: 20_000, ...more },
  });
  relays.push(relay);
  return relay;
};
const write = (relay: Relay, schema: Options['schema'], orderId: string) =>
  createOutbox({ database, schema, leaseMs: 60_000, handOver: (rows) => relay.handOver(rows) }).transaction(() =>
    Promise.resolve({
      result: undefined,
      messages: [{ id: uuidv7(), correlationId: 'c', body: { event: 'OrderFulfilled' as const, order_id: orderId } }],
    }),
  );
const fill = (count: number) => database.$executeRaw`
  INSERT INTO orders.outbox (id, aggregate_id, type, body, correlation_id, lease_until)
  SELECT gen_random_uuid(), 'O-' || number, 'OrderFulfilled', '{"event":"OrderFulfilled","order_id":"O"}', 'c',
         clock_timestamp() - interval '1 second'
  FROM generate_series(1, ${count}::int) AS number`;
const waitingSessions = async () => {
  const [row] = await database.$queryRaw<{ waiting: number }[]>`
    SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return row!.waiting;
};
const deadlocks = async () => {
  const [row] = await database.$queryRaw<{ deadlocks: number }[]>`
    SELECT deadlocks::int AS deadlocks FROM pg_stat_database WHERE datname = current_database()`;
  return row!.deadlocks;
};
const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

it('a backlog is swept as fast as the broker takes it, not a batch per interval', async () => {
  await fill(3_000);
  const broker = new CountingBroker();
  broker.confirm = () => after(20);
  await relayOn(broker).start();
  await eventually(async () => (await outboxLag(database, 'orders')).pending === 0);
  expect(broker.published).toHaveLength(3_000);
});

const removeHalfway = async () => {
  await fill(2);
  const rows = await database.$queryRaw<{ position: bigint }[]>`SELECT position FROM orders.outbox ORDER BY position`;
  const [first, second] = rows.map(({ position }) => position) as [bigint, bigint];
  let removal: Promise<void> | undefined;
  const deadlocksBefore = await deadlocks();
  const meeting = database.$transaction(async (tx) => {
    const lock = (position: bigint) => tx.$queryRaw`SELECT FROM orders.outbox WHERE position = ${position} FOR UPDATE`;
    await lock(second);
    // Has the first row and waits for the second; the one who waits longest is the one whom Postgres breaks off.
    removal = removePublished(database, 'orders', [first, second]);
    await eventually(async () => (await waitingSessions()) === 1);
    await lock(first);
  });
  await meeting.finally(() => removal);
  expect((await outboxLag(database, 'orders')).pending).toBe(0);
  expect(await eventually(async () => (await deadlocks()) - deadlocksBefore)).toBe(1);
};

// Postgres looks for a deadlock once, a second after a wait began: who is in the circle later than that is the one who is broken off.
it('removal that meets another relay halfway is broken off by Postgres, tried again, and then complete', () =>
  oneOfThree(removeHalfway));

it('a start does not wait for a backlog that cannot be published: it would never be over', async () => {
  await fill(2_000);
  const broker = new CountingBroker();
  broker.confirm = () => Promise.reject(new Error('no queue takes it'));
  await relayOn(broker, { leaseMs: 0 }).start();
  expect(broker.published.length).toBeLessThanOrEqual(100);
});

it.each([
  ['whose leases are over', { leaseMs: 0 }],
  ['of a process that is no more', { alone: true }],
])('a heap of events that no queue takes, %s, does not keep those behind it from their turn', async (_, more) => {
  await fill(250);
  await database.$executeRaw`UPDATE orders.outbox SET lease_until = clock_timestamp() + interval '1 hour' WHERE ${'alone' in more}`;
  const broker = new CountingBroker();
  const isLast = ({ properties }: Publication) => properties.headers['cloudEvents:subject'] === 'O-250';
  broker.confirm = (publication) => (isLast(publication) ? Promise.resolve() : Promise.reject(new UnroutableError(publication)));
  await relayOn(broker, more).start();
  await eventually(async () => (await outboxLag(database, 'orders')).pending === 249);
});

it('an event that no queue takes is tried again each time it has become twice as old', async () => {
  await fill(1);
  await database.$executeRaw`UPDATE orders.outbox SET created_at = clock_timestamp() - interval '1 minute'`;
  const broker = new CountingBroker();
  broker.confirm = (publication) => Promise.reject(new UnroutableError(publication));
  await relayOn(broker, { leaseMs: 1_000 }).start();
  const leaseSeconds = async () => {
    const rows = await database.$queryRaw<{ seconds: number }[]>`
      SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 AS seconds FROM orders.outbox`;
    return rows[0]!.seconds;
  };
  await eventually(async () => (await leaseSeconds()) > 50);
  expect(await leaseSeconds()).toBeLessThan(90);
  expect(broker.published).toHaveLength(1);
});

it('a claim is quick though thirty thousand older events are leased: it does not cost the square of the backlog', async () => {
  // The planner's worst day: it last looked just after a backlog was gone, and takes the pages full of dead rows for empty for ever.
  await database.$executeRaw`ALTER TABLE orders.outbox SET (autovacuum_enabled = false)`;
  await fill(60_000);
  await database.ordersOutbox.deleteMany();
  await database.$executeRaw`ANALYZE orders.outbox`;
  await fill(60_000);
  await database.$executeRaw`
    UPDATE orders.outbox SET lease_until = clock_timestamp() + interval '1 hour'
    WHERE position < (SELECT min(position) + 30000 FROM orders.outbox)`;
  const startedAt = performance.now();
  const rows = await claimDue(database, { schema: 'orders', leaseMs: 60_000, limit: 500, held: [], everything: false });
  expect(rows).toHaveLength(500);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});

it('two relays on one broker: a full window of the one does not keep the other shut', async () => {
  const broker = new CountingBroker();
  broker.confirm = ({ exchange }) => (exchange === 'orders' ? new Promise(() => {}) : Promise.resolve());
  const [busy, other] = [relayOn(broker, { windowMax: 1, drainMs: 0 }), relayOn(broker, { windowMax: 1, schema: 'inventory' })];
  await Promise.all([busy.start(), other.start()]);
  await write(busy, 'orders', 'A');
  await eventually(() => broker.open === 1);
  await createOutbox({ database, schema: 'inventory', leaseMs: 60_000, handOver: (rows) => other.handOver(rows) }).transaction(
    () =>
      Promise.resolve({
        result: undefined,
        messages: [{ id: uuidv7(), correlationId: 'c', body: { event: 'StockReleased' as const, order_id: 'A', items: [] } }],
      }),
  );
  await eventually(async () => (await outboxLag(database, 'inventory')).pending === 0);
});

it('alone, a stop does not wait for what only a consumer could settle, such as a dead letter', async () => {
  const broker = new CountingBroker();
  broker.confirm = () => new Promise(() => {});
  const relay = relayOn(broker, { alone: true });
  await relay.start();
  await write(relay, 'orders', 'dead');
  await eventually(() => broker.open === 1);
  const startedAt = performance.now();
  await relay.stop();
  // Less than it would wait for what can still be settled.
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  expect((await outboxLag(database, 'orders')).pending).toBe(1);
});

it('relays that published the same events remove them without a deadlock', async () => {
  await fill(2_000);
  const positions = (await database.ordersOutbox.findMany({ select: { position: true } })).map((row) => row.position);
  await database.$executeRaw`UPDATE orders.outbox SET lease_until = lease_until WHERE position % 3 = 0`;
  const remove = (batch: bigint[]) => removePublished(database, 'orders', batch);
  await Promise.all([remove(positions), remove(positions.toReversed()), remove(positions), remove(positions.toReversed())]);
  expect((await outboxLag(database, 'orders')).pending).toBe(0);
});
