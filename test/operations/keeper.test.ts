import { randomBytes } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

import { queues } from '../../src/contracts';
import { openDatabase } from '../../src/database';
import { topology, type Broker } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger } from '../../src/observability';
import { DeadLetterKeeper, type KeeperOptions } from '../../src/operations/keepDeadLetters';
import { rabbitmqMissing } from '../support/brokers';
import { startChild } from '../support/child';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { brokers, rabbitmqUrl, random, send } from './aLetter';

let testDatabase: TestDatabase;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
afterAll(() => testDatabase.drop());

const rows = (queue: string) => testDatabase.database.deadLetter.findMany({ where: { queue }, orderBy: { id: 'asc' } });
const count = (queue: string) => testDatabase.database.deadLetter.count({ where: { queue } });
const opened = (broker: Broker) => {
  closers.push(() => broker.close());
  return broker;
};
const keep = async (queue: string, broker: Broker, more: Partial<KeeperOptions> = {}) => {
  const keeper = new DeadLetterKeeper({
    ...{ from: `${queue}.dead`, queue, database: testDatabase.database, broker, newId: uuidv7 },
    ...{ log: createLogger({ level: 'silent', name: 'test' }), ...more },
  });
  await keeper.start();
  closers.push(() => keeper.stop());
  return keeper;
};
/** A queue of its own, whose consumer refuses everything. */
const aHopelessQueue = async (broker: Broker) => {
  const queue = `hopeless-${uuidv7()}`;
  await broker.declare({ ...topology, queues: [...topology.queues, { name: queue, kind: 'work' }] });
  await broker.consume(queue, { prefetch: 100 }, (delivery) => void delivery.deadLetter('hopeless'));
  return queue;
};
/** As if the process ended between the commit and the ack. */
const withoutAcks = (broker: Broker): Broker =>
  Object.assign(Object.create(broker) as Broker, {
    consume: ((queue, options, onDelivery) =>
      broker.consume(queue, options, (delivery) =>
        onDelivery(Object.assign(Object.create(delivery) as typeof delivery, { ack: () => undefined })),
      )) satisfies Broker['consume'],
  });

describe.each(brokers)('a keeper of dead letters, broker %s', (_name, open) => {
  it('keeps bodies and properties of every kind, and nothing holds up the others', async () => {
    const broker = opened(await open());
    const queue = await aHopelessQueue(broker);
    await keep(queue, broker);
    const bodies = [Buffer.alloc(0), randomBytes(5_000_000), Buffer.from('{"order_id":"\\u0000"}'), Buffer.from([0xff, 0, 0xfe])];
    for (const body of bodies) void send(broker, queue, body, { headers: { 'a\u0000b': 'c\u0000d', lone: '\ud800', e: 1e300 } });
    for (let index = 0; index < 100; index++) void send(broker, queue, `${index}`, { messageId: `m-${index}`, type: '\u0000' });
    await eventually(async () => (await count(queue)) === 104);
    const kept = (await rows(queue)).map(({ body }) => Buffer.from(body).toString('hex'));
    expect(bodies.every((body) => kept.includes(body.toString('hex')))).toBe(true);
  });

  it('keeps bare messages that are the same to the byte one by one, as often as they died', async () => {
    const broker = opened(await open());
    const queue = await aHopelessQueue(broker);
    await keep(queue, broker);
    for (let index = 0; index < 70; index++) void send(broker, queue, 'the same');
    await eventually(async () => (await count(queue)) === 70);
    expect(await broker.depth(`${queue}.dead`)).toMatchObject({ ready: 0 });
  });

  it('waits with its letters in hand while the table cannot be written, and keeps them when it can', async () => {
    const impatient = openDatabase({ url: testDatabase.url, poolSize: 2, lockTimeoutMs: 50 });
    closers.push(() => impatient.close());
    const broker = opened(await open());
    const queue = await aHopelessQueue(broker);
    await testDatabase.database.$transaction(
      async (tx) => {
        await tx.$executeRaw`LOCK TABLE operations.dead_letters IN ACCESS EXCLUSIVE MODE`;
        await keep(queue, broker, { database: impatient });
        for (let index = 0; index < 20; index++) void send(broker, queue, `${index}`);
        await new Promise((resolve) => setTimeout(resolve, 1_500));
      },
      { timeout: 10_000 },
    );
    await eventually(async () => (await count(queue)) === 20);
  });

  it('takes no more of what nobody wanted while too many of those wait, and goes on when they are settled', async () => {
    const broker = opened(await open());
    await broker.declare(topology);
    await keep(queues.unrouted, broker, { from: queues.unrouted, unroutedMax: 40 });
    for (let index = 0; index < 500; index++) void send(broker, queues.unrouted, `${index}`);
    await eventually(async () => (await count(queues.unrouted)) >= 40);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await eventually(async () => (await broker.depth(queues.unrouted))!.ready > 200);
    expect(await count(queues.unrouted)).toBeLessThan(40 + 100);
    const discarded = { state: 'DISCARDED' as const, settledBy: 'test', settledBecause: 'room', settledAt: new Date() };
    await eventually(async () => {
      await testDatabase.database.deadLetter.updateMany({ where: { queue: queues.unrouted, state: 'WAITING' }, data: discarded });
      return (await count(queues.unrouted)) === 500;
    });
    await testDatabase.database.deadLetter.deleteMany({ where: { queue: queues.unrouted } });
  });
});

describe('kill -9 between the queue and the table', () => {
  it('in process: what was kept and never acked comes again at the next start, and is one row', async () => {
    const [dying, next] = [createInProcessBroker({ random }), createInProcessBroker({ random })].map(opened) as [Broker, Broker];
    const queue = await aHopelessQueue(dying);
    await keep(queue, withoutAcks(dying));
    // As the relay publishes: unconfirmed, the event stays in the outbox and goes out again under its id.
    const properties = { messageId: uuidv7() };
    const confirmed = jest.fn();
    void send(dying, queue, 'from the outbox', properties).then(confirmed, () => undefined);
    await eventually(async () => (await count(queue)) === 1);
    await dying.close();
    expect(confirmed).not.toHaveBeenCalled();

    await next.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    await next.consume(queue, { prefetch: 1 }, (delivery) => void delivery.deadLetter('hopeless'));
    await keep(queue, next);
    await send(next, queue, 'from the outbox', properties);
    expect(await rows(queue)).toMatchObject([{ timesDied: 1, state: 'WAITING' }]);
  });

  if (!rabbitmqUrl) return it.skip(rabbitmqMissing, () => undefined);

  it('on RabbitMQ: what was kept and never acked is handed out again, and is one row, with and without an id', async () => {
    const broker = opened(await connectRabbitmq({ url: rabbitmqUrl!, random }));
    const queue = await aHopelessQueue(broker);
    const dying = await connectRabbitmq({ url: rabbitmqUrl!, random });
    const keeper = await keep(queue, withoutAcks(dying));
    for (let index = 0; index < 10; index++) void send(broker, queue, 'bare');
    for (let index = 0; index < 10; index++) void send(broker, queue, 'bare', { messageId: `m-${index}` });
    await eventually(async () => (await count(queue)) === 20);
    await keeper.stop();
    await dying.close();
    // A quorum queue has them back a moment after the connection is gone.
    await eventually(async () => (await broker.depth(`${queue}.dead`))?.ready === 20);
    await keep(queue, broker);
    await eventually(async () => (await broker.depth(`${queue}.dead`))?.ready === 0);
    await closers.pop()!();
    expect((await rows(queue)).map(({ timesDied }) => timesDied)).toEqual(Array.from({ length: 20 }, () => 1));
  });

  it('keepers that are killed again and again leave each letter in the table exactly once', async () => {
    const broker = opened(await connectRabbitmq({ url: rabbitmqUrl!, random }));
    const queue = await aHopelessQueue(broker);
    const letters = 1_500;
    const program = '../operations/keeperProcess.ts';
    for (let index = 0; index < letters; index++) void send(broker, queue, 'x', index % 2 ? { messageId: `m-${index}` } : {});
    for (let kills = 0; kills < 4; kills++) {
      const keeper = startChild(program, testDatabase.url, rabbitmqUrl!, queue);
      await keeper.firstLine();
      const before = await count(queue);
      await eventually(async () => (await count(queue)) > before || (await count(queue)) === letters);
      await keeper.end('SIGKILL');
    }
    await keep(queue, broker);
    await eventually(async () => (await count(queue)) >= letters);
    await eventually(async () => (await broker.depth(`${queue}.dead`))?.ready === 0);
    await closers.pop()!();
    const kept = await rows(queue);
    expect(kept).toHaveLength(letters);
    expect(kept.every(({ timesDied }) => timesDied === 1)).toBe(true);
  });
});
