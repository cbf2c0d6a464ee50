import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { brokerUsers } from '../../scripts/brokerUsers';
import { exchanges, queues } from '../../src/contracts';
import { grantTables, openDatabase, type Database } from '../../src/database';
import { withConnection } from '../../src/database/connection';
import { reconcile } from '../../src/inventory';
import { deskTopology, notificationsTopology, topology, type Broker } from '../../src/messaging';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { startPrivateRabbitmq, type PrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger } from '../../src/observability';
import { databaseUsers, roleNames, tablesOf, type RoleName } from '../../src/roles';
import { aHouse, type House } from '../support/aHouse';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

const random = () => randomInt(2 ** 32) / 2 ** 32;
const prefix = `t${randomBytes(4).toString('hex')}_`;
const password = randomBytes(18).toString('base64url');

/** Every role apart, each as a user of Postgres and of RabbitMQ that may do what its work takes and nothing else. */
(findRabbitmqServer() ? describe : describe.skip)('the roles with least privilege', () => {
  let test: TestDatabase, node: PrivateRabbitmq, admin: Broker;
  let folder: string;
  const databases: Database[] = [];
  const houses = new Map<RoleName, House>();
  const complaints: string[] = [];

  const asUser = (url: string, user: string) => {
    const other = new URL(url);
    [other.username, other.password] = [`${prefix}${user}`, password];
    return other.href;
  };
  const databaseOf = (user: string) => {
    const database = openDatabase({ url: asUser(test.url, user), poolSize: 5, byIndex: true });
    databases.push(database);
    return database;
  };
  const brokerOf = (role: RoleName) => connectRabbitmq({ url: asUser(node.url, role), random, bootTimeoutMs: 10_000 });

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-least-'));
    [test, node] = await Promise.all([createTestDatabase(), startPrivateRabbitmq({ dataDir: join(folder, 'rabbitmq') })]);
    await grantTables(
      test.url,
      databaseUsers.map((user) => ({ name: `${prefix}${user}`, password, tables: tablesOf(user) })),
    );
    admin = await connectRabbitmq({ url: node.url, random });
    for (const part of [topology, notificationsTopology, deskTopology]) await admin.declare(part);
    const passwords = Object.fromEntries(roleNames.map((role) => [role, password]));
    const definitions = join(folder, 'users.json');
    writeFileSync(definitions, JSON.stringify(brokerUsers({ vhost: '/', prefix, passwords })));
    await node.control('import_definitions', definitions);
    await node.control('import_definitions', definitions);
    for (const role of roleNames) {
      const destination = { write: (line: string) => void complaints.push(`${role}: ${line}`) };
      houses.set(
        role,
        await aHouse({
          roles: [role],
          broker: await brokerOf(role),
          testDatabase: { ...test, database: databaseOf(role) },
          log: createLogger({ level: 'warn', name: role, destination }),
          config: { ORDER_REPUBLISH_SECONDS: '1' },
        }),
      );
    }
  });
  afterAll(async () => {
    await Promise.all([...houses.values()].map((house) => house.stop()));
    await Promise.all(databases.map((database) => database.close()));
    await admin.close();
    await withConnection(test.url, async (client) => {
      for (const user of databaseUsers) await client.query(`DROP OWNED BY "${prefix}${user}"; DROP ROLE "${prefix}${user}"`);
    });
    await test.drop();
    await node.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = async <T = Record<string, unknown>>(query: string) => {
    const data = await houses.get('gateway')!.ask<Record<string, T>>(query);
    return Object.values(data)[0]!;
  };
  const place = async (product: number, more = '') => {
    const input = `{ customerId: "CUST-1", items: [{ productId: ${product}, quantity: 2 }] ${more} }`;
    return (await ask<{ id: string }>(`mutation { createOrder(input: ${input}) { ... on Order { id } } }`)).id;
  };
  const statusOf = async (id: string) => (await ask<{ status: string }>(`{ order(id: "${id}") { status } }`)).status;
  const becomes = (id: string, status: string) => eventually(async () => (await statusOf(id)) === status, 20_000);

  it('place, confirm, update, cancel, fulfil, pay, refund, tell and mend: all of it works (S0.8)', async () => {
    const made =
      'mutation { createProduct(input: { sku: "LP", name: "Least", price: 100, onHand: 50 }) { ... on Product { id } } }';
    const { id: product } = await ask<{ id: number }>(made);
    await ask('mutation { adjustStock(input: { sku: "LP", delta: 5, reason: RECEIVED }) { ... on Product { id } } }');
    await ask(
      'mutation { setStock(input: { sku: "LP", onHand: 60, compareOnHand: 55, reason: OTHER }) { ... on Product { id } } }',
    );
    const subscribe = 'subscribeToNotifications(input: { customerId: "CUST-1", channel: LOG })';
    expect(await ask(`mutation { ${subscribe} { __typename } }`)).toMatchObject({ __typename: 'NotificationSubscription' });

    const plain = await place(product);
    await becomes(plain, 'CONFIRMED');
    const lines = `{ orderId: "${plain}", items: [{ productId: ${product}, quantity: 5 }] }`;
    expect(await ask(`mutation { updateOrder(input: ${lines}) { __typename } }`)).toMatchObject({
      __typename: expect.anything() as string,
    });
    await eventually(async () => (await stock(product)).reserved === 5);
    await ask(`mutation { cancelOrder(orderId: "${plain}") { __typename } }`);
    await becomes(plain, 'CANCELLED');
    const kept = await place(product);
    await becomes(kept, 'CONFIRMED');
    await ask(`mutation { fulfilOrder(orderId: "${kept}") { __typename } }`);
    await becomes(kept, 'FULFILLED');

    await ask('mutation { deposit(input: { customerId: "CUST-1", amount: 10000, reference: "r" }) { __typename } }');
    const paid = await place(product, ', payment: BALANCE');
    await becomes(paid, 'CONFIRMED');
    await ask(`mutation { cancelOrder(orderId: "${paid}") { __typename } }`);
    await becomes(paid, 'CANCELLED');
    await eventually(async () => (await test.database.refund.count()) + (await test.database.closing.count()) === 0);
    expect(await balance()).toBe('100.00');
    await eventually(async () => (await stock(product)).reserved === 0);
    expect(await stock(product)).toMatchObject({ onHand: 58 });

    const operator = databaseOf('operations');
    expect(await reconcile(operator, { repair: false })).toMatchObject({ drift: [], oversold: [] });
    await test.database.stock.update({ where: { productId: product }, data: { reserved: 1 } });
    expect((await reconcile(operator, { repair: true })).repaired).toHaveLength(1);
    expect(await stock(product)).toMatchObject({ onHand: 58, reserved: 0 });
  }, 60_000);

  it('a dead letter of every queue is kept by who consumes it, shown and replayed', async () => {
    const worked = [...topology.queues, ...notificationsTopology.queues]
      .filter(({ kind }) => kind === 'work')
      .map(({ name }) => name);
    const properties = { headers: {} };
    for (const queue of worked)
      await admin.publish({ exchange: '', routingKey: queue, body: Buffer.from('rubbish'), properties, mandatory: true });
    await admin.publish({
      exchange: exchanges.inventory,
      routingKey: 'no.such',
      body: Buffer.from('x'),
      properties,
      mandatory: false,
    });
    const letters = () => test.database.deadLetter.groupBy({ by: ['queue'], _sum: { timesDied: true } });
    // And that of what nobody was bound to receive.
    await eventually(async () => (await letters()).length === worked.length + 1, 30_000);
    expect(
      (await letters())
        .map(({ queue }) => queue)
        .filter((queue) => queue !== queues.unrouted)
        .sort(),
    ).toEqual([...worked].sort());
    const input = '{ filter: { queue: "order.created.inventory" }, actor: "me", reason: "try" }';
    await ask(`mutation { replayDeadLetters(input: ${input}) { __typename } }`);
    await eventually(
      async () => (await test.database.deadLetter.count({ where: { queue: queues.orderCreated, timesDied: 2 } })) === 1,
    );
  }, 60_000);

  it('every role is ready and tells its metrics, and none was refused anything', async () => {
    for (const [role, { url }] of houses) {
      expect([role, (await fetch(`${url}/health/ready`)).status]).toEqual([role, 200]);
      expect((await fetch(`${url}/metrics`)).status).toBe(200);
    }
    const refusals = complaints.flatMap((line) => /permission denied[^"\\]*|ACCESS.REFUSED[^"\\]*/.exec(line)?.[0] ?? []);
    expect([...new Set(refusals)]).toEqual([]);
  });

  describe('on the broker', () => {
    const body = Buffer.from('{"event":"StockReserved","order_id":"ORD-1","items":[]}');
    const brokers: Broker[] = [];
    const publish = async (role: RoleName, exchange: string, routingKey: string, confirmTimeoutMs = 1_500) => {
      const url = asUser(node.url, role);
      const broker = await connectRabbitmq({ url, random, bootTimeoutMs: 5_000, confirmTimeoutMs });
      brokers.push(broker);
      const publication = { exchange, routingKey, body, properties: { headers: {} }, mandatory: false };
      return broker.publish(publication).then(
        () => 'published',
        () => 'refused',
      );
    };
    afterAll(() => Promise.all(brokers.map((broker) => broker.close())));

    it.each<[RoleName, string, string]>([
      ['notifications', exchanges.inventory, 'stock.reserved'],
      ['notifications', exchanges.default, queues.stockReplies],
      ['notifications', exchanges.deadLetters, queues.stockReplies],
      ['notifications', exchanges.orders, 'order.created'],
      ['accounts', exchanges.inventory, 'stock.reserved'],
      ['accounts', exchanges.deadLetters, `${queues.stockReplies}.retry.1`],
      ['orders', exchanges.inventory, 'stock.reserved'],
      ['inventory', exchanges.accounts, 'payment.captured'],
      ['inventory', exchanges.orders, 'order.confirmed'],
      ['gateway', exchanges.deadLetters, queues.stockReplies],
    ])('%s cannot publish to %j with %s', async (role, exchange, key) =>
      expect(await publish(role, exchange, key)).toBe('refused'),
    );

    it('a role can publish what is its own', async () => {
      expect(await publish('inventory', exchanges.inventory, 'product.updated', 10_000)).toBe('published');
      expect(await publish('notifications', exchanges.notifications, 'client.x.order.y', 10_000)).toBe('published');
    });

    it.each(roleNames)('%s consumes its own queues and no others, and declares nothing', async (role) => {
      const broker = await brokerOf(role);
      brokers.push(broker);
      const all = [...topology.queues, ...notificationsTopology.queues].map(({ name }) => name);
      const outcome = async (queue: string) => {
        const consuming = broker.consume(queue, { prefetch: 1 }, (delivery) => void delivery.retry(0, 'given back'));
        return consuming.then(
          async (subscription) => (await subscription.cancel(), true),
          () => false,
        );
      };
      const mine: string[] = [];
      for (const queue of all) if (await outcome(queue)) mine.push(queue);
      expect(mine.sort()).toEqual(consumedBy[role].sort());
      const foreign = { exchanges: [{ name: 'mine', type: 'topic' as const }], queues: [], bindings: [] };
      await expect(broker.declare(foreign)).rejects.toThrow('broker-users');
    });
  });

  const stock = (productId: number) => test.database.stock.findUniqueOrThrow({ where: { productId } });
  const balance = async () =>
    (await ask<{ balance: { decimal: string } }>('{ account(customerId: "CUST-1") { balance { decimal } } }')).balance.decimal;
});

const consumedBy: Record<RoleName, string[]> = {
  gateway: [],
  orders: [
    ...['stock.replies.orders', 'payment.replies.orders', 'new_orders_queue', 'order.create', 'order.update', 'unrouted'],
    ...['order_create', 'order_status', 'order_status_update'],
  ],
  inventory: [
    ...['order.created.inventory', 'order.cancelled.inventory', 'order.fulfilled.inventory', 'reservation.amend.inventory'],
    ...['product_stock_check', 'product_stock_update'],
  ],
  accounts: ['order.reserved.accounts', 'payment.closings.accounts', 'payment.process', 'user_check'],
  notifications: ['order.creations.notifications', 'order.updates.notifications'],
};
