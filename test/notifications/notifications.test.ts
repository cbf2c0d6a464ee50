import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';

import { exchanges, queues } from '../../src/contracts';
import { type Broker, type Delivery } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger } from '../../src/observability';
import { aHouse, type House } from '../support/aHouse';
import { testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';

/** The notifications role: two reactions to order events, and what customers hear, on both brokers. */
const random = () => randomInt(2 ** 32) / 2 ** 32;
const rabbitmqUrl = testRabbitmqUrl();
const brokers: [string, () => Promise<Broker>][] = [['in process', () => Promise.resolve(createInProcessBroker({ random }))]];
if (rabbitmqUrl) brokers.push(['RabbitMQ', () => connectRabbitmq({ url: rabbitmqUrl, random })]);

describe.each(brokers)('notifications, broker %s', (_name, open) => {
  const lines: { msg: string; orderId?: string }[] = [];
  const log = createLogger({
    level: 'info',
    name: 'test',
    destination: { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) },
  });
  let house: House;
  let queue = 0;

  beforeAll(async () => {
    house = await aHouse({ broker: await open(), log, config: { WEBHOOK_PRIVATE_NETWORKS: 'allow' } });
    await house.ask(
      `mutation { createProduct(input: { sku: "NOTE", name: "Notebook", price: 250, onHand: 10 }) { __typename } }`,
    );
  });
  afterAll(() => house.drop());

  const place = async (customerId: string, quantity: number) => {
    const input = `{ customerId: "${customerId}", items: [{ sku: "NOTE", quantity: ${quantity} }] }`;
    const data = await house.ask<{ createOrder: { id: string } }>(
      `mutation { createOrder(input: ${input}) { ... on Order { id } } }`,
    );
    return data.createOrder.id;
  };
  const close = (verb: 'cancelOrder' | 'fulfilOrder', id: string) =>
    house.ask(`mutation { ${verb}(orderId: "${id}") { __typename } }`);
  /** A queue as a program of the customer's declares it: its own, gone with it. */
  const listen = async (exchange: string, key: string) => {
    const heard: { key: string; id?: string; body: Record<string, unknown> }[] = [];
    const name = `listener-${++queue}`;
    const { broker } = house.ground;
    const bindings = [{ exchange, key, to: { queue: name } }];
    await broker.declare({ exchanges: [], queues: [{ name, kind: 'temporary' }], bindings });
    await broker.consume(name, { prefetch: 100 }, (delivery: Delivery) => {
      const body = JSON.parse(delivery.body.toString('utf8')) as Record<string, unknown>;
      heard.push({ key: delivery.routingKey, id: delivery.properties.messageId, body });
      delivery.ack();
    });
    return heard;
  };
  const said = (orderId: string) => lines.filter((line) => line.orderId === orderId).map((line) => line.msg);

  it('a customer hears every change of its own orders, a rejection too, and nothing of others (S1.4, S1.6, S1.18, S3.4)', async () => {
    const mine = await listen(exchanges.notifications, 'client.CUST-mine.order.#');
    const [confirmed, rejected] = [await place('CUST-mine', 1), await place('CUST-mine', 99)];
    await place('CUST-other', 1);
    await eventually(() => mine.length >= 2);
    await close('fulfilOrder', confirmed);
    await eventually(() => mine.length >= 3);
    const told = mine.map(({ key, body }) => [key, body.order_id, body.status, body.version, body.code]);
    expect(told.sort()).toEqual(
      [
        [`client.CUST-mine.order.${confirmed}`, confirmed, 'CONFIRMED', 2, undefined],
        [`client.CUST-mine.order.${rejected}`, rejected, 'CANCELLED', 2, 'INSUFFICIENT_STOCK'],
        [`client.CUST-mine.order.${confirmed}`, confirmed, 'FULFILLED', 3, undefined],
      ].sort(),
    );
    expect(mine.find(({ body }) => body.status === 'CONFIRMED')!.body).toMatchObject({ total: 250, currency: 'EUR' });
  });

  it('a customer hears of other quantities, with the lines as they are now', async () => {
    const mine = await listen(exchanges.notifications, 'client.CUST-more.order.#');
    const orderId = await place('CUST-more', 1);
    await eventually(() => mine.length === 1);
    const { product } = await house.ask<{ product: { id: number } }>(`{ product(sku: "NOTE") { id } }`);
    const input = `{ orderId: "${orderId}", items: [{ productId: ${product.id}, quantity: 2 }] }`;
    await house.ask(`mutation { updateOrder(input: ${input}) { __typename } }`);
    await eventually(() => mine.length === 2);
    expect(mine[1]!.body).toEqual({
      ...{ event: 'OrderStatusChanged', order_id: orderId, customer_id: 'CUST-more', version: 3, status: 'CONFIRMED' },
      ...{ message: 'Order changed. Every item is reserved.', total: 500, currency: 'EUR' },
      items: [{ product_id: product.id, quantity: 2, unit_price: 250 }],
    });
  });

  it('one order is spoken of by two reactions that know nothing of each other: the fan-out of creations, the topic of creations and updates (S0.2, S0.3, S0.4, S4.3, S4.4)', async () => {
    const id = await place('CUST-log', 1);
    await close('cancelOrder', id);
    const isSaid = (words: RegExp) => said(id).some((line) => words.test(line));
    await eventually(() => isSaid(/^new: /) && isSaid(/is cancelled/));
    const placed = expect.stringMatching(/^order ORD-.+ was placed: 1 × product \d+$/) as string;
    const created = expect.stringMatching(/^new: order ORD-.+ was placed/) as string;
    const spoken = said(id);
    expect(spoken).toEqual(expect.arrayContaining([created, placed]));
    expect(spoken.filter((line) => line.startsWith('new: '))).toHaveLength(1);
    expect(spoken).toContainEqual(expect.stringMatching(/is cancelled: Cancelled on request$/));
  });

  it('a further subscriber binds its own queue and hears all, with no change to anybody (S3.3, S4.3)', async () => {
    const heard = await listen(exchanges.orderEvents, '');
    const id = await place('CUST-further', 1);
    const ofIt = () => heard.filter(({ body }) => body.order_id === id).map(({ body }) => body.event);
    await eventually(() => ofIt().length >= 2);
    expect(ofIt()).toEqual(['OrderCreated', 'OrderConfirmed']);
  });

  it('the same event twice is told under the same message id', async () => {
    const heard = await listen(exchanges.notifications, 'client.CUST-twice.#');
    const body = { event: 'OrderFulfilled', order_id: 'FOREIGN-1', customer_id: 'CUST-twice', version: 7 };
    const publication = {
      exchange: exchanges.orders,
      routingKey: 'order.confirmed',
      body: Buffer.from(JSON.stringify(body)),
      properties: { headers: {} },
      mandatory: true,
    };
    await Promise.all([house.ground.broker.publish(publication), house.ground.broker.publish(publication)]);
    await eventually(() => heard.length >= 1);
    await eventually(async () => (await house.database.notificationsOutbox.count()) === 0);
    expect(new Set(heard.map(({ id }) => id)).size).toBe(1);
  });

  it('a customer who has chosen a webhook is told there, and how it went can be read over GraphQL', async () => {
    const bodies: string[] = [];
    const receiver = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => bodies.push(chunk));
      request.on('end', () => response.writeHead(200).end());
    });
    await once(receiver.listen(0, '127.0.0.1'), 'listening');
    const target = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
    const subscribe = (wish: string) =>
      house.ask<{ subscribeToNotifications: Record<string, unknown> }>(
        `mutation { subscribeToNotifications(input: { customerId: "CUST-hook", ${wish} }) {
          __typename ... on NotificationSubscription { id state events secret } ... on ErrorResult { code message } } }`,
      );
    const { subscribeToNotifications: subscription } = await subscribe(`channel: WEBHOOK, target: "${target}"`);
    expect(subscription).toMatchObject({ state: 'ACTIVE', secret: expect.stringMatching(/^whsec_/) as string });
    expect(subscription.events).toEqual(['ORDER_CONFIRMED', 'ORDER_CANCELLED', 'ORDER_FULFILLED']);
    expect((await subscribe('channel: EMAIL, target: "no address"')).subscribeToNotifications).toMatchObject({
      code: 'VALIDATION_FAILED',
      message: 'The input was refused. target: must be an e-mail address.',
    });
    const orderId = await place('CUST-hook', 1);
    const read = () =>
      house.ask<{ notificationDeliveries: { nodes: Record<string, unknown>[] } }>(
        `{ notificationDeliveries(first: 5, filter: { customerId: "CUST-hook" }) {
          nodes { orderId state target body attempts { attempt status error nextAttemptAt } } pageInfo { hasNextPage } } }`,
      );
    const [delivery] = await eventually(async () => {
      const { nodes } = (await read()).notificationDeliveries;
      return nodes[0]?.state === 'DELIVERED' ? nodes : undefined;
    });
    expect(delivery).toMatchObject({ orderId, target, body: bodies[0] });
    expect(delivery!.attempts).toEqual([{ attempt: 1, status: 200, error: null, nextAttemptAt: null }]);
    expect(JSON.parse(bodies[0]!)).toMatchObject({ event: 'OrderStatusChanged', order_id: orderId, status: 'CONFIRMED' });
    const unsubscribe = `mutation { unsubscribeFromNotifications(subscriptionId: "${subscription.id as string}") { __typename } }`;
    expect(await house.ask(unsubscribe)).toEqual({ unsubscribeFromNotifications: { __typename: 'Unsubscribed' } });
    expect(await house.ask(`{ notificationSubscriptions(customerId: "CUST-hook") { nodes { id secret } } }`)).toEqual({
      notificationSubscriptions: { nodes: [] },
    });
    receiver.closeAllConnections();
    receiver.close();
  });

  it('rubbish dies alone, and keeps no notice back', async () => {
    const heard = await listen(exchanges.notifications, 'client.CUST-rubbish.#');
    const send = (text: string) =>
      house.ground.broker.publish({
        exchange: exchanges.orders,
        routingKey: 'order.confirmed',
        body: Buffer.from(text),
        properties: { headers: {} },
        mandatory: true,
      });
    const rubbish = send('{"event":"OrderConfirmed"}');
    await place('CUST-rubbish', 1);
    await eventually(() => heard.length === 1);
    await rubbish;
    await eventually(async () => (await house.database.deadLetter.count({ where: { queue: queues.orderUpdates } })) === 1);
  });
});

it('where nobody runs the role, no queue of its fills', async () => {
  const house = await aHouse({ roles: ['gateway', 'orders', 'inventory'] });
  expect(await house.ground.broker.depth(queues.orderCreations)).toBeUndefined();
  expect(await house.ground.broker.depth(queues.orderUpdates)).toBeUndefined();
  await house.drop();
});
