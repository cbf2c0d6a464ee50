import { v7 as uuidv7 } from 'uuid';

import { type Database } from '../../src/database';
import { createOutbox, outboxLag, Relay, type Outbox } from '../../src/messaging';
import { UnconfirmedError, type Broker, type BrokerStatus, type Publication } from '../../src/messaging/broker';
import { claimDue } from '../../src/messaging/outboxRows';
import { createLogger, createMetrics } from '../../src/observability';
import { eventually } from '../support/eventually';
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
  await database.ordersOutbox.deleteMany();
});
afterAll(() => testDatabase.drop());

/** A broker that does with each publication as it is told: what a real one does on its worst day. */
class MoodyBroker implements Pick<Broker, 'publish' | 'status' | 'unsettled'> {
  published: Publication[] = [];
  state: BrokerStatus['state'] = 'ready';
  mood: (publication: Publication) => Promise<void> = () => Promise.resolve();
  private open = 0;

  async publish(publication: Publication): Promise<void> {
    this.published.push(publication);
    this.open++;
    await this.mood(publication).finally(() => this.open--);
  }
  status = () => ({ state: this.state, detail: 'moody' });
  unsettled = () => this.open;
}

const relayOn = (broker: MoodyBroker, more: Partial<ConstructorParameters<typeof Relay>[0]> = {}) => {
  const relay = new Relay({
    ...{ database, schema: 'orders', broker: broker as unknown as Broker, log: createLogger({ level: 'silent', name: 'test' }) },
    ...{ metrics: createMetrics(), leaseMs: 200, sweepIntervalMs: 20, sweepBatchMax: 100, windowMax: 50, backlogMax: 1_000 },
    ...{ intakeMax: Infinity, alone: false, drainMs: 1_000, ...more },
  });
  relays.push(relay);
  return relay;
};
const outboxOf = (relay?: Relay, leaseMs = 200): Outbox =>
  createOutbox({ database, schema: 'orders', leaseMs, handOver: (rows) => relay?.handOver(rows) });
const write = (outbox: Outbox, ...orderIds: string[]) =>
  outbox.transaction(() =>
    Promise.resolve({
      result: undefined,
      messages: orderIds.map((order_id) => ({
        id: uuidv7(),
        correlationId: 'c',
        body: { event: 'OrderFulfilled' as const, order_id },
      })),
    }),
  );
const pending = async () => (await outboxLag(database, 'orders')).pending;
const isEmpty = () => eventually(async () => (await pending()) === 0);
const idsOf = (broker: MoodyBroker) => broker.published.map((publication) => publication.properties.messageId);
const ordersOf = (broker: MoodyBroker) =>
  broker.published.map((publication) => (JSON.parse(publication.body.toString()) as { order_id: string }).order_id);

it('publishes what was committed, and removes it only after the confirm', async () => {
  const broker = new MoodyBroker();
  let confirm = () => {};
  broker.mood = () => new Promise((resolve) => (confirm = resolve));
  const relay = relayOn(broker, { leaseMs: 60_000 });
  await relay.start();
  await write(outboxOf(relay, 60_000), 'A');
  await eventually(() => broker.published.length === 1);
  expect(await pending()).toBe(1);
  confirm();
  await isEmpty();
});

it('publishes nothing of a transaction that was rolled back', async () => {
  const broker = new MoodyBroker();
  const relay = relayOn(broker);
  await relay.start();
  const failing = outboxOf(relay).transaction(() => Promise.reject(new Error('refused')));
  await expect(failing).rejects.toThrow('refused');
  expect(broker.published).toEqual([]);
});

it('publishes again, under the same id, what was not confirmed', async () => {
  const broker = new MoodyBroker();
  let failures = 3;
  broker.mood = () => (failures-- > 0 ? Promise.reject(new UnconfirmedError('connection lost')) : Promise.resolve());
  const relay = relayOn(broker);
  await relay.start();
  await write(outboxOf(relay), 'A');
  await isEmpty();
  expect(broker.published).toHaveLength(4);
  expect(new Set(idsOf(broker)).size).toBe(1);
});

it('picks up what a process committed and died with', async () => {
  await write(outboxOf(undefined), 'A', 'B', 'C');
  const broker = new MoodyBroker();
  await relayOn(broker).start();
  await isEmpty();
  expect(ordersOf(broker)).toEqual(['A', 'B', 'C']);
});

it('alone on its database, it takes everything it finds at its start, whosever lease it is under', async () => {
  const ids = Array.from({ length: 250 }, (_, index) => `O-${index}`);
  await write(outboxOf(undefined, 3_600_000), ...ids);
  const broker = new MoodyBroker();
  await relayOn(broker, { alone: true, sweepBatchMax: 100 }).start();
  await isEmpty();
  expect(ordersOf(broker)).toEqual(ids);
});

it('four relays share a backlog of 2,000: every event once, nothing left (F3, F5)', async () => {
  for (let start = 0; start < 2_000; start += 500) {
    await write(outboxOf(undefined, 0), ...Array.from({ length: 500 }, (_, index) => `O-${start + index}`));
  }
  const moody = Array.from({ length: 4 }, () => new MoodyBroker());
  await Promise.all(moody.map((broker) => relayOn(broker, { leaseMs: 30_000 }).start()));
  await isEmpty();
  const all = moody.flatMap(ordersOf);
  expect(all).toHaveLength(2_000);
  expect(new Set(all).size).toBe(2_000);
});

it('a sweep keeps the events of one order in their order: it waits while an older one is leased elsewhere (F5)', async () => {
  await write(outboxOf(undefined, 3_600_000), 'A');
  await write(outboxOf(undefined, 0), 'A', 'B');
  const claim = () => claimDue(database, { schema: 'orders', leaseMs: 60_000, limit: 10, held: [], everything: false });
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await claim()).map((row) => row.aggregateId)).toEqual(['B']);
  await database.$executeRaw`UPDATE orders.outbox SET lease_until = clock_timestamp() - interval '1 second'`;
  expect((await claim()).map((row) => row.aggregateId)).toEqual(['A', 'A', 'B']);
  expect(await claim()).toEqual([]);
});

it('takes nothing from the door while the broker is away, and drains the table when it is back', async () => {
  const broker = new MoodyBroker();
  broker.state = 'connecting';
  const relay = relayOn(broker);
  await relay.start();
  await write(outboxOf(relay), 'A', 'B');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(broker.published).toEqual([]);
  broker.state = 'ready';
  await isEmpty();
});

it('keeps to its window of unconfirmed publications', async () => {
  const broker = new MoodyBroker();
  let most = 0;
  broker.mood = async () => {
    most = Math.max(most, broker.unsettled());
    await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const relay = relayOn(broker, { windowMax: 10, leaseMs: 60_000 });
  await relay.start();
  await write(outboxOf(relay, 60_000), ...Array.from({ length: 300 }, (_, index) => `O-${index}`));
  await isEmpty();
  expect(most).toBe(10);
  expect(broker.published).toHaveLength(300);
});

it('an event of another version, whose type it does not know, waits for that version, and its neighbours go out once', async () => {
  await write(outboxOf(undefined, 0), 'A', 'B', 'C', 'D');
  await database.$executeRaw`UPDATE orders.outbox SET type = 'OrderTeleported' WHERE aggregate_id IN ('B', 'C')`;
  const broker = new MoodyBroker();
  await relayOn(broker, { leaseMs: 60_000 }).start();
  await eventually(async () => (await pending()) === 2);
  const rows = await database.ordersOutbox.findMany({ select: { aggregateId: true, leaseUntil: true } });
  expect(rows.map(({ aggregateId }) => aggregateId).sort()).toEqual(['B', 'C']);
  expect(ordersOf(broker)).toEqual(['A', 'D']);
  await database.$executeRaw`UPDATE orders.outbox SET type = 'OrderFulfilled', lease_until = clock_timestamp()`;
  await isEmpty();
  expect(ordersOf(broker).sort()).toEqual(['A', 'B', 'C', 'D']);
});

it('makes busy doors wait until there is room', async () => {
  const broker = new MoodyBroker();
  const confirms: (() => void)[] = [];
  broker.mood = () => new Promise((resolve) => confirms.push(resolve));
  const relay = relayOn(broker, { intakeMax: 2, leaseMs: 60_000 });
  await relay.start();
  await write(outboxOf(relay, 60_000), 'A', 'B');
  let entered = false;
  const door = relay.room().then(() => (entered = true));
  await eventually(() => confirms.length === 2);
  expect(entered).toBe(false);
  confirms[0]!();
  await door;
  confirms[1]!();
  await isEmpty();
});

it('a stop publishes what is in hand, and leaves the rest in the table', async () => {
  const broker = new MoodyBroker();
  broker.mood = () => new Promise((resolve) => setTimeout(resolve, 5));
  const relay = relayOn(broker, { windowMax: 5, leaseMs: 60_000, drainMs: 20_000 });
  await relay.start();
  const outbox = outboxOf(relay, 60_000);
  await write(outbox, ...Array.from({ length: 40 }, (_, index) => `O-${index}`));
  await relay.stop();
  await write(outbox, 'after');
  expect(broker.published).toHaveLength(40);
  expect(await pending()).toBe(1);
});
