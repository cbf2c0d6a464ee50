import { randomInt } from 'node:crypto';
import { v4 as uuidv4 } from 'uuid';

import { exchanges, queues } from '../../src/contracts';
import { type Broker } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { aHouse, type House } from '../support/aHouse';
import { eventualDepth, testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';

/** Orders placed by message: bare JSON on new_orders_exchange, and what the client hears. */
const random = () => randomInt(2 ** 32) / 2 ** 32;
const rabbitmqUrl = testRabbitmqUrl();
const brokers: [string, () => Promise<Broker>][] = [['in process', () => Promise.resolve(createInProcessBroker({ random }))]];
if (rabbitmqUrl) brokers.push(['RabbitMQ', () => connectRabbitmq({ url: rabbitmqUrl, random })]);

describe.each(brokers)('orders by message, broker %s', (name, open) => {
  let house: House;
  let listeners = 0;
  let broker: Broker;

  beforeAll(async () => {
    broker = await open();
    house = await aHouse({ broker });
    for (const [sku, name] of [
      ['KEYBOARD', 'Keyboard'],
      ['CABLE-1', 'Cable'],
      ['CABLE-2', 'Cable'],
    ])
      await house.ask(
        `mutation { createProduct(input: { sku: "${sku}", name: "${name}", price: 100, onHand: 1000 }) { __typename } }`,
      );
  });
  afterAll(() => house.drop());

  /** As the client's program listens: a queue of its own, to its own orders. */
  async function aClient() {
    const userId = uuidv4();
    const heard: Record<string, unknown>[] = [];
    const name = `client-${++listeners}`;
    const bindings = [{ exchange: exchanges.notifications, key: `client.${userId}.order.#`, to: { queue: name } }];
    await broker.declare({ exchanges: [], queues: [{ name, kind: 'temporary' }], bindings });
    await broker.consume(name, { prefetch: 100 }, (delivery) => {
      heard.push(JSON.parse(delivery.body.toString('utf8')) as Record<string, unknown>);
      delivery.ack();
    });
    return { userId, heard };
  }
  const send = (body: unknown) =>
    broker.publish({
      exchange: exchanges.newOrders,
      routingKey: '',
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      properties: { contentType: 'application/json', headers: {} },
      mandatory: true,
    });
  const request = (userId: string, order: unknown, orderId = uuidv4()) => ({
    ...{ order_id: orderId, user_id: userId, order },
    ...{ created_at: '2026-11-26T12:00:00Z', status: 'new_order' },
  });
  const ordersOf = (customerId: string) => house.database.order.count({ where: { customerId } });

  it('is placed, reserved and told to its client, under the client’s own name for it (S1.2, S1.3, S1.4, S1.12)', async () => {
    const { userId, heard } = await aClient();
    const wish = request(userId, [
      { name: 'Keyboard', quantity: 1 },
      { sku: 'CABLE-1', quantity: 2 },
    ]);
    await send(wish);
    await eventually(() => heard.length >= 2);
    const [received, confirmed] = heard.sort((a, b) => Number(a.version) - Number(b.version));
    expect(received).toMatchObject({ event: 'OrderStatusChanged', reference: wish.order_id, version: 1 });
    expect(confirmed).toMatchObject({ order_id: received!.order_id, status: 'CONFIRMED', total: 300 });
    expect(received!.order_id).toMatch(/^ORD-/);
  });

  it('a shortage is told to its client with the reason (S1.5, S1.18)', async () => {
    const { userId, heard } = await aClient();
    await send(request(userId, [{ name: 'Keyboard', quantity: 5_000 }]));
    await eventually(() => heard.some((told) => told.status === 'CANCELLED'));
    expect(heard.find((told) => told.status === 'CANCELLED')).toMatchObject({ code: 'INSUFFICIENT_STOCK' });
  });

  it('twenty copies of one message are one order', async () => {
    const { userId, heard } = await aClient();
    const wish = request(userId, [{ name: 'Keyboard', quantity: 1 }]);
    await Promise.all(Array.from({ length: 20 }, () => send(wish)));
    await eventually(() => heard.filter((told) => told.reference === wish.order_id).length >= 20);
    expect(new Set(heard.map((told) => told.order_id)).size).toBe(1);
    expect(await ordersOf(userId)).toBe(1);
  });

  it.each<[string, unknown, string]>([
    ['quantity 0', [{ name: 'Keyboard', quantity: 0 }], 'order.0.quantity'],
    ['a negative quantity', [{ name: 'Keyboard', quantity: -3 }], 'order.0.quantity'],
    ['more than may be ordered', [{ name: 'Keyboard', quantity: 100_001 }], 'order.0.quantity'],
    ['more lines than may be ordered', Array(101).fill({ product_id: 1, quantity: 1 }), 'order'],
    ['an unknown name', [{ name: 'Kayboard', quantity: 1 }], 'order.0.name'],
    ['a name of two products', [{ name: 'Cable', quantity: 1 }], 'order.0.name'],
    ['an unknown sku', [{ sku: 'NO-SUCH', quantity: 1 }], 'order.0.sku'],
    ['a product in two ways', [{ sku: 'CABLE-1', name: 'Cable', quantity: 1 }], 'order.0'],
    ['a product in no way', [{ quantity: 1 }], 'order.0'],
    ['a product id of 0', [{ product_id: 0, quantity: 1 }], 'order.0.product_id'],
    ['a product id in words', [{ product_id: 'one', quantity: 1 }], 'order.0.product_id'],
    ['a sku that is no text', [{ sku: 7, quantity: 1 }], 'order.0.sku'],
    ['a name of 1,001 characters', [{ name: 'x'.repeat(1_001), quantity: 1 }], 'order.0.name'],
    ['a quantity of 1.5', [{ name: 'Keyboard', quantity: 1.5 }], 'order.0.quantity'],
    ['a quantity in words', [{ name: 'Keyboard', quantity: 'two' }], 'order.0.quantity'],
    ['no quantity', [{ name: 'Keyboard' }], 'order.0.quantity'],
    ['no lines', [], 'order'],
    ['1,001 lines', Array(1_001).fill({ name: 'Keyboard', quantity: 1 }), 'order'],
    ['no order at all', undefined, 'order'],
    ['an order that is a text', 'a keyboard', 'order'],
    ['lines that are none', [7, null, 'Keyboard', []], 'order.1'],
  ])('%s: its client hears why, and good ones beside it go on (S1.18)', async (_case, order, path) => {
    const { userId, heard } = await aClient();
    const bad = request(userId, order);
    await Promise.all([send(bad), send(request(userId, [{ name: 'Keyboard', quantity: 1 }]))]);
    await eventually(() => heard.length >= 3);
    const refusal = heard.find((told) => told.event === 'OrderRefused');
    expect(refusal).toMatchObject({ order_id: bad.order_id, code: 'VALIDATION_FAILED' });
    expect((refusal!.fields as { path: string }[]).map((field) => field.path)).toContain(path);
    expect(await ordersOf(userId)).toBe(1);
  });

  it('what cannot be read in it is told by the command order.create, too', async () => {
    const { userId, heard } = await aClient();
    const bad = request(userId, [{ sku: 'KEYBOARD', quantity: 'two' }]);
    await broker.publish({
      ...{ exchange: '', routingKey: queues.orderCreateCommands, mandatory: true },
      ...{ body: Buffer.from(JSON.stringify({ ...bad, payment: 7 })), properties: { headers: {} } },
    });
    await eventually(() => heard.length > 0);
    expect(heard[0]).toMatchObject({ event: 'OrderRefused', order_id: bad.order_id, code: 'VALIDATION_FAILED' });
    expect((heard[0]!.fields as { path: string }[]).map((field) => field.path)).toEqual(['order.0.quantity', 'payment']);
  });

  it('sent again after its product was taken off sale it is still the order that it was, with its reason', async () => {
    await house.ask(`mutation { createProduct(input: { sku: "OLD", name: "Old", price: 100, onHand: 0 }) { __typename } }`);
    const { userId, heard } = await aClient();
    const wish = request(userId, [{ name: 'Old', quantity: 1 }]);
    await send(wish);
    await eventually(() => heard.some((told) => told.status === 'CANCELLED'));
    await house.database.product.updateMany({ where: { sku: 'OLD' }, data: { active: false } });
    const before = heard.length;
    await send(wish);
    await eventually(() => heard.length > before);
    expect(heard.at(-1)).toMatchObject({
      ...{ event: 'OrderStatusChanged', reference: wish.order_id, order_id: heard[0]!.order_id },
      ...{ status: 'CANCELLED', code: 'INSUFFICIENT_STOCK', reason: 'Insufficient stock' },
    });
    expect(await ordersOf(userId)).toBe(1);
  });

  it.each<[string, object[]]>([
    ['no units', [{ name: 'Keyboard', quantity: 0 }]],
    ['an unknown sku', [{ sku: 'NO-SUCH', quantity: 1 }]],
    ['an unknown name, twice', [{ name: 'Kayboard', quantity: 2 }]],
    ['a name of two products beside', ['Keyboard', 'Cable'].map((name) => ({ name, quantity: 1 }))],
    ['too many lines', Array<object>(101).fill({ name: 'Keyboard', quantity: 1 })],
  ])('the same id for %s is refused as that, and its client is not told of the order', async (_case, order) => {
    const { userId, heard } = await aClient();
    const first = request(userId, [{ name: 'Keyboard', quantity: 1 }]);
    await send(first);
    await eventually(() => heard.some((told) => told.status === 'CONFIRMED'));
    await send({ ...first, order });
    await eventually(() => heard.some((told) => told.event === 'OrderRefused'));
    expect(heard.find((told) => told.event === 'OrderRefused')).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    expect(heard.filter((told) => told.reference)).toHaveLength(1);
  });

  it('the same id for another order is refused', async () => {
    const { userId, heard } = await aClient();
    const first = request(userId, [{ name: 'Keyboard', quantity: 1 }]);
    await send(first);
    await send({ ...first, order: [{ name: 'Keyboard', quantity: 2 }] });
    await eventually(() => heard.some((told) => told.event === 'OrderRefused'));
    expect(heard.find((told) => told.event === 'OrderRefused')).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
    expect(await ordersOf(userId)).toBe(1);
  });

  if (name === 'RabbitMQ') {
    it('several processes share the queue, and each order is one (S1.16)', async () => {
      const second = await connectRabbitmq({ url: rabbitmqUrl!, random });
      const other = await aHouse({ broker: second, roles: ['orders'], testDatabase: house.testDatabase });
      const { userId, heard } = await aClient();
      const wishes = Array.from({ length: 60 }, () => request(userId, [{ name: 'Keyboard', quantity: 1 }]));
      await Promise.all(wishes.flatMap((wish) => [send(wish), send(wish)]));
      await eventually(() => heard.filter((told) => told.reference).length >= 120);
      await eventualDepth(broker, queues.newOrders, { consumers: 2 });
      expect(await ordersOf(userId)).toBe(60);
      await other.stop();
    });
  }

  it('what is no order is a dead letter with the reason (S1.13)', async () => {
    const rubbish: Record<string, RegExp> = {
      '': /The body is empty/,
      'not JSON': /The body is not JSON/,
      '[]': /Unknown event|Not a valid OrderRequested/,
      null: /Unknown event|Not a valid OrderRequested/,
      '{"event":"OrderCreated","order_id":"x"}': /Unknown event "OrderCreated": this queue takes OrderRequested/,
      '{"order_id":"x","order":[]}': /user_id: /,
      '{"user_id":"x","order":[]}': /order_id: /,
    };
    const sent = Object.keys(rubbish).map((body) => send(body));
    const letters = await eventually(async () => {
      const rows = await house.database.deadLetter.findMany({ where: { queue: queues.newOrders } });
      return rows.length === sent.length ? rows : undefined;
    });
    for (const { body, reason } of letters) expect(reason).toMatch(rubbish[Buffer.from(body).toString('utf8')]!);
    await Promise.all(sent);
  });
});
