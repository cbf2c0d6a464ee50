import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { startTcpProxy } from '../../scripts/chaos/tcpProxy';
import { identitySettings, signToken } from '../../src/identity';
import { readConfig } from '../../src/config';
import { type Broker } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { type RoleName } from '../../src/roles';
import { aHouse, type House } from '../support/aHouse';
import { aSubscriber, type Heard, type Subscriber } from '../support/aSubscriber';
import { testRabbitmqUrl } from '../support/brokers';
import { eventually, oneOfThree } from '../support/eventually';
import { startHoldfast, type HoldfastProcess } from '../support/holdfastProcess';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** Gateways on one RabbitMQ and one Postgres: who listens at one hears of what is done at the other. */
interface Change {
  orderChanged: { cursor: string; step: { version: number }; order: { id: string } };
}
const changes = `subscription ($after: String) { orderChanged(after: $after) { cursor step { version } order { id } } }`;
const random = () => randomInt(2 ** 32) / 2 ** 32;
const url = testRabbitmqUrl();
const secret = randomBytes(32).toString('hex');

(url ? describe : describe.skip)('two gateways on one RabbitMQ', () => {
  let testDatabase: TestDatabase;
  let houses: House[] = [];
  let processes: HoldfastProcess[] = [];
  let subscribers: Subscriber[] = [];
  let authorization: string;
  let worker: House;

  const start = async (roles: readonly RoleName[], brokerUrl = url!) => {
    const broker: Broker = await connectRabbitmq({ url: brokerUrl, random, reconnectDelayMaxMs: 500 });
    const house = await aHouse({ roles, broker, testDatabase, config: { AUTH_SECRET: secret, ORDER_REPUBLISH_SECONDS: '600' } });
    houses.push(house);
    return house;
  };
  const subscriberAt = (gatewayUrl: string) => {
    const subscriber = aSubscriber(gatewayUrl, { authorization });
    subscribers.push(subscriber);
    return subscriber;
  };

  beforeAll(async () => {
    testDatabase = await createTestDatabase();
    const settings = identitySettings(readConfig({ AUTH_SECRET: secret }))!;
    authorization = `Bearer ${await signToken(settings, { role: 'operator', name: 'test' }, 3_600)}`;
    worker = await start(['gateway', 'orders', 'inventory']);
    await worker.ask('mutation { createProduct(input: { sku: "MUG", name: "x", price: 1, onHand: 100000 }) { __typename } }');
    houses = [];
  });
  afterEach(async () => {
    await Promise.all(subscribers.map((subscriber) => subscriber.leave()));
    await Promise.all(houses.map((house) => house.stop()));
    await Promise.all(processes.map((process) => process.end('SIGKILL')));
    [subscribers, houses, processes] = [[], [], []];
  });
  afterAll(async () => {
    await worker.stop();
    await testDatabase.drop();
  });

  const place = async (gateway: House, count: number) => {
    const inputs = Array.from({ length: count }, () => ({ customerId: 'CUST-g', items: [{ sku: 'MUG', quantity: 1 }] }));
    const { createOrders } = await gateway.ask<{ createOrders: { id: string }[] }>(
      'mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { ... on Order { id } } }',
      { inputs },
    );
    return createOrders.map(({ id }) => id);
  };
  const placeMany = async (gateway: House, calls: number) => {
    const ids: string[] = [];
    for (let n = 0; n < calls; n += 4) {
      ids.push(...(await Promise.all([1, 2, 3, 4].map(() => place(gateway, 5)))).flat());
      await pause(10);
    }
    return ids;
  };
  const settled = (ids: string[]) =>
    eventually(
      async () => (await testDatabase.database.order.count({ where: { id: { in: ids }, status: 'CONFIRMED' } })) === ids.length,
    );
  /** The cursor of the latest step: who follows after it misses nothing from now on, whenever it has begun. */
  const latestCursor = async () => {
    const [id] = await place(worker, 1);
    await settled([id!]);
    const { order } = await worker.ask<{ order: { timeline: { cursor: string }[] } }>(
      `{ order(id: "${id}") { timeline { cursor } } }`,
    );
    return order.timeline.at(-1)!.cursor;
  };
  const shown = ({ orderChanged: { order, step } }: Change) => `${order.id} ${step.version}`;
  /** Every step of these orders once, and the steps of each order in the order of its versions. */
  const expectAll = (heard: Change[], ids: string[]) => {
    const ours = heard.filter(({ orderChanged }) => ids.includes(orderChanged.order.id)).map(shown);
    expect([...ours].sort()).toEqual(ids.flatMap((id) => [`${id} 1`, `${id} 2`]).sort());
    for (const id of ids) expect(ours.indexOf(`${id} 1`)).toBeLessThan(ours.indexOf(`${id} 2`));
  };

  it('who listens at one hears of every change made through the other once and in order, across reconnects', async () => {
    const [here, there] = [await start(['gateway']), await start(['gateway'])];
    const all: Change[] = [];
    let isPlacing = true;
    const listening = (async () => {
      // Without a cursor each turn would begin from now, until something has been heard.
      let after: string | undefined = Buffer.from('k:step 0').toString('base64url');
      for (let turn = 0; isPlacing; turn++) {
        // The same gateway, and the other, by turns.
        const subscriber = subscriberAt(turn % 3 === 2 ? there.url : here.url);
        const heard: Heard<Change> = subscriber.follow(changes, { after });
        await pause(150);
        if (turn % 2 === 0) subscriber.cut();
        else await subscriber.leave();
        await eventually(() => heard.end);
        all.push(...heard.data);
        after = all.at(-1)?.orderChanged.cursor ?? after;
      }
      return after;
    })();
    await pause(300);
    const ids = await placeMany(there, 80);
    await settled(ids);
    isPlacing = false;
    const last = subscriberAt(here.url).follow<Change>(changes, { after: await listening });
    await eventually(() => new Set([...all, ...last.data].map(shown)).size >= ids.length * 2);
    expectAll([...all, ...last.data], ids);
  });

  it('a gateway that is killed takes nothing with it: its listeners go on at the other', async () => {
    const other = await start(['gateway']);
    const environment = { DATABASE_URL: testDatabase.url, RABBITMQ_URL: url!, AUTH_SECRET: secret };
    const killed = startHoldfast(environment, '--roles', 'gateway');
    processes.push(killed);
    const heard = subscriberAt(await killed.url()).follow<Change>(changes, { after: await latestCursor() });
    const placing = placeMany(other, 60);
    await heard.atLeast(20);
    killed.signal('SIGKILL');
    await heard.ended();
    const resumed = subscriberAt(other.url).follow<Change>(changes, { after: heard.data.at(-1)!.orderChanged.cursor });
    const ids = await placing;
    await settled(ids);
    await eventually(() => new Set([...heard.data, ...resumed.data].map(shown)).size >= ids.length * 2);
    expectAll([...heard.data, ...resumed.data], ids);
  });

  it('while RabbitMQ cannot be reached changes are found all the same, and heard of at once when it is back', async () => {
    const { hostname, port, pathname, username, password } = new URL(url!);
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    const proxied = new URL(`amqp://127.0.0.1:${proxy.port}${pathname}`);
    Object.assign(proxied, { username, password });
    const here = await start(['gateway'], proxied.href);
    const heard = subscriberAt(here.url).follow<Change>(changes, { after: await latestCursor() });
    const ids = await place(worker, 5);
    await heard.atLeast(10);
    proxy.cut();
    ids.push(...(await place(worker, 5)));
    await heard.atLeast(20);
    proxy.heal();
    await eventually(async () => (await here.ground.health.ready()).status === 'UP');
    await pause(1_500);
    const placeAndHear = async () => {
      const [id] = await place(worker, 1);
      ids.push(id!);
      await eventually(() => heard.data.some(({ orderChanged: { order } }) => order.id === id));
    };
    await oneOfThree(async () => {
      await placeAndHear();
      // The gateway has just looked, and if nothing wakes it looks again in half a second.
      const startedAt = performance.now();
      await placeAndHear();
      expect(performance.now() - startedAt).toBeLessThan(400);
    });
    await heard.atLeast(ids.length * 2);
    expectAll(heard.data, ids);
    await here.stop();
    houses = [];
    await proxy.close();
  });
});
