import { connect as amqpConnect } from 'amqplib';
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { audit } from '../../scripts/audit';
import { exchanges, queues } from '../../src/contracts';
import { type Broker } from '../../src/messaging';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { startPrivateRabbitmq, type PrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { aHouse, type House, type HouseOptions } from '../support/aHouse';
import { aProduct, inventoryOn } from '../support/anOrder';
import { eventualDepth } from '../support/brokers';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

const random = () => randomInt(2 ** 32) / 2 ** 32;
const ways = ['gracefully', 'by kill -9'];

/** A node of its own, because this suite restarts it; where there is no server, globalSetup has said so. */
(findRabbitmqServer() === undefined ? describe.skip : describe)('roles on a RabbitMQ that is restarted', () => {
  let dataDir: string;
  let node: PrivateRabbitmq;
  let testDatabase: TestDatabase;
  let observer: Broker;
  let houses: House[] = [];

  beforeAll(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'holdfast-restart-'));
    [node, testDatabase] = await Promise.all([startPrivateRabbitmq({ dataDir }), createTestDatabase()]);
    observer = await connect();
  });
  afterEach(async () => {
    await Promise.all(houses.map((house) => house.stop()));
    houses = [];
  });
  afterAll(async () => {
    await observer?.close();
    await node?.kill9();
    await testDatabase?.drop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  const connect = (): Promise<Broker> => connectRabbitmq({ url: node.url, random });
  const start = async (...roles: NonNullable<HouseOptions['roles']>) => {
    // Nothing is to be published a second time because a slow machine made it late.
    const config = { ORDER_REPUBLISH_SECONDS: '600' };
    const house = await aHouse({ roles, config, broker: await connect(), testDatabase });
    houses.push(house);
    return house;
  };
  const stop = async (house: House) => {
    houses = houses.filter((other) => other !== house);
    await house.stop();
  };
  const endNode = (way: string) => (way === 'gracefully' ? node.stop() : node.kill9());
  const startNode = async () => {
    node = await startPrivateRabbitmq({ dataDir });
  };

  /** Not through the gateway, which has an inventory role write it: there is none in every test. */
  const addProduct = (onHand: number) => aProduct(inventoryOn(testDatabase.database), onHand, { price: 500 });
  const place = async (gateway: House, count: number, productId: number) => {
    const inputs = Array.from({ length: count }, () => ({ customerId: 'CUST-r', items: [{ productId, quantity: 1 }] }));
    const { createOrders } = await gateway.ask<{ createOrders: { id: string }[] }>(
      `mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { ... on Order { id } } }`,
      { inputs },
    );
    return createOrders.map((order) => order.id);
  };
  const statusesOf = async (ids: string[]) => {
    const rows = await testDatabase.database.order.groupBy({ by: ['status'], where: { id: { in: ids } }, _count: true });
    return Object.fromEntries(rows.map((row) => [row.status, row._count]));
  };
  const deadLetters = () => testDatabase.database.deadLetter.count({ where: { queue: queues.orderCreated } });
  const ready = async (queue: string) => (await observer.depth(queue))?.ready;
  const expectKeptPromises = (productId: number) =>
    eventually(async () => {
      const scope = { customers: [], productIds: [productId], acknowledged: [], foreign: [], soldOutProductIds: [] };
      const broken = (await audit(testDatabase.database, scope)).filter((outcome) => outcome.broken > 0);
      return expect(broken).toEqual([]) ?? true;
    });

  /** A fault that only this order has, and only until the function is dropped. */
  const refuseReservationOf = async (orderId: string) => {
    const { database } = testDatabase;
    await database.$executeRaw`CREATE TABLE inventory.refused AS SELECT ${orderId}::text AS order_id`;
    await database.$executeRaw`
      CREATE FUNCTION inventory.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.order_id IN (SELECT order_id FROM inventory.refused) THEN RAISE EXCEPTION 'refused by the test'; END IF;
        RETURN NEW;
      END $$`;
    await database.$executeRaw`
      CREATE TRIGGER refuse BEFORE INSERT ON inventory.reservations FOR EACH ROW EXECUTE FUNCTION inventory.refuse()`;
  };
  const retriesWaiting = async () => {
    const rows = JSON.parse(await node.control('list_queues', 'name', 'messages', '--formatter', 'json')) as QueueRow[];
    const waiting = rows.filter(({ name }) => name.startsWith(`${queues.orderCreated}.retry.`));
    return waiting.reduce((sum, { messages }) => sum + messages, 0);
  };
  const unacknowledged = async () => {
    const columns = ['name', 'messages_unacknowledged', '--formatter', 'json'];
    const rows = JSON.parse(await node.control('list_queues', ...columns)) as { messages_unacknowledged: number }[];
    return rows.reduce((sum, row) => sum + row.messages_unacknowledged, 0);
  };

  it.each(ways)(
    'orders and warehouse messages survive a RabbitMQ restart, %s: what waited in the queues is all there and all decided (S1.8, S2.13)',
    async (way) => {
      const [gateway, inventory] = [await start('gateway'), await start('inventory')];
      const productId = await addProduct(1_000);
      const answered = await place(gateway, 50, productId);
      await eventually(async () => (await ready(queues.stockReplies)) === 50);
      await stop(inventory);
      const waiting = await place(gateway, 50, productId);
      await eventually(async () => (await ready(queues.orderCreated)) === 50);
      await endNode(way);
      const placedMeanwhile = await place(gateway, 20, productId);
      await startNode();
      await eventually(async () => (await ready(queues.orderCreated)) === 70);
      expect(await ready(queues.stockReplies)).toBe(50);
      await Promise.all([start('orders'), start('inventory')]);
      const ids = [...answered, ...waiting, ...placedMeanwhile];
      await eventually(async () => (await statusesOf(ids)).CONFIRMED === 120);
      await expectKeptPromises(productId);
    },
    120_000,
  );

  it('two gateways, two orders and three inventories on the same queues share the work through a restart, and oversell nothing (S1.8, S2.14)', async () => {
    const roles = [['gateway'], ['gateway'], ['orders'], ['orders'], ['inventory'], ['inventory'], ['inventory']] as const;
    const started = await Promise.all(roles.map((names) => start(...names)));
    const [one, two] = started as [House, House];
    const productId = await addProduct(100);
    const ids: string[] = [];
    let restarted: Promise<void> | undefined;
    for (let batch = 0; batch < 30; batch++) {
      ids.push(...(await place(batch % 2 === 0 ? one : two, 10, productId)));
      if (batch === 10) restarted = endNode('by kill -9').then(startNode);
    }
    await restarted;
    await eventually(async () => !(await statusesOf(ids)).PENDING);
    expect(await statusesOf(ids)).toEqual({ CONFIRMED: 100, CANCELLED: 200 });
    await expectKeptPromises(productId);
    await eventually(async () => (await observer.depth(queues.orderCreated))?.consumers === 3);
    // The first inventory back may have emptied the whole queue; what comes once all are back goes to each in turn.
    const shared = await place(one, 30, await addProduct(30));
    await eventually(async () => (await statusesOf(shared)).CONFIRMED === 30);
    const handled = await Promise.all(started.slice(4).map(({ ground }) => ground.metrics.messagesProcessed.get()));
    for (const { values } of handled) expect(values.some(({ labels }) => labels.type === 'OrderCreated')).toBe(true);
  });

  it('acks what is done and retries by itself what failed, while its neighbours pass (S2.12)', async () => {
    const [gateway] = [await start('gateway'), await start('orders')];
    const productId = await addProduct(100);
    const [stubborn] = (await place(gateway, 1, productId)) as [string];
    await refuseReservationOf(stubborn);
    await start('inventory');
    const others = await place(gateway, 30, productId);
    await eventually(async () => (await statusesOf(others)).CONFIRMED === 30);
    const retried = await eventually(() => retriesWaiting());
    expect(retried).toBe(1);
    expect(await statusesOf([stubborn])).toEqual({ PENDING: 1 });
    await testDatabase.database.$executeRaw`DROP FUNCTION inventory.refuse() CASCADE`;
    await eventually(async () => (await statusesOf([stubborn])).CONFIRMED === 1);
    await eventually(async () => (await unacknowledged()) === 0);
    expect(await deadLetters()).toBe(0);
  });

  it('malformed and unknown messages do not stop the consumer: good ones beside them are answered, bad ones kept (S2.15)', async () => {
    await Promise.all([start('gateway'), start('inventory')]);
    const productId = await addProduct(100);
    const foreign = await amqpConnect(node.url);
    const channel = await foreign.createConfirmChannel();
    const bad = [
      '',
      'not json',
      '[]',
      '{"event":"Unknown"}',
      '{"event":"OrderCreated"}',
      '\u0000',
      '{"event":"OrderCreated","order_id":7}',
    ];
    bad.forEach((body, index) => {
      const good = { event: 'OrderCreated', order_id: `good-${index}`, items: [{ product_id: productId, quantity: 1 }] };
      channel.publish(exchanges.orders, 'order.created', Buffer.from(body));
      channel.publish(exchanges.orders, 'order.created', Buffer.from(JSON.stringify(good)));
    });
    await channel.waitForConfirms();
    await foreign.close();
    const { database } = testDatabase;
    const where = { orderId: { startsWith: 'good-' }, status: 'ACTIVE' } as const;
    const settled = async () => [await database.reservation.count({ where }), await deadLetters()];
    await eventually(async () => expect(await settled()).toEqual([bad.length, bad.length]) ?? true);
    await eventualDepth(observer, queues.orderCreated, { ready: 0, consumers: 1 });
  });
});

interface QueueRow {
  name: string;
  messages: number;
}
