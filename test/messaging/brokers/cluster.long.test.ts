import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { audit } from '../../../scripts/audit';
import { type PrivateRabbitmqCluster, startPrivateRabbitmqCluster } from '../../../scripts/chaos/cluster';
import { queues } from '../../../src/contracts';
import { type Broker, type Topology, UnconfirmedError } from '../../../src/messaging/broker';
import { findRabbitmqServer } from '../../../src/messaging/brokers/findRabbitmqServer';
import { connectRabbitmq } from '../../../src/messaging/brokers/rabbitmq';
import { aHouse, type House, type HouseOptions } from '../../support/aHouse';
import { eventually } from '../../support/eventually';
import { createTestDatabase, type TestDatabase } from '../../support/postgres';

/** Three nodes of its own, because this suite kills them; where there is no server, globalSetup has said so. */
const suite = findRabbitmqServer() === undefined ? describe.skip : describe;

suite('a RabbitMQ cluster of three', () => {
  let dataDir: string;
  let cluster: PrivateRabbitmqCluster;
  const opened: Broker[] = [];
  const publishing: Publishing[] = [];

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'holdfast-cluster-'));
    cluster = await startPrivateRabbitmqCluster({ dataDir });
  });
  afterEach(async () => {
    await Promise.all(publishing.splice(0).map((publisher) => publisher.stop()));
    await Promise.all(opened.splice(0).map((broker) => broker.close()));
  });
  afterAll(async () => {
    await cluster?.kill9();
    rmSync(dataDir, { recursive: true, force: true });
  });

  /** A broker that begins with this node of the list. */
  async function open(node: number, confirmTimeoutMs = 10_000): Promise<Broker> {
    const random = () => (node + 0.5) / 3;
    const broker = await connectRabbitmq({ url: cluster.url, random, confirmTimeoutMs, setupTimeoutMs: 5_000 });
    opened.push(broker);
    return broker;
  }

  it('every queue that is not of one connection has a copy on each node, so that the loss of a node loses none', async () => {
    const broker = await open(0);
    await broker.declare(topologyOf('copied'));
    const names = cluster.nodes.map(({ name }) => name).sort();
    for (const queue of ['copied', 'copied.dead', 'copied.retry.1', 'copied.kept'])
      expect([queue, (await cluster.membersOf(queue)).sort()]).toEqual([queue, names]);
  });

  it('loses no confirmed message when the leader of a queue is killed and comes back (S1.8)', async () => {
    const brokers = [await open(0), await open(1), await open(2)];
    await brokers[0]!.declare(topologyOf('led'));
    const consumed = new Set<string>();
    for (const broker of brokers)
      await broker.consume('led', { prefetch: 20 }, (delivery) => {
        consumed.add(delivery.body.toString());
        delivery.ack();
      });
    const heard = await hearBroadcasts(brokers);
    publishing.push(...brokers.map((broker, index) => publishSteadily(broker, 'led', `${index}`)));
    await eventually(() => consumed.size > 30);
    const leader = (await cluster.leaderOf('led'))!;
    await leader.kill9();
    const killedAt = performance.now();
    const follower = await eventually(() => cluster.leaderOf('led'));
    expect(follower.name).not.toBe(leader.name);
    const later = new Set([...consumed]);
    await eventually(
      () => [0, 1, 2].every((index) => [...consumed].some((body) => isOf(index, body) && !later.has(body))),
      30_000,
    );
    expect(performance.now() - killedAt).toBeLessThan(30_000);
    await leader.start();
    await eventually(() => brokers.every((broker) => broker.status().state === 'ready'));
    const confirmed = (await Promise.all(publishing.map((publisher) => publisher.stop()))).flat();
    await eventually(() => confirmed.every((body) => consumed.has(body)));
    await eventually(async () => {
      await brokers[0]!.publish({ ...message('', 'to all'), exchange: 'cluster.broadcast' });
      return heard.every((bodies) => bodies.includes('to all'));
    });
    expect((await cluster.membersOf('led')).length).toBe(3);
  });

  describe('with Holdfast on it', () => {
    let testDatabase: TestDatabase;
    let houses: House[];

    beforeAll(async () => {
      testDatabase = await createTestDatabase();
      houses = await Promise.all([['gateway'], ['orders'], ['inventory'], ['inventory']].map((roles) => start(roles as never)));
    });
    afterAll(async () => {
      await Promise.all(houses.map((house) => house.stop()));
      await testDatabase.drop();
    });

    const start = async (roles: HouseOptions['roles']) =>
      aHouse({ roles, broker: await connectRabbitmq({ url: cluster.url, random }), testDatabase });

    it('every order is decided though a leader is killed and stays away (S1.8)', async () => {
      const [gateway] = houses as [House];
      const productId = await addProduct(gateway, 250);
      const orderIds: string[] = [];
      for (let batch = 0; batch < 30; batch++) {
        orderIds.push(...(await place(gateway, 10, productId)));
        if (batch === 10) await (await cluster.leaderOf(queues.orderCreated))!.kill9();
      }
      await eventually(async () => !(await statuses()).PENDING);
      expect(await statuses()).toEqual({ CONFIRMED: 250, CANCELLED: 50 });
      await eventually(async () => (await brokenPromises(productId)).length === 0);
    });

    const statuses = async () => {
      const rows = await testDatabase.database.order.groupBy({ by: ['status'], _count: true });
      return Object.fromEntries(rows.map((row) => [row.status, row._count]));
    };
    const brokenPromises = async (productId: number) => {
      const nobody = { acknowledged: [], foreign: [] };
      const scope = { customers: ['CUST-c'], productIds: [productId], soldOutProductIds: [productId], ...nobody };
      return (await audit(testDatabase.database, scope)).filter(({ broken }) => broken > 0);
    };
  });

  it('calls nothing safe while two of three are away, and goes on when they are back', async () => {
    const [left] = cluster.nodes.filter(({ isUp }) => isUp);
    const away = cluster.nodes.filter((node) => node !== left);
    const broker = await open(cluster.nodes.indexOf(left!), 2_000);
    await broker.declare(topologyOf('minority'));
    await broker.publish(message('minority', 'before'));
    await Promise.all(away.map((node) => node.kill9()));
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((body) => broker.publish(message('minority', body))));
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(UnconfirmedError) as unknown });
    await Promise.all(away.map((node) => node.start()));
    await eventually(() => broker.publish(message('minority', 'after')).then(() => true));
    const consumed: string[] = [];
    await eventually(
      () =>
        broker
          .consume('minority', { prefetch: 20 }, (delivery) => {
            consumed.push(delivery.body.toString());
            delivery.ack();
          })
          .then(() => true),
      30_000,
    );
    await eventually(() => consumed.includes('before') && consumed.includes('after'));
  });
});

const random = () => randomInt(2 ** 32) / 2 ** 32;

function topologyOf(queue: string): Topology {
  return {
    exchanges: [],
    queues: [
      { name: queue, kind: 'work' },
      { name: `${queue}.kept`, kind: 'bounded', lengthMax: 10 },
    ],
    bindings: [],
  };
}

function message(queue: string, body: string) {
  return { exchange: '', routingKey: queue, body: Buffer.from(body), properties: { headers: {} }, mandatory: true };
}

interface Publishing {
  /** Gives what was confirmed. */
  stop(): Promise<string[]>;
}

/** Publishes one message after the other, whatever becomes of each. */
function publishSteadily(broker: Broker, queue: string, name: string): Publishing {
  const confirmed: string[] = [];
  let isOver = false;
  const work = (async () => {
    for (let number = 0; !isOver; number++) {
      const body = `${name}/${number}`;
      await broker.publish(message(queue, body)).then(
        () => confirmed.push(body),
        () => undefined,
      );
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  return {
    async stop() {
      isOver = true;
      await work;
      return confirmed;
    },
  };
}

function isOf(index: number, body: string): boolean {
  return body.startsWith(`${index}/`);
}

/** A queue of each broker's own, which lives on the node that it is connected to and must be declared anew after its loss. */
function hearBroadcasts(brokers: Broker[]): Promise<string[][]> {
  return Promise.all(
    brokers.map(async (broker, index) => {
      const queue = `listener.${index}`;
      const bodies: string[] = [];
      await broker.declare({
        exchanges: [{ name: 'cluster.broadcast', type: 'fanout' }],
        queues: [{ name: queue, kind: 'temporary' }],
        bindings: [{ exchange: 'cluster.broadcast', key: '', to: { queue } }],
      });
      await broker.consume(queue, { prefetch: 20 }, (delivery) => {
        bodies.push(delivery.body.toString());
        delivery.ack();
      });
      return bodies;
    }),
  );
}

async function addProduct(gateway: House, onHand: number): Promise<number> {
  const { createProduct } = await gateway.ask<{ createProduct: { id: number } }>(
    `mutation { createProduct(input: { sku: "C-1", name: "Clustered", price: 500, onHand: ${onHand} }) { ... on Product { id } } }`,
  );
  return createProduct.id;
}

async function place(gateway: House, count: number, productId: number): Promise<string[]> {
  const inputs = Array.from({ length: count }, () => ({ customerId: 'CUST-c', items: [{ productId, quantity: 1 }] }));
  const { createOrders } = await gateway.ask<{ createOrders: { id: string }[] }>(
    `mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { ... on Order { id } } }`,
    { inputs },
  );
  return createOrders.map(({ id }) => id);
}
