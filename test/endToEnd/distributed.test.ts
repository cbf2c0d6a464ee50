import { randomInt } from 'node:crypto';

import { exchanges, queues } from '../../src/contracts';
import { reconcile } from '../../src/inventory';
import { topology, type Broker } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { aHouse, type House, type HouseOptions } from '../support/aHouse';
import { aProduct, inventoryOn } from '../support/anOrder';
import { eventualDepth, testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

const random = () => randomInt(2 ** 32) / 2 ** 32;
const url = testRabbitmqUrl();

/** Roles apart, on one RabbitMQ and one Postgres, each with a connection and a relay of its own. */
(url ? describe : describe.skip)('distributed over RabbitMQ', () => {
  let testDatabase: TestDatabase;
  let houses: House[] = [];

  beforeAll(async () => {
    testDatabase = await createTestDatabase();
  });
  afterEach(async () => {
    await Promise.all(houses.map((house) => house.stop()));
    houses = [];
  });
  afterAll(() => testDatabase.drop());

  const connect = (): Promise<Broker> => connectRabbitmq({ url: url!, random });
  const start = async (roles: HouseOptions['roles']) => {
    const house = await aHouse({ roles, broker: await connect(), testDatabase });
    houses.push(house);
    return house;
  };
  /** Not through the gateway, which has an inventory role write it: there is none in every test. */
  const addProduct = (onHand: number) => aProduct(inventoryOn(testDatabase.database), onHand, { price: 500 });
  const place = async (gateway: House, count: number, productId: number, payment = 'NONE') => {
    const items = [{ productId, quantity: 1 }];
    const inputs = Array.from({ length: count }, () => ({ customerId: 'CUST-d', payment, items }));
    const { createOrders } = await gateway.ask<{ createOrders: { id: string; status: string }[] }>(
      `mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { ... on Order { id status } } }`,
      { inputs },
    );
    expect(createOrders.every((order) => order.status === 'PENDING')).toBe(true);
    return createOrders.map((order) => order.id);
  };
  const statusesOf = async (ids: string[]) => {
    const rows = await testDatabase.database.order.groupBy({ by: ['status'], where: { id: { in: ids } }, _count: true });
    return Object.fromEntries(rows.map((row) => [row.status, row._count]));
  };

  it('orders queue up while inventory is stopped, and none is lost when it returns (S2.13)', async () => {
    const [gateway] = [await start(['gateway']), await start(['orders'])];
    const product = await addProduct(1_000);
    const ids = [...(await place(gateway, 100, product)), ...(await place(gateway, 100, product))];
    await eventually(async () => ((await gateway.ground.broker.depth(queues.orderCreated))?.ready ?? 0) === 200);
    expect(await statusesOf(ids)).toEqual({ PENDING: 200 });
    await start(['inventory']);
    await eventually(async () => (await statusesOf(ids)).CONFIRMED === 200);
  });

  it('a gateway on its own asks the inventory role what there is, and says so when that gives no answer (S3.5, S3.8)', async () => {
    const gateway = await start(['gateway']);
    const product = await addProduct(7);
    const query = `{ stockAvailability(productIds: [${product}]) { productId available forSale } }`;
    const { json } = await gateway.post({ query });
    expect(json.errors).toMatchObject([{ extensions: { code: 'SERVICE_UNAVAILABLE' } }]);
    const inventory = await start(['inventory']);
    expect(await gateway.ask(query)).toEqual({ stockAvailability: [{ productId: product, available: 7, forSale: true }] });
    const { values } = await inventory.ground.metrics.rpcServed.get();
    expect(values.map(({ labels, value }) => [labels.queue, labels.outcome, value])).toEqual([
      ['product_stock_check', 'answered', 1],
    ]);
  });

  it('a gateway on its own has an inventory role write products and stock, and does not write them itself', async () => {
    const [gateway, inventory] = [await start(['gateway']), await start(['inventory'])];
    const change = async (mutation: string) => {
      const shown = '__typename ... on Product { id onHand updatedAt } ... on ValidationError { fields { path } }';
      return Object.values(
        await gateway.ask<Record<string, Record<string, unknown>>>(`mutation { ${mutation} { ${shown} } }`),
      )[0]!;
    };
    const made = await change('createProduct(input: { sku: "DESK", name: "Desk", price: 1, onHand: 3 })');
    expect(made).toMatchObject({ __typename: 'Product', onHand: 3, updatedAt: expect.stringMatching(/^20/) as string });
    expect(await change('adjustStock(input: { sku: "DESK", delta: 4, reason: RECEIVED })')).toMatchObject({ onHand: 7 });
    expect(
      await change(`setStock(input: { productId: ${String(made.id)}, onHand: 5, compareOnHand: 7, reason: LOST })`),
    ).toMatchObject({
      onHand: 5,
    });
    expect(await change(`updateProduct(productId: ${String(made.id)}, input: { name: "" })`)).toMatchObject({
      __typename: 'ValidationError',
      fields: [{ path: 'name' }],
    });
    expect(await change(`deactivateProduct(productId: ${String(made.id)})`)).toMatchObject({ __typename: 'Product' });
    for (const nowhere of [
      'deactivateProduct(productId: 0)',
      'updateProduct(productId: -2147483648, input: { price: 1 })',
      'adjustStock(input: { productId: -1, delta: 1, reason: RECEIVED })',
      `setStock(input: { sku: "${'x'.repeat(300)}", onHand: 1, compareOnHand: 0, reason: LOST })`,
    ])
      expect(await change(nowhere)).toEqual({ __typename: 'UnknownProductError' });
    const { values } = await inventory.ground.metrics.rpcServed.get();
    expect(values.filter(({ labels }) => labels.queue === 'inventory.desk').map(({ value }) => value)).toEqual([9]);
  });

  it('two gateways, two orders and three inventories share the work and sell exactly the stock (S2.14)', async () => {
    const roles = [['gateway'], ['gateway'], ['orders'], ['orders'], ['inventory'], ['inventory'], ['inventory']] as const;
    const started = await Promise.all(roles.map((names) => start(names)));
    const [one, two] = started;
    const product = await addProduct(150);
    const batches = await Promise.all(
      Array.from({ length: 10 }, (_, index) => place(index % 2 === 0 ? one! : two!, 50, product)),
    );
    const ids = batches.flat();
    await eventually(async () => !(await statusesOf(ids)).PENDING);
    expect(await statusesOf(ids)).toEqual({ CONFIRMED: 150, CANCELLED: 350 });
    expect(await reconcile(testDatabase.database, { repair: false })).toMatchObject({ drift: [], oversold: [] });
    await eventualDepth(one!.ground.broker, queues.orderCreated, { ready: 0, consumers: 3 });
    const handled = await Promise.all(started.slice(4).map(({ ground }) => ground.metrics.messagesProcessed.get()));
    for (const { values } of handled) expect(values.some(({ labels }) => labels.type === 'OrderCreated')).toBe(true);
  });

  it('users, products and orders run apart, each on a port of its own, and no money is taken twice or for nothing (S3.1, S3.6)', async () => {
    const gateway = await start(['gateway']);
    await Promise.all([start(['orders']), start(['inventory'])]);
    const product = await addProduct(3);
    const deposit = 'mutation { deposit(input: { customerId: "CUST-d", amount: 1000, reference: "r" }) { __typename } }';
    expect(await gateway.ask(deposit)).toEqual({ deposit: { __typename: 'Account' } });
    const ids = await place(gateway, 4, product, 'BALANCE');
    await eventually(async () => (await statusesOf(ids)).RESERVED === 3);
    await start(['accounts']);
    await eventually(async () => (await statusesOf(ids)).CANCELLED === 2);
    expect(await statusesOf(ids)).toEqual({ CONFIRMED: 2, CANCELLED: 2 });
    expect(new Set(houses.map((house) => house.port)).size).toBe(4);
    const { account } = await gateway.ask<{ account: object }>(
      '{ account(customerId: "CUST-d") { balance { decimal } entries { nodes { kind amount { decimal } orderId reference } } } }',
    );
    const taken = { kind: 'CAPTURE', amount: { decimal: '-5.00' }, orderId: expect.any(String) as string, reference: null };
    const paidIn = { kind: 'DEPOSIT', amount: { decimal: '10.00' }, orderId: null, reference: 'r' };
    expect(account).toEqual({ balance: { decimal: '0.00' }, entries: { nodes: [taken, taken, paidIn] } });
  });

  it('one key through two gateways at once is one order, and another wish under it is told so', async () => {
    const [one, two] = [await start(['gateway']), await start(['gateway'])];
    const product = await addProduct(10);
    const wish = (quantity: number) => ({
      customerId: 'CUST-two',
      idempotencyKey: 'k',
      items: [{ productId: product, quantity }],
    });
    const send = (gateway: House, quantity: number) =>
      gateway.ask<{ createOrder: { __typename: string; id?: string; orderId?: string } }>(
        `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { __typename ... on Order { id }
          ... on IdempotencyConflictError { orderId } } }`,
        { input: wish(quantity) },
      );
    const same = await Promise.all(Array.from({ length: 60 }, (_, index) => send(index % 2 === 0 ? one : two, 1)));
    const ids = new Set(same.map(({ createOrder }) => createOrder.id));
    expect(ids.size).toBe(1);
    const other = await send(two, 2);
    expect(other.createOrder).toMatchObject({ __typename: 'IdempotencyConflictError', orderId: [...ids][0] });
    expect(await testDatabase.database.order.count({ where: { customerId: 'CUST-two' } })).toBe(1);
  });

  it('a gateway that stops hands on what it acknowledged; the relay of another takes over what it could not', async () => {
    const [gateway] = [await start(['gateway']), await start(['orders']), await start(['inventory'])];
    const product = await addProduct(1_000);
    const ids = await place(gateway, 100, product);
    await gateway.stop();
    houses = houses.filter((house) => house !== gateway);
    await eventually(async () => (await statusesOf(ids)).CONFIRMED === 100);
  });

  it('the queue of inventory is durable and bound to orders / order.created, and holds what anyone publishes there (S2.4, S2.6)', async () => {
    const broker = await connect();
    await broker.declare(topology);
    const body = Buffer.from('{"event":"OrderCreated","order_id":"foreign","items":[{"product_id":1,"quantity":1}]}');
    const before = (await broker.depth('order.created.inventory'))!.ready;
    await broker.publish({
      exchange: exchanges.orders,
      routingKey: 'order.created',
      body,
      properties: { headers: {} },
      mandatory: true,
    });
    await eventualDepth(broker, 'order.created.inventory', { ready: before + 1 });
    await broker.close();
  });
});
