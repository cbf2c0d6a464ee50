import { v7 as uuidv7 } from 'uuid';

import { queues } from '../../src/contracts';
import { type Broker, type Delivery } from '../../src/messaging';
import { type OperationsContext } from '../../src/operations';
import { replayUseCase } from '../../src/operations/replayDeadLetters';
import { aHouse, type House } from '../support/aHouse';
import { aProduct, inventoryOn } from '../support/anOrder';
import { eventualDepth } from '../support/brokers';
import { eventually } from '../support/eventually';
import { brokers, operationsOn, send } from './aLetter';

const { unrouted, ...worked } = queues;
const workQueues = Object.values(worked);
const aRow = (id: string, queue: string) => ({
  ...{ id, queue, exchange: '', routingKey: queue, body: Buffer.from('x'), bodySize: 1, bodyDigest: 'x' },
  ...{ properties: { headers: {} }, reason: 'written by a test', attempt: 1 },
});
const by = { actor: 'mira', reason: 'the fault is mended' };

describe.each(brokers)('dead letters, broker %s', (_name, open) => {
  let house: House;
  let broker: Broker;
  let operations: OperationsContext;
  let productId: number;

  beforeAll(async () => {
    broker = await open();
    house = await aHouse({ broker });
    operations = operationsOn(house);
    productId = await aProduct(inventoryOn(house.database), 1_000_000);
  });
  afterAll(() => house.drop());

  const letters = (where: object = {}) => house.database.deadLetter.findMany({ where, orderBy: { id: 'asc' } });
  const kept = (aggregateId: string) => eventually(async () => (await letters({ aggregateId }))[0]);
  const reservation = (orderId: string) => house.database.reservation.findUnique({ where: { orderId } });
  const created = (orderId: string) => ({
    ...{ event: 'OrderCreated', order_id: orderId, items: [{ product_id: productId, quantity: 1 }] },
  });
  const fulfilled = (orderId: string) => ({ event: 'OrderFulfilled', order_id: orderId });
  /** A fulfilment of an order that holds nothing: hopeless until the order is there. */
  const aDeadFulfilment = async (properties = {}) => {
    const orderId = `O-${uuidv7()}`;
    void send(broker, queues.orderFulfilled, fulfilled(orderId), properties);
    return { orderId, letter: await kept(orderId) };
  };
  const outcomesOf = async (result: ReturnType<OperationsContext['replay']>) => {
    const settled = await result;
    if (settled.type !== 'done') throw new Error(JSON.stringify(settled));
    return settled.letters.map(({ outcome }) => outcome);
  };

  it('S1.13: poison among good messages on every queue: the good are all processed, the bad kept once each with the reason', async () => {
    const good = Array.from({ length: 100 }, (_, index) => `mix-${index}`);
    const goodFor = {
      [queues.orderCreated]: created,
      [queues.orderCancelled]: (id: string) => ({ event: 'OrderCancelled', order_id: `c-${id}` }),
      [queues.orderFulfilled]: (id: string) => fulfilled(id),
      [queues.stockReplies]: (id: string) => ({ event: 'StockRejected', order_id: `r-${id}`, reason: 'Insufficient stock' }),
    };
    const processed = async (queue: string) => {
      const { values } = await house.ground.metrics.messagesProcessed.get();
      // Answers to closings come to the queue of the replies too, at any time.
      const isOurs = (type: unknown) => type !== 'StockReleased' && type !== 'StockCommitted';
      const acks = values.filter(({ labels }) => labels.queue === queue && labels.outcome === 'ack' && isOurs(labels.type));
      return acks.reduce((sum, { value }) => sum + value, 0);
    };
    for (const queue of [queues.orderCreated, queues.orderCancelled, queues.orderFulfilled, queues.stockReplies] as const) {
      const before = await processed(queue);
      good.forEach((id, index) => {
        if (index % 50 === 25) void send(broker, queue, { event: 'Nonsense', order_id: `bad-${queue}-${index}` });
        void send(broker, queue, goodFor[queue](id));
      });
      await eventually(async () => (await processed(queue)) - before === good.length);
      const bad = await eventually(async () => {
        const rows = await letters({ queue, aggregateId: { startsWith: `bad-${queue}` } });
        return rows.length >= 2 ? rows : undefined;
      });
      expect(bad).toHaveLength(2);
      for (const letter of bad) {
        expect(letter).toMatchObject({ state: 'WAITING', timesDied: 1, attempt: 1, type: 'Nonsense' });
        expect(letter.reason).toMatch(/Unknown event "Nonsense": this queue takes/);
      }
    }
  });

  it('replaying poison twice changes nothing but the count of its deaths; a good message replayed twice has one effect', async () => {
    const { letter, orderId } = await aDeadFulfilment();
    for (const times of [2, 3]) {
      expect(['REPLAYED', 'DIED_AGAIN']).toContain((await outcomesOf(operations.replay({ ids: [letter.id], ...by })))[0]);
      await eventually(async () => {
        const now = await kept(orderId);
        return now.state === 'WAITING' && now.timesDied === times;
      });
    }
    expect(await letters({ aggregateId: orderId })).toHaveLength(1);
    expect(await reservation(orderId)).toBeNull();
  });

  it('a case that was repaired is replayed to its success, and is left alone when it is replayed again', async () => {
    const { letter, orderId } = await aDeadFulfilment({ messageId: uuidv7(), headers: { colour: 'red' } });
    expect(letter).toMatchObject({ queue: queues.orderFulfilled, type: 'OrderFulfilled', state: 'WAITING' });
    void send(broker, queues.orderCreated, created(orderId));
    await eventually(async () => (await reservation(orderId))?.status === 'ACTIVE');
    const movements = () => house.database.movement.count({ where: { orderId } });

    expect(await outcomesOf(operations.replay({ ids: [letter.id], ...by }))).toEqual(['REPLAYED']);
    await eventually(async () => (await reservation(orderId))?.status === 'COMMITTED');
    const before = await movements();
    expect(await outcomesOf(operations.replay({ ids: [letter.id], ...by }))).toEqual(['ALREADY']);
    expect(await kept(orderId)).toMatchObject({
      state: 'REPLAYED',
      settledBy: by.actor,
      settledBecause: by.reason,
      timesDied: 1,
    });
    expect(await movements()).toBe(before);
  });

  it('only the queue where it died hears a replay, with body and properties as they were sent', async () => {
    const queue = `heard-${uuidv7()}`;
    await broker.declare({
      exchanges: [],
      queues: [{ name: queue, kind: 'work' }],
      bindings: [{ exchange: 'orders', key: 'order.fulfilled', to: { queue } }],
    });
    const keeper = operations.keeperOf(queue);
    await keeper.start();
    const heard: { body: string; properties: object; exchange: string }[] = [];
    const subscription = await broker.consume(queue, { prefetch: 10 }, (delivery) => {
      heard.push({ body: delivery.body.toString('hex'), properties: delivery.properties, exchange: delivery.exchange });
      if (heard.length === 1) void delivery.deadLetter('not now');
      else delivery.ack();
    });
    const body = Buffer.from([0, 255, 1, 254]);
    const properties = {
      ...{ messageId: 'm-1', type: 'Odd', correlationId: 'c-1', contentType: 'x/y', contentEncoding: 'gzip', priority: 3 },
      headers: { text: 'a', number: 7, bytes: Buffer.from([9, 8]), deep: { list: [1, 'b', null] } },
    };
    void send(broker, queue, body, properties);
    const [letter] = await eventually(async () => {
      const rows = await letters({ queue });
      return rows.length > 0 ? rows : undefined;
    });
    expect(letter!.reason).toBe('not now');
    const others = (await operations.counts()).filter((count) => count.queue !== queue);
    expect(await outcomesOf(operations.replay({ ids: [letter!.id], ...by }))).toEqual(['REPLAYED']);
    await eventually(() => heard.length === 2);
    expect(heard[1]).toMatchObject({ body: heard[0]!.body, exchange: '' });
    expect(heard[1]!.properties).toEqual({
      ...properties,
      headers: { ...properties.headers, 'x-holdfast-dead-letter': letter!.id },
    });
    expect((await operations.counts()).filter((count) => count.queue !== queue)).toEqual(others);
    await subscription.cancel();
    await keeper.stop();
  });

  it('two operators who replay the same letters at once publish each once', async () => {
    const queue = `race-${uuidv7()}`;
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    const keeper = operations.keeperOf(queue);
    await keeper.start();
    const heard: string[] = [];
    let isMended = false;
    const subscription = await broker.consume(queue, { prefetch: 50 }, (delivery) => {
      if (isMended) heard.push(delivery.body.toString());
      if (isMended) delivery.ack();
      else void delivery.deadLetter('not yet');
    });
    const bodies = Array.from({ length: 40 }, (_, index) => `${index}`);
    for (const body of bodies) void send(broker, queue, body);
    const ids = await eventually(async () => {
      const rows = await letters({ queue });
      return rows.length === bodies.length ? rows.map(({ id }) => id) : undefined;
    });
    isMended = true;
    const answers = await Promise.all(
      Array.from({ length: 4 }, (_, index) => outcomesOf(operations.replay({ ids, actor: `operator ${index}`, reason: 'race' }))),
    );
    const outcomes = answers.flat();
    expect(outcomes.filter((outcome) => outcome === 'REPLAYED')).toHaveLength(bodies.length);
    expect(new Set(outcomes)).toEqual(
      new Set(['REPLAYED', 'UNDER_WAY', 'ALREADY'].filter((one) => outcomes.includes(one as never))),
    );
    await eventually(() => heard.length >= bodies.length);
    expect([...heard].sort()).toEqual([...bodies].sort());
    expect(await house.database.deadLetterAction.count({ where: { deadLetterId: { in: ids } } })).toBe(bodies.length);
    await subscription.cancel();
    await keeper.stop();
  });

  it('a dry run says what would be replayed and which would not even be understood, and changes and notes nothing', async () => {
    const queue = queues.orderFulfilled;
    const { orderId, letter } = await aDeadFulfilment();
    void send(broker, queue, { event: 'OrderFulfilled', order_id: `${orderId}-2`, version: 'one' });
    const broken = await kept(`${orderId}-2`);
    const known = operationsOn(house, broker, { [queue]: ['OrderFulfilled'] });
    const result = await known.replay({ ids: [letter.id, broken.id], dryRun: true, ...by });
    expect(result).toMatchObject({
      ...{ type: 'done', dryRun: true },
      letters: [
        { outcome: 'WOULD_REPLAY', isUnderstood: true },
        { outcome: 'WOULD_REPLAY', isUnderstood: false, detail: expect.stringMatching(/version/) as unknown },
      ],
    });
    expect(await outcomesOf(operations.discard({ ids: [letter.id], dryRun: true, ...by }))).toEqual(['WOULD_DISCARD']);
    expect(await kept(orderId)).toEqual(letter);
    expect(await house.database.deadLetterAction.count({ where: { deadLetterId: letter.id } })).toBe(0);
  });

  it('a discarded letter is settled for good, and a second discard or a replay leaves it alone', async () => {
    const { letter, orderId } = await aDeadFulfilment();
    expect(await outcomesOf(operations.discard({ ids: [letter.id], actor: 'noor', reason: 'a test of theirs' }))).toEqual([
      'DISCARDED',
    ]);
    expect(await outcomesOf(operations.discard({ ids: [letter.id], ...by }))).toEqual(['ALREADY']);
    expect(await outcomesOf(operations.replay({ ids: [letter.id], ...by }))).toEqual(['ALREADY']);
    expect(await kept(orderId)).toMatchObject({ state: 'DISCARDED', settledBy: 'noor', settledBecause: 'a test of theirs' });
    const actions = await house.database.deadLetterAction.findMany({ where: { deadLetterId: letter.id } });
    expect(actions).toMatchObject([{ action: 'DISCARD', actor: 'noor', reason: 'a test of theirs' }]);
  });

  it('what was done is noted with actor and reason, in its order, and nobody can change the notes', async () => {
    const { letter, orderId } = await aDeadFulfilment();
    await operations.replay({ ids: [letter.id], actor: 'mira', reason: 'perhaps now' });
    await eventually(async () => (await kept(orderId)).timesDied === 2);
    await operations.discard({ ids: [letter.id], actor: 'noor', reason: 'it will never be' });
    const actions = (await operations.actions([letter.id])).get(letter.id);
    expect(actions).toMatchObject([
      { action: 'REPLAY', actor: 'mira', reason: 'perhaps now' },
      { action: 'DISCARD', actor: 'noor', reason: 'it will never be' },
    ]);
    await expect(house.database.deadLetterAction.deleteMany()).rejects.toThrow(/append-only/);
    await expect(house.database.deadLetterAction.updateMany({ data: { actor: 'nobody' } })).rejects.toThrow(/append-only/);
  });

  it('a filter settles oldest first, in calls of bounded size that go on where the last one ended', async () => {
    const mark = uuidv7();
    for (let index = 0; index < 5; index++)
      void send(broker, queues.stockReplies, { event: `Mark-${mark}`, order_id: `${mark}-${index}` });
    await eventually(async () => (await letters({ type: `Mark-${mark}` })).length === 5);
    const seen: string[] = [];
    let after: string | null = null;
    for (let calls = 0; calls < 5; calls++) {
      const filter = { queue: queues.stockReplies, type: `Mark-${mark}`, reason: 'UNKNOWN event' };
      const result = await operations.discard({ filter, first: 2, after, ...by });
      if (result.type !== 'done') throw new Error(JSON.stringify(result));
      seen.push(...result.letters.map(({ letter }) => letter.id));
      after = result.endCursor;
      if (!result.hasMore) break;
    }
    expect(seen).toEqual((await letters({ type: `Mark-${mark}` })).map(({ id }) => id));
  });

  it('a letter whose queue is gone is not taken by the broker: it still waits, and can be replayed when the queue is there', async () => {
    const queue = `gone-${uuidv7()}`;
    const id = uuidv7();
    await house.database.deadLetter.create({ data: aRow(id, queue) });
    expect(await outcomesOf(operations.replay({ ids: [id], ...by }))).toEqual(['FAILED']);
    expect((await letters({ queue }))[0]).toMatchObject({ state: 'WAITING', replayId: null, timesDied: 1 });
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    const subscription = await broker.consume(queue, { prefetch: 1 }, (delivery) => delivery.ack());
    expect(await outcomesOf(operations.replay({ ids: [id], ...by }))).toEqual(['REPLAYED']);
    await subscription.cancel();
  });

  it('a process that died in the middle of a replay leaves the letter waiting, and another replays it when the claim has ended', async () => {
    const queue = `claimed-${uuidv7()}`;
    const id = uuidv7();
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    const subscription = await broker.consume(queue, { prefetch: 1 }, (delivery) => delivery.ack());
    await house.database.deadLetter.create({
      data: { ...aRow(id, queue), replayId: uuidv7(), replayingUntil: new Date(Date.now() + 60_000) },
    });
    expect(await outcomesOf(operations.replay({ ids: [id], ...by }))).toEqual(['UNDER_WAY']);
    expect(await outcomesOf(operations.discard({ ids: [id], ...by }))).toEqual(['UNDER_WAY']);
    await house.database.deadLetter.update({ where: { id }, data: { replayingUntil: new Date(Date.now() - 1_000) } });
    expect(await outcomesOf(operations.replay({ ids: [id], ...by }))).toEqual(['REPLAYED']);
    await subscription.cancel();
  });

  it('a replay does not keep its caller waiting for a slow consumer, and is marked when that has settled it', async () => {
    const queue = `slow-${uuidv7()}`;
    const id = uuidv7();
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    const held: Delivery[] = [];
    const subscription = await broker.consume(queue, { prefetch: 1 }, (delivery) => void held.push(delivery));
    await house.database.deadLetter.create({ data: aRow(id, queue) });
    const { database, ground } = house;
    // RabbitMQ itself keeps what waits; in process only its consumer's settlement makes it safe.
    const isSafeAtOnce = broker.name !== 'in-process';
    const waitMs = isSafeAtOnce ? 10_000 : 50;
    const replay = replayUseCase({ database, broker, log: ground.log, newId: uuidv7, problemWith: () => null, waitMs });
    expect(await outcomesOf(replay({ ids: [id], ...by }))).toEqual([isSafeAtOnce ? 'REPLAYED' : 'UNDER_WAY']);
    (await eventually(() => held[0])).ack();
    await eventually(async () => (await letters({ queue }))[0]!.state === 'REPLAYED');
    await subscription.cancel();
  });

  it('what no queue was bound to receive is kept too, and goes its original way when somebody is bound', async () => {
    const key = `order.misspelt-${uuidv7()}`;
    const body = Buffer.from('{"order_id":"unheard"}');
    const publication = { exchange: 'orders', routingKey: key, body, properties: { headers: {} }, mandatory: false };
    await broker.publish(publication);
    const [letter] = await eventually(async () => {
      const rows = await letters({ queue: unrouted, routingKey: key });
      return rows.length > 0 ? rows : undefined;
    });
    expect(letter!.reason).toMatch(/No queue is bound/);
    await outcomesOf(operations.replay({ ids: [letter!.id], ...by }));
    await eventually(async () => (await letters({ routingKey: key }))[0]!.timesDied === 2);

    const queue = `wanted-${uuidv7()}`;
    const bindings = [{ exchange: 'orders', key, to: { queue } }];
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'temporary' }], bindings });
    const heard: string[] = [];
    await broker.consume(queue, { prefetch: 1 }, (delivery) => {
      heard.push(delivery.routingKey);
      delivery.ack();
    });
    expect(await outcomesOf(operations.replay({ ids: [letter!.id], ...by }))).toEqual(['REPLAYED']);
    await eventually(() => heard.length === 1);
    expect(heard).toEqual([key]);
    expect(await letters({ routingKey: key })).toHaveLength(1);
  });

  it('the metric counts what waits, and forgets what is settled', async () => {
    const metric = async () => {
      const { body } = await house.ground.metrics.exposition();
      return Number(new RegExp(`holdfast_dead_letters\\{queue="${queues.orderFulfilled}"\\} (\\d+)`).exec(body)?.[1]);
    };
    const before = await metric();
    const { letter } = await aDeadFulfilment();
    expect(await metric()).toBe(before + 1);
    await operations.discard({ ids: [letter.id], ...by });
    expect(await metric()).toBe(before);
  });

  it('all work queues have a keeper', async () => {
    for (const queue of workQueues) await eventualDepth(broker, `${queue}.dead`, { ready: 0, consumers: 1 });
  });
});
