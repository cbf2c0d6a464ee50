import { connect as amqpConnect, type Channel, type ChannelModel } from 'amqplib';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Broker, type Delivery, type Publication, type Topology, UnconfirmedError } from '../../../src/messaging/broker';
import { findRabbitmqServer } from '../../../src/messaging/brokers/findRabbitmqServer';
import { type PrivateRabbitmq, startPrivateRabbitmq } from '../../../src/messaging/brokers/privateRabbitmq';
import { connectRabbitmq, type RabbitmqOptions } from '../../../src/messaging/brokers/rabbitmq';
import { eventualDepth } from '../../support/brokers';
import { eventually } from '../../support/eventually';
import { startTcpProxy, type TcpProxy } from '../../../scripts/chaos/tcpProxy';

/** A node of its own, because this suite kills it. */
const suite = findRabbitmqServer() === undefined ? describe.skip : describe;

suite('the RabbitMQ broker', () => {
  let node: PrivateRabbitmq;
  let dataDir: string;
  let proxy: TcpProxy;
  let foreign: ChannelModel;
  let queue: string;
  const opened: Broker[] = [];

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'holdfast-rabbitmq-'));
    node = await startPrivateRabbitmq({ dataDir });
    proxy = await startTcpProxy({ host: '127.0.0.1', port: node.port });
    foreign = await foreignClient();
  });
  afterAll(async () => {
    await foreign.close().catch(() => undefined);
    await proxy.close();
    await node.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  beforeEach(() => {
    queue = `queue.${randomUUID().slice(0, 8)}`;
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    proxy.heal();
    await Promise.all(opened.splice(0).map((broker) => broker.close()));
  });

  async function foreignClient(): Promise<ChannelModel> {
    const connection = await amqpConnect(node.url);
    connection.on('error', () => undefined);
    return connection;
  }

  /** A broker connected through the proxy, with quick limits. */
  async function open(options: Partial<RabbitmqOptions> = {}): Promise<Broker> {
    const url = node.url.replace(/:\d+$/, `:${proxy.port}`);
    const broker = await connectRabbitmq({
      url,
      random: () => 0.5,
      confirmTimeoutMs: 5_000,
      reconnectDelayMaxMs: 200,
      ...options,
    });
    opened.push(broker);
    return broker;
  }

  async function openWithQueue(options: Partial<RabbitmqOptions> = {}): Promise<Broker> {
    const broker = await open(options);
    await broker.declare(topologyOf(queue));
    return broker;
  }

  async function collect(broker: Broker, from = queue): Promise<string[]> {
    const bodies: string[] = [];
    await broker.consume(from, { prefetch: 50 }, (delivery) => {
      bodies.push(delivery.body.toString());
      delivery.ack();
    });
    return bodies;
  }

  /** The amqplib channel that the next `consume` uses, to do to it what only a broken program would. */
  async function nextConsumingChannel(): Promise<() => Channel> {
    const probe = await foreign.createChannel();
    const prototype = Object.getPrototypeOf(probe) as Channel;
    const spy = jest.spyOn(prototype, 'consume');
    await probe.close();
    return () => spy.mock.contexts.at(-1) as Channel;
  }

  const isReady = (broker: Broker) => broker.status().state === 'ready';

  describe('after a loss', () => {
    it('restores consumers, topology and publishing when the connection is cut', async () => {
      const broker = await openWithQueue();
      const temporary = `temporary.${queue}`;
      await broker.declare({
        exchanges: [{ name: `exchange.${queue}`, type: 'topic' }],
        queues: [{ name: temporary, kind: 'temporary' }],
        bindings: [{ exchange: `exchange.${queue}`, key: '#', to: { queue: temporary } }],
      });
      const [seen, alsoSeen] = [await collect(broker), await collect(broker, temporary)];
      proxy.cut();
      await eventually(() => broker.status().state === 'connecting');
      expect(broker.status().detail).not.toContain(passwordOf(node));
      proxy.heal();
      await broker.publish(message(queue, 'after'));
      await eventually(() => isReady(broker));
      await broker.publish({ ...message('any.key', 'also after'), exchange: `exchange.${queue}`, mandatory: true });
      await eventually(() => seen.includes('after') && alsoSeen.includes('also after'));
    });

    it.each(process.env.HOLDFAST_TESTS === 'long' ? ['gracefully', 'by kill -9'] : ['by kill -9'])(
      'goes on when the node is restarted %s, and keeps what was confirmed',
      async (how) => {
        const broker = await openWithQueue();
        await Promise.all(['a', 'b', 'c'].map((body) => broker.publish(message(queue, body))));
        await (how === 'gracefully' ? node.stop() : node.kill9());
        await eventually(() => broker.status().state === 'connecting');
        node = await startPrivateRabbitmq({ dataDir });
        foreign = await foreignClient();
        await eventually(() => isReady(broker));
        const seen = await collect(broker);
        await broker.publish(message(queue, 'd'));
        await eventually(() => seen.length >= 4);
        expect(seen).toEqual(['a', 'b', 'c', 'd']);
      },
      60_000,
    );

    it('lets a publication wait for the reconnect, but no longer than the confirm timeout', async () => {
      const [hasty, patient] = [await openWithQueue({ confirmTimeoutMs: 400 }), await open({ confirmTimeoutMs: 30_000 })];
      proxy.cut();
      await eventually(() => [hasty, patient].every((broker) => broker.status().state === 'connecting'));
      await expect(hasty.publish(message(queue, 'too late'))).rejects.toThrow(UnconfirmedError);
      const waiting = patient.publish(message(queue, 'in time'));
      proxy.heal();
      await waiting;
    });

    it('gives back what a closed consumer left unsettled, marked as redelivered', async () => {
      const first = await openWithQueue();
      const held: Delivery[] = [];
      await first.consume(queue, { prefetch: 5 }, (delivery) => held.push(delivery));
      await first.publish(message(queue, 'left'));
      await eventually(() => held.length === 1);
      await first.close();
      held[0]?.ack();
      const second = await open();
      const seen: Delivery[] = [];
      await second.consume(queue, { prefetch: 5 }, (delivery) => {
        seen.push(delivery);
        delivery.ack();
      });
      await eventually(() => seen.length === 1);
      expect(seen[0]?.redelivered).toBe(true);
    });

    it('ends a crash loop at the delivery limit, among the dead letters with a reason', async () => {
      await (await openWithQueue()).publish(message(queue, 'poison'));
      let deliveries = 0;
      for (let crash = 0; crash < 21; crash++) {
        const victim = await open();
        const held: Delivery[] = [];
        await victim.consume(queue, { prefetch: 1 }, (delivery) => held.push(delivery));
        await eventually(() => held.length === 1);
        deliveries += 1;
        await victim.close();
      }
      const dead: Delivery[] = [];
      await (
        await open()
      ).consume(`${queue}.dead`, { prefetch: 1 }, (delivery) => {
        dead.push(delivery);
        delivery.ack();
      });
      await eventually(() => dead.length === 1);
      expect(deliveries).toBe(21);
      expect(dead[0]?.properties.headers['x-holdfast-reason']).toMatch(/never settled/);
      expect(dead[0]).toMatchObject({ exchange: '', routingKey: queue });
    });
  });

  describe('a broken boot', () => {
    it('says in one line, without the password, that there is no broker', async () => {
      const url = 'amqp://someone:topsecret@127.0.0.1:9';
      const states: string[] = [];
      const refused = connectRabbitmq({
        url,
        random: () => 0.5,
        bootTimeoutMs: 300,
        onStatus: ({ state }) => states.push(state),
      });
      await expect(refused).rejects.toThrow(/No connection to RabbitMQ within 0.3 s: amqp:\/\/127.0.0.1:9: .*ECONNREFUSED/);
      await expect(refused).rejects.not.toThrow(/topsecret/);
      expect(states).toContain('connecting');
    });

    it('waits for a RabbitMQ that comes later (S4.7)', async () => {
      proxy.cut();
      const waiting = open();
      await new Promise((resolve) => setTimeout(resolve, 800));
      proxy.heal();
      expect((await waiting).status().state).toBe('ready');
    });

    it('says that the login was refused', async () => {
      const url = `amqp://holdfast:topsecret@127.0.0.1:${node.port}`;
      await expect(connectRabbitmq({ url, random: () => 0.5, bootTimeoutMs: 3_000 })).rejects.toThrow(/ACCESS.REFUSED/);
    });

    it.each(['http://host', 'not a url'])('refuses %p as an address', async (url) => {
      await expect(connectRabbitmq({ url, random: () => 0.5 })).rejects.toThrow(/amqp:\/\/user:password@host/);
    });
  });

  describe('the declared queues', () => {
    it('are replicated, limited, and dead-letter at least once', async () => {
      await openWithQueue();
      const rows = JSON.parse(
        await node.control('list_queues', '--formatter', 'json', 'name', 'arguments', 'durable', 'type'),
      ) as {
        name: string;
        arguments: [string, string, unknown][];
        durable: boolean;
        type: string;
      }[];
      const argumentsOf = (name: string) =>
        Object.fromEntries((rows.find((row) => row.name === name)?.arguments ?? []).map(([key, , value]) => [key, value]));
      expect(argumentsOf(queue)).toEqual({
        'x-queue-type': 'quorum',
        'x-delivery-limit': 20,
        'x-dead-letter-exchange': 'dead_letters',
        'x-dead-letter-routing-key': queue,
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
      });
      for (const tier of [1, 2, 3, 4]) {
        expect(argumentsOf(`${queue}.retry.${tier}`)).toMatchObject({
          'x-dead-letter-strategy': 'at-least-once',
          'x-overflow': 'reject-publish',
          'x-dead-letter-exchange': '',
          'x-dead-letter-routing-key': queue,
        });
      }
      expect(argumentsOf(`${queue}.dead`)).toEqual({ 'x-queue-type': 'quorum', 'x-delivery-limit': 2_147_483_647 });
    });

    it('leave `orders` open to any client that asserts it as a durable topic', async () => {
      const broker = await open();
      await broker.declare({ exchanges: [{ name: 'orders', type: 'topic', alternate: 'unrouted' }], queues: [], bindings: [] });
      const channel = await foreign.createChannel();
      await channel.assertExchange('orders', 'topic', { durable: true });
      await channel.close();
    });

    it('take a message from a foreign client as bare as it can be', async () => {
      const broker = await openWithQueue();
      const seen = await collect(broker);
      const channel = await foreign.createChannel();
      channel.sendToQueue(queue, Buffer.from('bare'));
      await channel.close();
      await eventually(() => seen.length === 1);
    });
  });

  describe('retries and dead letters', () => {
    it('keep the properties that only a foreign client sets', async () => {
      const broker = await openWithQueue();
      await broker.consume(queue, { prefetch: 1 }, (delivery) => {
        if (delivery.attempt === 1) void delivery.retry(1, 'again');
        else void delivery.deadLetter('enough');
      });
      const channel = await foreign.createChannel();
      channel.sendToQueue(queue, Buffer.from('x'), {
        contentEncoding: 'gzip',
        priority: 3,
        userId: 'holdfast',
        expiration: '60000',
      });
      const dead = await eventually(async () => (await channel.get(`${queue}.dead`, { noAck: true })) || undefined);
      expect(dead.properties).toMatchObject({ contentEncoding: 'gzip', priority: 3, deliveryMode: 2 });
      expect(dead.properties.headers).toMatchObject({ 'x-holdfast-reason': 'enough', 'x-holdfast-attempt': 2 });
      await channel.close();
    });

    it('go on when the connection is cut between the copy and the ack: two at most, never none', async () => {
      const broker = await openWithQueue({ confirmTimeoutMs: 300 });
      const attempts: number[] = [];
      await broker.consume(queue, { prefetch: 1 }, (delivery) => {
        attempts.push(delivery.attempt);
        if (delivery.attempt > 1) return delivery.ack();
        if (attempts.length === 1) proxy.cut();
        void delivery.retry(1, 'cut now');
      });
      broker.publish(message(queue, 'x')).catch(() => undefined);
      await eventually(() => attempts.includes(1));
      proxy.heal();
      await eventually(() => attempts.includes(2));
    });
  });

  describe('an alarm on the broker', () => {
    afterEach(() => node.control('set_vm_memory_high_watermark', '0.4'));

    it('shows as blocked, stops publishing but not consuming, and ends by itself', async () => {
      const broker = await openWithQueue({ confirmTimeoutMs: 600 });
      const patient = await open();
      await Promise.all(['a', 'b', 'c'].map((body) => patient.publish(message(queue, body))));
      await node.control('set_vm_memory_high_watermark', '0.00001');
      broker.publish(message(queue, 'sent into the alarm')).catch(() => undefined);
      await eventually(() => broker.status().state === 'blocked');
      expect(broker.status().detail).toMatch(/low on memory/);
      await expect(broker.publish(message(queue, 'held back'))).rejects.toThrow(UnconfirmedError);
      const seen = await collect(broker);
      await eventually(() => seen.length >= 3);
      await node.control('set_vm_memory_high_watermark', '0.4');
      await eventually(() => isReady(broker));
      await eventually(() => broker.publish(message(queue, 'after')).then(() => true));
      await eventually(() => seen.includes('after'));
      expect(seen).not.toContain('held back');
    });

    it('trap 13: closing while blocked ends at once, and what was not confirmed says so', async () => {
      const broker = await openWithQueue({ confirmTimeoutMs: 60_000 });
      await node.control('set_vm_memory_high_watermark', '0.00001');
      const unconfirmed = expect(broker.publish(message(queue, 'x'))).rejects.toThrow(UnconfirmedError);
      await eventually(() => broker.status().state === 'blocked');
      const started = performance.now();
      await broker.close();
      // Far less than it would wait for confirms.
      expect(performance.now() - started).toBeLessThan(15_000);
      await unconfirmed;
    });
  });

  describe('the traps of amqplib', () => {
    it('trap 1: channels and consumers are made anew on every connection', async () => {
      const broker = await openWithQueue();
      const seen = await collect(broker);
      for (const round of ['one', 'two', 'three']) {
        proxy.cut();
        await eventually(() => broker.status().state === 'connecting');
        proxy.heal();
        await broker.publish(message(queue, round));
        await eventually(() => seen.includes(round));
      }
    });

    it('traps 2 and 3: a cut at any point of the setup neither crashes nor hangs', async () => {
      const broker = await openWithQueue();
      const seen = await collect(broker);
      for (let bytes = 50; bytes <= 1_450; bytes += 100) {
        const before = proxy.connections();
        proxy.cutAfter(bytes);
        await eventually(() => proxy.connections() >= before + 2);
      }
      proxy.heal();
      await eventually(() => isReady(broker));
      await broker.publish(message(queue, 'after'));
      await eventually(() => seen.includes('after'));
    });

    it('trap 4: a channel that the broker closes is rebuilt, on the same connection', async () => {
      const consumingChannel = await nextConsumingChannel();
      const broker = await openWithQueue();
      const seen = await collect(broker);
      const connections = proxy.connections();
      const broken = consumingChannel();
      broken.ack({ fields: { deliveryTag: 999 } } as never, false);
      await eventually(() => consumingChannel() !== broken);
      await broker.publish(message(queue, 'after'));
      await eventually(() => seen.includes('after'));
      expect(proxy.connections()).toBe(connections);
    });

    it('trap 4: a missing exchange takes only the publishing channel along, and is declared again', async () => {
      const broker = await openWithQueue();
      const exchange = `exchange.${queue}`;
      await broker.declare({ ...topologyOf(queue), exchanges: [{ name: exchange, type: 'fanout' }] });
      const seen = await collect(broker);
      const connections = proxy.connections();
      const channel = await foreign.createChannel();
      await channel.deleteExchange(exchange);
      await channel.close();
      await expect(broker.publish({ ...message('', 'lost'), exchange })).rejects.toThrow(/no exchange/);
      await eventually(() => broker.publish({ ...message('', 'again'), exchange }).then(() => true));
      await broker.publish(message(queue, 'after'));
      await eventually(() => seen.includes('after'));
      expect(proxy.connections()).toBe(connections);
    });

    it('trap 5: no more than the window is on the wire unconfirmed', async () => {
      const broker = await openWithQueue({ publishWindowMax: 50 });
      const seen = await collect(broker);
      const probe = await foreign.createConfirmChannel();
      const publish = jest.spyOn(Object.getPrototypeOf(probe) as typeof probe, 'publish');
      proxy.blackHole();
      const outcomes = Array.from({ length: 300 }, (_, index) =>
        broker.publish(message(queue, String(index))).catch(() => 'lost'),
      );
      expect(publish).toHaveBeenCalledTimes(50);
      expect(broker.unsettled()).toBe(300);
      proxy.heal();
      await Promise.all(outcomes);
      await eventually(() => seen.length >= 250);
    });

    it('what one turn publishes goes out in a few writes to the socket, not in one for each', async () => {
      const broker = await openWithQueue();
      const written = jest.spyOn(Socket.prototype as unknown as { _writeGeneric(): void }, '_writeGeneric');
      await Promise.all(Array.from({ length: 100 }, (_, index) => broker.publish(message(queue, String(index)))));
      // The proxy runs in this process, and its sockets write too.
      const ours = (written.mock.contexts as unknown as Socket[]).filter(({ remotePort }) => remotePort === proxy.port);
      expect(ours.length).toBeGreaterThan(0);
      expect(ours.length).toBeLessThan(20);
      await eventualDepth(broker, queue, { ready: 100 });
    });

    it('a queue whose leader gives no answer for a moment is not taken for an empty one', async () => {
      const broker = await openWithQueue();
      await broker.publish(message(queue, 'there'));
      const leader = `binary_to_existing_atom(<<"%2F_${queue}">>)`;
      const suspending = node.control('eval', `L = ${leader}, sys:suspend(L), timer:sleep(700), sys:resume(L).`);
      let isOver = false;
      void suspending.finally(() => (isOver = true));
      const [seen, slowest] = [new Set<number>(), { ms: 0 }];
      while (!isOver) {
        const askedAt = performance.now();
        seen.add((await broker.depth(queue))?.ready ?? NaN);
        slowest.ms = Math.max(slowest.ms, performance.now() - askedAt);
      }
      expect(await suspending).toContain('ok');
      expect([...seen]).toEqual([1]);
      // Else nobody asked meanwhile, and nothing is shown.
      expect(slowest.ms).toBeGreaterThan(240);
    });

    it('trap 6: a confirm that never comes ends in its own timeout, and the silent connection is replaced', async () => {
      const broker = await openWithQueue({ confirmTimeoutMs: 300 });
      await eventually(() => broker.publish(message(queue, 'before')).then(() => true));
      proxy.blackHole();
      await expect(broker.publish(message(queue, 'lost'))).rejects.toThrow(/no confirm came within 0.3 s/);
      await eventually(() => broker.status().state === 'connecting');
      proxy.heal();
      await eventually(() => broker.publish(message(queue, 'after')).then(() => true));
    });

    it('trap 7: heartbeats of 10 s are agreed with the broker', async () => {
      await open({ connectionName: `heartbeat-${queue}` });
      const rows = JSON.parse(await node.control('list_connections', '--formatter', 'json', 'client_properties', 'timeout')) as {
        client_properties: [string, string, string][];
        timeout: number;
      }[];
      const ours = rows.filter((row) => JSON.stringify(row.client_properties).includes(`heartbeat-${queue}`));
      expect(ours.map(({ timeout }) => timeout)).toEqual([10, 10]);
      expect(JSON.stringify(ours)).toContain('publishing');
    });

    it('trap 8: a close with unconfirmed messages reports each of them', async () => {
      const broker = await openWithQueue();
      const seen = await collect(broker);
      const outcomes = Promise.allSettled(
        Array.from({ length: 1_000 }, (_, index) => broker.publish(message(queue, String(index))).then(() => String(index))),
      );
      await eventually(() => seen.length > 20);
      proxy.cut();
      proxy.heal();
      const results = await outcomes;
      for (const result of results) if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(UnconfirmedError);
      const confirmed = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      await eventually(() => confirmed.every((body) => seen.includes(body)));
    });

    it('trap 9: headers beyond 64 KiB refuse that one publication only', async () => {
      const broker = await openWithQueue();
      const huge = message(queue, 'huge');
      const outcomes = await Promise.allSettled([
        broker.publish(message(queue, 'a')),
        broker.publish({ ...huge, properties: { headers: { big: 'x'.repeat(70_000) } } }),
        broker.publish(message(queue, 'b')),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(outcomes[1]).toMatchObject({ reason: expect.any(RangeError) as unknown });
    });

    it('trap 9: a dead letter whose headers leave no room for a reason is kept all the same', async () => {
      const broker = await openWithQueue();
      await broker.consume(queue, { prefetch: 1 }, (delivery) => void delivery.deadLetter('x'.repeat(5_000)));
      await broker.publish({ ...message(queue, 'full'), properties: { headers: { big: 'x'.repeat(64_500) } } });
      await eventually(async () => (await broker.depth(`${queue}.dead`))?.ready === 1);
    });

    it('trap 10: a consumer that throws, now or later, harms neither channel nor connection', async () => {
      const consumingChannel = await nextConsumingChannel();
      const broker = await openWithQueue();
      const seen: string[] = [];
      await broker.consume(queue, { prefetch: 1 }, (delivery) => {
        seen.push(delivery.body.toString());
        if (seen.length === 1) throw new Error('planted');
        if (seen.length === 2) return Promise.reject(new Error('planted')) as unknown as void;
        delivery.ack();
      });
      const channel = consumingChannel();
      await broker.publish(message(queue, 'a'));
      await broker.publish(message(queue, 'b'));
      await eventually(() => seen.length === 4);
      expect(seen).toEqual(['a', 'a', 'a', 'b']);
      expect(consumingChannel()).toBe(channel);
    });

    it('trap 11: a consumer whose queue was deleted declares and consumes it again', async () => {
      const broker = await openWithQueue();
      const seen = await collect(broker);
      const channel = await foreign.createChannel();
      await channel.deleteQueue(queue);
      await channel.close();
      await eventually(async () => (await broker.depth(queue))?.consumers === 1);
      await broker.publish({ ...message(queue, 'after'), mandatory: true });
      await eventually(() => seen.includes('after'));
    });

    it('trap 12: a queue declared otherwise fails the boot at once, with its name and what to do', async () => {
      const channel = await foreign.createChannel();
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } });
      await channel.close();
      const broker = await open();
      const failing = broker.declare(topologyOf(queue));
      await expect(failing).rejects.toThrow(`Queue "${queue}" is already on RabbitMQ, declared otherwise.`);
      await expect(failing).rejects.toThrow(`rabbitmqctl delete_queue '${queue}'`);
      expect(isReady(broker)).toBe(true);
    });

    it('trap 14: work that starves the heartbeats costs the connection, not the program', async () => {
      const broker = await openWithQueue({ heartbeatSeconds: 1 });
      const seen = await collect(broker);
      const until = performance.now() + 3_500;
      while (performance.now() < until);
      await eventually(() => broker.publish(message(queue, 'after')).then(() => true));
      await eventually(() => seen.includes('after'));
    });
  });
});

function topologyOf(queue: string): Topology {
  return { exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] };
}

function message(queue: string, body: string): Publication {
  const properties = { messageId: randomUUID(), headers: {} };
  return { exchange: '', routingKey: queue, body: Buffer.from(body), properties, mandatory: false };
}

function passwordOf(node: PrivateRabbitmq): string {
  return new URL(node.url).password;
}
