import { randomUUID } from 'node:crypto';
import {
  type Broker,
  type Delivery,
  type Publication,
  type QueueDeclaration,
  type Topology,
  UnconfirmedError,
  UnroutableError,
} from '../../../src/messaging/broker';
import { createInProcessBroker } from '../../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../../src/messaging/brokers/rabbitmq';
import { eventualDepth, testRabbitmqUrl } from '../../support/brokers';
import { eventually } from '../../support/eventually';

const url = testRabbitmqUrl();
const brokers: [string, () => Promise<Broker>][] = [
  ['in process', () => Promise.resolve(createInProcessBroker({ random: () => 0.5 }))],
];
if (url) brokers.push(['RabbitMQ', () => connectRabbitmq({ url, random: () => 0.5, confirmTimeoutMs: 10_000 })]);

describe.each(brokers)('the broker contract over %s', (kind, open) => {
  let broker: Broker;
  let unique: (name: string) => string;

  beforeAll(async () => {
    broker = await open();
  });
  afterAll(() => broker.close());
  beforeEach(() => {
    const suffix = randomUUID().slice(0, 8);
    unique = (name) => `${name}.${suffix}`;
  });

  /** Declares one exchange and one queue bound to it, under names of this test alone. */
  async function route(type: 'topic' | 'fanout' | 'direct', key: string, kindOfQueue: 'work' | 'temporary' = 'work') {
    const exchange = unique('exchange');
    const queue = unique('queue');
    await broker.declare({
      exchanges: [{ name: exchange, type }],
      queues: [{ name: queue, kind: kindOfQueue }],
      bindings: [{ exchange, key, to: { queue } }],
    });
    return { exchange, queue };
  }

  async function workQueue(): Promise<string> {
    const queue = unique('queue');
    await broker.declare({ ...nothing, queues: [{ name: queue, kind: 'work' }] });
    return queue;
  }

  /** Acks everything and keeps what came. */
  async function collect(queue: string, prefetch = 50): Promise<Delivery[]> {
    const deliveries: Delivery[] = [];
    await broker.consume(queue, { prefetch }, (delivery) => {
      deliveries.push(delivery);
      delivery.ack();
    });
    return deliveries;
  }

  describe('routing', () => {
    it('gives a topic queue what fits its pattern, and nothing else (S3.4)', async () => {
      const { exchange, queue } = await route('topic', 'order.*.eu.#');
      const seen = await collect(queue);
      for (const key of ['order.created.eu', 'order.created', 'order.created.eu.de.berlin', 'other.created.eu', 'order.a.b.eu']) {
        await broker.publish(message(exchange, key));
      }
      await eventually(() => seen.length === 2);
      expect(seen.map(({ routingKey }) => routingKey)).toEqual(['order.created.eu', 'order.created.eu.de.berlin']);
    });

    it('gives a fanout queue everything, whatever its key (S3.3)', async () => {
      const { exchange, queue } = await route('fanout', '');
      const seen = await collect(queue);
      await broker.publish(message(exchange, 'any.key'));
      await broker.publish(message(exchange, ''));
      await eventually(() => seen.length === 2);
    });

    it('gives a direct queue its exact key, the empty one too', async () => {
      const { exchange, queue } = await route('direct', '');
      const seen = await collect(queue);
      await broker.publish(message(exchange, 'x'));
      await broker.publish(message(exchange, ''));
      await eventually(() => seen.length === 1);
      expect(seen[0]).toMatchObject({ exchange, routingKey: '', queue });
    });

    it('reaches a queue by its name through the default exchange', async () => {
      const queue = await workQueue();
      const seen = await collect(queue);
      await broker.publish(message('', queue));
      await eventually(() => seen.length === 1);
      expect(seen[0]).toMatchObject({ exchange: '', routingKey: queue });
    });

    it('passes from exchange to exchange under the first name, one copy per queue', async () => {
      const [source, target, queue] = [unique('source'), unique('target'), unique('queue')];
      await broker.declare({
        exchanges: [
          { name: source, type: 'topic' },
          { name: target, type: 'fanout' },
        ],
        queues: [{ name: queue, kind: 'work' }],
        bindings: [
          { exchange: source, key: 'order.*', to: { exchange: target } },
          { exchange: source, key: 'order.created', to: { queue } },
          { exchange: source, key: '#', to: { queue } },
          { exchange: target, key: '', to: { queue } },
        ],
      });
      const seen = await collect(queue);
      await broker.publish(message(source, 'order.created'));
      await broker.publish(message('', queue));
      await eventually(() => seen.length === 2);
      expect(seen[0]).toMatchObject({ exchange: source, routingKey: 'order.created' });
    });

    it('turns to the alternate exchange when no binding fits', async () => {
      // On RabbitMQ the alternate exchange is a policy for the exchanges of the shop, so the test takes one of their names.
      if (kind === 'RabbitMQ' && process.env.RABBITMQ_URL) return;
      const queue = unique('unrouted');
      await broker.declare({
        exchanges: [
          { name: 'unrouted', type: 'fanout' },
          { name: 'accounts', type: 'topic', alternate: 'unrouted' },
        ],
        queues: [{ name: queue, kind: 'bounded', lengthMax: 10 }],
        bindings: [{ exchange: 'unrouted', key: '', to: { queue } }],
      });
      const seen = await collect(queue);
      await broker.publish({ ...message('accounts', 'nobody.wants.this'), mandatory: true });
      await eventually(() => seen.length === 1);
      expect(seen[0]).toMatchObject({ exchange: 'accounts', routingKey: 'nobody.wants.this' });
    });

    it('a temporary queue with a length drops the oldest that nobody has been handed, and never the newest', async () => {
      const [exchange, queue] = [unique('exchange'), unique('queue')];
      await broker.declare({
        exchanges: [{ name: exchange, type: 'fanout' }],
        queues: [{ name: queue, kind: 'temporary', lengthMax: 2 }],
        bindings: [{ exchange, key: '', to: { queue } }],
      });
      const seen: Delivery[] = [];
      await broker.consume(queue, { prefetch: 1 }, (delivery) => void seen.push(delivery));
      const bodyOf = ({ body }: Pick<Delivery, 'body'>) => body.toString();
      for (let n = 0; n < 20; n++) await broker.publish({ ...message(exchange, ''), body: Buffer.from(String(n)) });
      await eventually(() => seen.length === 1);
      for (let n = 0; seen.at(-1) && bodyOf(seen.at(-1)!) !== '19'; n++) {
        expect(n).toBeLessThan(4);
        const { length } = seen;
        seen.at(-1)!.ack();
        await eventually(() => seen.length > length);
      }
      expect(seen.length).toBeLessThanOrEqual(4);
    });

    it('may be declared again and again', async () => {
      const topology: Topology = {
        exchanges: [{ name: unique('exchange'), type: 'topic' }],
        queues: [
          { name: unique('work'), kind: 'work' },
          { name: unique('bounded'), kind: 'bounded', lengthMax: 5 },
          { name: unique('temporary'), kind: 'temporary' },
        ],
        bindings: [{ exchange: unique('exchange'), key: '#', to: { queue: unique('work') } }],
      };
      await broker.declare(topology);
      await broker.declare(topology);
      const seen = await collect(unique('work'));
      await broker.publish(message(unique('exchange'), 'once'));
      await broker.publish(message('', unique('work')));
      await eventually(() => seen.length === 2);
    });
  });

  describe('publishing', () => {
    it('resolves when the message is safe, and counts it until then', async () => {
      const { exchange, queue } = await route('topic', '#');
      const seen = await collect(queue);
      const confirmed = broker.publish(message(exchange, 'a'));
      await eventually(() => seen.length === 1);
      await confirmed;
      expect(broker.unsettled()).toBe(0);
    });

    it('refuses a mandatory message that no queue takes', async () => {
      const { exchange } = await route('topic', 'bound');
      await expect(broker.publish({ ...message(exchange, 'unbound'), mandatory: true })).rejects.toThrow(UnroutableError);
      await expect(broker.publish({ ...message('', unique('no-queue')), mandatory: true })).rejects.toThrow(unique('no-queue'));
      expect(broker.unsettled()).toBe(0);
    });

    it('takes a message that no queue takes when that is allowed', async () => {
      const { exchange } = await route('topic', 'bound');
      await broker.publish(message(exchange, 'unbound'));
    });

    it('settles two publications of one message id each in its own way', async () => {
      const { exchange, queue } = await route('topic', 'bound');
      await collect(queue);
      const twice = { ...message(exchange, 'bound'), mandatory: true };
      const outcomes = await Promise.allSettled([
        broker.publish({ ...twice, routingKey: 'unbound' }),
        broker.publish(twice),
        broker.publish({ ...twice, routingKey: 'unbound' }),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    });

    it('says that an exchange is missing, and goes on working', async () => {
      const queue = await workQueue();
      await collect(queue);
      const lost = broker.publish(message(unique('missing'), 'a'));
      await expect(lost).rejects.toThrow(UnconfirmedError);
      await expect(lost).rejects.toThrow(unique('missing'));
      await broker.publish(message('', queue));
    });

    it('drops from a queue of requests what nobody waits for any more, by its own time or the queue’s, and what is too many', async () => {
      const [quick, slow] = [unique('requests.quick'), unique('requests.slow')];
      const requests = { kind: 'requests', lengthMax: 3 } as const;
      await broker.declare({
        ...nothing,
        // One queue could not have both: what is to stay would be gone when the machine is busy for as long as the time of the queue.
        queues: [
          { ...requests, name: quick, ttlMs: 200 },
          { ...requests, name: slow, ttlMs: 60_000 },
        ],
      });
      const send = (queue: string, text: string, expirationMs?: number) =>
        broker.publish({ ...message('', queue), body: Buffer.from(text), expirationMs });
      for (const text of ['by the queue', 'by the queue, too']) await send(quick, text);
      await send(quick, 'by the queue all the same', 60_000);
      for (const text of ['too many', 'a']) await send(slow, text);
      await send(slow, 'by itself', 200);
      await send(slow, 'b');
      await new Promise((resolve) => setTimeout(resolve, 400));
      const textsOf = (seen: Delivery[]) => seen.map(({ body }) => body.toString());
      const [fromQuick, fromSlow] = [await collect(quick), await collect(slow)];
      await eventually(async () => {
        await send(quick, 'fresh');
        return fromQuick.length > 0 && fromSlow.length >= 2;
      });
      expect(new Set(textsOf(fromQuick))).toEqual(new Set(['fresh']));
      expect(textsOf(fromSlow)).toEqual(['a', 'b']);
      for (const queue of [quick, slow]) expect(await broker.depth(`${queue}.dead`)).toBeUndefined();
    });

    it('keeps only the newest in a bounded queue', async () => {
      const queue = unique('bounded');
      await broker.declare({ ...nothing, queues: [{ name: queue, kind: 'bounded', lengthMax: 3 }] });
      for (let number = 1; number <= 5; number++)
        await broker.publish({ ...message('', queue), body: Buffer.from(String(number)) });
      await eventualDepth(broker, queue, { ready: 3 });
      const seen = await collect(queue);
      await eventually(() => seen.length === 3);
      expect(seen.map(({ body }) => body.toString())).toEqual(['3', '4', '5']);
    });
  });

  describe('consuming', () => {
    it('brings body, properties and headers as they were sent', async () => {
      const queue = await workQueue();
      const seen = await collect(queue);
      const publication = fullMessage(queue);
      await broker.publish({ ...publication, mandatory: true });
      await eventually(() => seen.length === 1);
      expect(seen[0]?.properties).toEqual(publication.properties);
      expect(seen[0]?.body).toEqual(publication.body);
      expect(seen[0]).toMatchObject({ attempt: 1, redelivered: false, queue });
    });

    it('brings a bare message: no properties, no body', async () => {
      const queue = await workQueue();
      const seen = await collect(queue);
      await broker.publish({
        exchange: '',
        routingKey: queue,
        body: Buffer.alloc(0),
        properties: { headers: {} },
        mandatory: false,
      });
      await eventually(() => seen.length === 1);
      expect(seen[0]?.properties).toEqual({ headers: {} });
      expect(seen[0]?.body).toHaveLength(0);
    });

    it('keeps the order of a queue with one consumer', async () => {
      const queue = await workQueue();
      const seen = await collect(queue, 10);
      const numbers = Array.from({ length: 300 }, (_, index) => String(index));
      await Promise.all(numbers.map((number) => broker.publish({ ...message('', queue), body: Buffer.from(number) })));
      await eventually(() => seen.length === numbers.length);
      expect(seen.map(({ body }) => body.toString())).toEqual(numbers);
    });

    it('hands out no more than the prefetch at a time', async () => {
      const queue = await workQueue();
      const held: Delivery[] = [];
      await broker.consume(queue, { prefetch: 3 }, (delivery) => held.push(delivery));
      const published = Promise.all(Array.from({ length: 10 }, () => broker.publish(message('', queue))));
      await eventually(() => held.length === 3);
      await eventually(async () => (await broker.depth(queue))?.ready === 7);
      expect(held).toHaveLength(3);
      held[1]?.ack();
      await eventually(() => held.length === 4);
      for (let index = 0; index < 10; index++) (await eventually(() => held[index])).ack();
      await published;
    });

    it('shares the work between two consumers', async () => {
      const queue = await workQueue();
      const held: [Delivery[], Delivery[]] = [[], []];
      for (const mine of held) await broker.consume(queue, { prefetch: 5 }, (delivery) => mine.push(delivery));
      const published = Promise.all(Array.from({ length: 10 }, () => broker.publish(message('', queue))));
      await eventually(() => held[0].length === 5 && held[1].length === 5);
      await eventualDepth(broker, queue, { consumers: 2 });
      held.flat().forEach((delivery) => delivery.ack());
      await published;
    });

    it('delivers again, marked as redelivered, what a consumer threw back', async () => {
      const queue = await workQueue();
      const seen: Delivery[] = [];
      await broker.consume(queue, { prefetch: 1 }, (delivery) => {
        seen.push(delivery);
        if (seen.length === 1) throw new Error('planted');
        delivery.ack();
      });
      await broker.publish(message('', queue));
      await eventually(() => seen.length === 2);
      expect(seen.map(({ redelivered, attempt }) => ({ redelivered, attempt }))).toEqual([
        { redelivered: false, attempt: 1 },
        { redelivered: true, attempt: 1 },
      ]);
    });

    it('delivers nothing after a cancel, but lets what is in hand be settled', async () => {
      const queue = await workQueue();
      const held: Delivery[] = [];
      const subscription = await broker.consume(queue, { prefetch: 1 }, (delivery) => held.push(delivery));
      const published = [broker.publish(message('', queue)), broker.publish(message('', queue))];
      await eventually(() => held.length === 1);
      await subscription.cancel();
      held[0]?.ack();
      await published[0];
      await eventually(async () => (await broker.depth(queue))?.ready === 1);
      expect(held).toHaveLength(1);
      expect(await collect(queue)).toBeDefined();
      await Promise.all(published);
      await eventualDepth(broker, queue, { ready: 0, consumers: 1 });
    });

    it('refuses to consume a queue that is not there', async () => {
      await expect(broker.consume(unique('missing'), { prefetch: 1 }, () => undefined)).rejects.toThrow(unique('missing'));
    });

    it('knows the depth of a queue, and that there is no such queue', async () => {
      expect(await broker.depth(unique('missing'))).toBeUndefined();
      expect(await broker.depth(await workQueue())).toEqual({ ready: 0, consumers: 0 });
    });

    it('ends a temporary queue with its last consumer', async () => {
      const { queue } = await route('topic', '#', 'temporary');
      const subscription = await broker.consume(queue, { prefetch: 1 }, (delivery) => delivery.ack());
      await subscription.cancel();
      await eventually(async () => (await broker.depth(queue)) === undefined);
    });
  });

  describe('settling', () => {
    it('brings a retry back after its delay, with the next attempt and everything it carried', async () => {
      const { exchange, queue } = await route('topic', '#');
      const seen: { delivery: Delivery; at: number }[] = [];
      await broker.consume(queue, { prefetch: 1 }, (delivery) => {
        seen.push({ delivery, at: performance.now() });
        if (delivery.attempt < 3) void delivery.retry(200, 'not yet');
        else delivery.ack();
      });
      const publication = { ...fullMessage(queue), exchange, routingKey: 'order.created' };
      await broker.publish(publication);
      await eventually(() => seen.length === 3);
      expect(seen.map(({ delivery }) => delivery.attempt)).toEqual([1, 2, 3]);
      const [first, , third] = seen;
      expect((third?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(390);
      expect(third?.delivery.properties).toEqual(publication.properties);
      expect(third?.delivery).toMatchObject({
        exchange,
        routingKey: 'order.created',
        body: publication.body,
        redelivered: false,
      });
      await eventually(() => broker.unsettled() === 0);
    });

    it('moves a dead letter aside with its reason', async () => {
      const queue = await workQueue();
      await broker.consume(queue, { prefetch: 1 }, (delivery) => {
        if (delivery.attempt === 1) void delivery.retry(1, 'once more');
        else void delivery.deadLetter('Not JSON: unexpected end');
      });
      const dead = await collect(`${queue}.dead`);
      const publication = fullMessage(queue);
      await broker.publish(publication);
      await eventually(() => dead.length === 1);
      expect(dead[0]?.properties).toEqual({
        ...publication.properties,
        headers: {
          ...publication.properties.headers,
          'x-holdfast-reason': 'Not JSON: unexpected end',
          'x-holdfast-queue': queue,
          'x-holdfast-attempt': 2,
          'x-holdfast-death': expect.any(String) as unknown,
        },
      });
      expect(dead[0]).toMatchObject({ exchange: '', routingKey: queue, attempt: 1, body: publication.body });
    });

    it('ends a message that is thrown back again and again among the dead letters', async () => {
      const queue = await workQueue();
      let tries = 0;
      await broker.consume(queue, { prefetch: 1 }, () => {
        tries += 1;
        throw new Error('planted');
      });
      const dead = await collect(`${queue}.dead`);
      await broker.publish(message('', queue));
      await eventually(() => dead.length === 1);
      expect(tries).toBe(21);
      expect(String(dead[0]?.properties.headers['x-holdfast-reason'])).toMatch(/never settled/);
      expect(dead[0]?.properties.headers['x-holdfast-queue']).toBe(queue);
    });

    it('keeps a dead letter that is refused again', async () => {
      const queue = await workQueue();
      await broker.consume(queue, { prefetch: 1 }, (delivery) => void delivery.deadLetter('first'));
      const reasons: unknown[] = [];
      await broker.consume(`${queue}.dead`, { prefetch: 1 }, (delivery) => {
        reasons.push(delivery.properties.headers['x-holdfast-reason']);
        if (reasons.length === 1) void delivery.deadLetter('second');
        else delivery.ack();
      });
      await broker.publish(message('', queue));
      await eventually(() => reasons.length === 2);
      expect(reasons).toEqual(['first', 'second']);
    });

    it('ignores a second settlement', async () => {
      const queue = await workQueue();
      const seen: Delivery[] = [];
      await broker.consume(queue, { prefetch: 5 }, (delivery) => seen.push(delivery));
      const published = [broker.publish(message('', queue)), broker.publish(message('', queue))];
      await eventually(() => seen.length === 2);
      const [first, second] = seen;
      first?.ack();
      first?.ack();
      await first?.retry(0, 'too late');
      await first?.deadLetter('too late');
      second?.ack();
      await Promise.all(published);
      await eventually(async () => (await broker.depth(queue))?.ready === 0);
      expect(await broker.depth(`${queue}.dead`)).toEqual({ ready: 0, consumers: 0 });
      expect(seen).toHaveLength(2);
    });
  });

  describe('closing', () => {
    it('loses nothing under load: every message was settled, or its publication was not confirmed', async () => {
      const own = await open();
      const queue = unique('queue');
      await own.declare({ ...nothing, queues: [{ name: queue, kind: 'work' }] });
      const acked = new Set<string>();
      await own.consume(queue, { prefetch: 20 }, (delivery) => {
        acked.add(delivery.body.toString());
        delivery.ack();
      });
      const ids = Array.from({ length: 2_000 }, (_, index) => `message-${index}`);
      const outcomes = Promise.allSettled(ids.map((id) => own.publish({ ...message('', queue), body: Buffer.from(id) })));
      await eventually(() => acked.size > 100);
      await own.close();
      const results = await outcomes;
      const safe = new Set(acked);
      if (kind === 'RabbitMQ') {
        const left = await collect(queue);
        const confirmed = ids.filter((_, index) => results[index]?.status === 'fulfilled');
        await eventually(() => {
          left.forEach(({ body }) => safe.add(body.toString()));
          return confirmed.every((id) => safe.has(id));
        });
      }
      results.forEach((result, index) => {
        if (result.status === 'fulfilled') expect(safe).toContain(ids[index]);
        else expect(result.reason).toBeInstanceOf(UnconfirmedError);
      });
      expect(own.status().state).toBe('closed');
      await expect(own.publish(message('', queue))).rejects.toThrow(UnconfirmedError);
    });
  });
});

const nothing: Topology = { exchanges: [], queues: [] as QueueDeclaration[], bindings: [] };

function message(exchange: string, routingKey: string): Publication {
  const properties = { messageId: randomUUID(), headers: {} };
  return { exchange, routingKey, body: Buffer.from('{}'), properties, mandatory: false };
}

function fullMessage(queue: string): Publication {
  return {
    exchange: '',
    routingKey: queue,
    body: Buffer.from('{"event":"OrderCreated"}'),
    properties: {
      messageId: randomUUID(),
      type: 'OrderCreated',
      correlationId: 'conversation',
      replyTo: 'replies',
      appId: 'holdfast',
      contentType: 'application/json',
      timestamp: 1_790_000_000,
      headers: { 'cloudEvents:type': 'OrderCreated', traceparent: '00-1-2-01', version: 3, nested: { deep: [1, 'two', true] } },
    },
    mandatory: false,
  };
}
