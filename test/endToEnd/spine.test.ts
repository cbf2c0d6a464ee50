import { randomInt } from 'node:crypto';

import { exchanges, queues } from '../../src/contracts';
import { type Broker, type Delivery } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { testRabbitmqUrl } from '../support/brokers';
import { aHouse, type House } from '../support/aHouse';
import { eventually, oneOfThree } from '../support/eventually';

const random = () => randomInt(2 ** 32) / 2 ** 32;
const rabbitmqUrl = testRabbitmqUrl();
const brokers: [string, () => Promise<Broker>][] = [['in process', () => Promise.resolve(createInProcessBroker({ random }))]];
if (rabbitmqUrl) brokers.push(['RabbitMQ', () => connectRabbitmq({ url: rabbitmqUrl, random })]);

const createOrder = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) {
  __typename
  ... on Order { id status message items { productId quantity } }
  ... on ErrorResult { code message }
  ... on ValidationError { fields { path code message } }
  ... on IdempotencyConflictError { orderId }
} }`;
const readOrder = `query ($id: ID!) { order(id: $id) { status total { minorUnits currency decimal }
  items { productId quantity unitPrice { decimal } } reason { code message lines { productId requested available code } }
  timeline { event toStatus } } }`;

const updateOrder = `mutation ($input: UpdateOrderInput!) { updateOrder(input: $input) {
  __typename
  ... on Order { status version total { minorUnits } items { productId quantity } amendment { number status } }
  ... on ErrorResult { code message }
  ... on OrderStateError { status }
  ... on UpdateRejectedError { reason { code lines { productId requested available } } }
} }`;

interface Placed {
  __typename: string;
  id: string;
  status: string;
  code?: string;
  message: string;
  fields?: { path: string }[];
  orderId?: string;
}

interface Read {
  status: string;
  total: { minorUnits: number; currency: string; decimal: string } | null;
  reason: { code: string; message: string; lines: object[] } | null;
  timeline: { event: string }[];
}

describe.each(brokers)('the path of an order, broker %s', (_name, open) => {
  let house: House;
  let skus = 0;

  beforeAll(async () => {
    house = await aHouse({ broker: await open() });
  });
  afterAll(() => house.drop());

  const place = async (input: object, headers?: Record<string, string>) =>
    (await house.ask<{ createOrder: Placed }>(createOrder, { input }, headers)).createOrder;
  const read = async (id: string) => (await house.ask<{ order: Read | null }>(readOrder, { id })).order;
  const decided = (id: string, limitMs?: number) =>
    eventually(async () => {
      const order = await read(id);
      return order && order.status !== 'PENDING' ? order : undefined;
    }, limitMs);
  const addProduct = async (onHand: number) => {
    const sku = `E2E-${++skus}`;
    const mutation = `mutation ($input: CreateProductInput!) { createProduct(input: $input) { ... on Product { id sku } } }`;
    const data = await house.ask<{ createProduct: { id: number; sku: string } }>(mutation, {
      input: { sku, name: `Product ${sku}`, price: 1_999, onHand },
    });
    return data.createProduct;
  };
  const stockOf = async (id: number) => {
    const { product } = await house.ask<{ product: object }>(`{ product(id: ${id}) { onHand reserved available updatedAt } }`);
    return product;
  };

  it('confirms an order within a second: PENDING at once, then CONFIRMED with price and timeline (S2.10, S2.11)', async () => {
    // The first order of a process pays for compiling it all; the promise is about every other.
    const { id } = await addProduct(10);
    await decided((await place({ customerId: 'CUST-0', items: [{ productId: id, quantity: 11 }] })).id);
    const { order, product } = await oneOfThree(async () => {
      const product = await addProduct(10);
      const placed = await place({ customerId: 'CUST-1', items: [{ sku: product.sku, quantity: 2 }] });
      expect(placed).toMatchObject({
        __typename: 'Order',
        status: 'PENDING',
        message: 'Order received. Inventory check in progress.',
      });
      return { product, order: await decided(placed.id, 1_000) };
    });
    expect(order).toMatchObject({ status: 'CONFIRMED', total: { minorUnits: 3_998, currency: 'EUR', decimal: '39.98' } });
    expect(order.timeline.map((step) => step.event)).toEqual(['OrderCreated', 'StockReserved']);
    expect(await stockOf(product.id)).toMatchObject({ onHand: 10, reserved: 2, available: 8 });
  });

  it('GET /health answers healthy, with database and broker (S2.2)', async () => {
    const response = await fetch(`${house.url}/health`);
    const { status, checks } = (await response.json()) as { status: string; checks: { name: string; status: string }[] };
    expect([response.status, status]).toEqual([200, 'UP']);
    expect(Object.fromEntries(checks.map((check) => [check.name, check.status]))).toMatchObject({
      database: 'UP',
      broker: 'UP',
      migrations: 'UP',
    });
  });

  it('cancels an order for more than the stock, with the figures per line (S2.9, S2.10)', async () => {
    const [plenty, short] = [await addProduct(10), await addProduct(1)];
    const items = [plenty, short].map(({ id }) => ({ productId: id, quantity: 3 }));
    const order = await decided((await place({ customerId: 'CUST-1', items })).id);
    const lines = [{ productId: short.id, requested: 3, available: 1, code: 'INSUFFICIENT_STOCK' }];
    expect(order).toMatchObject({
      status: 'CANCELLED',
      reason: { code: 'INSUFFICIENT_STOCK', message: 'Insufficient stock', lines },
    });
    expect(await stockOf(plenty.id)).toMatchObject({ reserved: 0, available: 10 });
  });

  it.each([
    ['an unknown product', () => Promise.resolve(2_000_000_000), 'UNKNOWN_PRODUCT'],
    [
      'a product that is not for sale',
      async () => {
        const { id } = await addProduct(5);
        await house.ask(`mutation { deactivateProduct(productId: ${id}) { __typename } }`);
        return id;
      },
      'PRODUCT_INACTIVE',
    ],
  ])('cancels an order for %s', async (_case, product, code) => {
    const items = [{ productId: await product(), quantity: 1 }];
    const order = await decided((await place({ customerId: 'CUST-1', items })).id);
    expect(order).toMatchObject({ status: 'CANCELLED', reason: { code } });
  });

  it('updates the quantities of an order: the difference moves, or an error says why not (S0.6)', async () => {
    const [mug, pan] = [await addProduct(10), await addProduct(3)];
    const { id } = await place({ customerId: 'C', items: [{ productId: mug.id, quantity: 4 }] });
    await decided(id);
    const update = async (...items: { productId?: number; sku?: string; quantity: number }[]) =>
      (await house.ask<{ updateOrder: object }>(updateOrder, { input: { orderId: id, items } })).updateOrder;
    expect(await update({ productId: mug.id, quantity: 6 }, { sku: pan.sku, quantity: 2 })).toMatchObject({
      ...{ __typename: 'Order', status: 'CONFIRMED', version: 3, total: { minorUnits: 8 * 1_999 } },
      items: [
        { productId: mug.id, quantity: 6 },
        { productId: pan.id, quantity: 2 },
      ],
      amendment: { number: 1, status: 'APPLIED' },
    });
    expect([await stockOf(mug.id), await stockOf(pan.id)]).toMatchObject([{ reserved: 6 }, { reserved: 2 }]);
    expect(await update({ productId: mug.id, quantity: 1 }, { productId: pan.id, quantity: 4 })).toMatchObject({
      ...{ __typename: 'UpdateRejectedError', code: 'UPDATE_REJECTED' },
      reason: { code: 'INSUFFICIENT_STOCK', lines: [{ productId: pan.id, requested: 4, available: 3 }] },
    });
    expect([await stockOf(mug.id), await stockOf(pan.id)]).toMatchObject([{ reserved: 6 }, { reserved: 2 }]);
    expect(await update({ productId: pan.id, quantity: 0 })).toMatchObject({ version: 4, items: [{ productId: mug.id }] });
    expect((await read(id))!.timeline.map(({ event }) => event)).toEqual([
      ...['OrderCreated', 'StockReserved', 'StockAmended', 'StockAmended'],
    ]);
    await house.ask(`mutation { fulfilOrder(orderId: "${id}") { ... on Order { status } } }`);
    expect(await update({ productId: mug.id, quantity: 1 })).toMatchObject({
      ...{ __typename: 'OrderStateError', code: 'ORDER_STATE_CONFLICT', status: 'FULFILLED' },
    });
  });

  it('cancel releases, fulfil takes out of the stock', async () => {
    const product = await addProduct(10);
    const [a, b] = await Promise.all(
      [1, 2].map(() => place({ customerId: 'C', items: [{ productId: product.id, quantity: 3 }] })),
    );
    await Promise.all([a!, b!].map(({ id }) => decided(id)));
    await house.ask(`mutation { cancelOrder(orderId: "${a!.id}") { ... on Order { status } } }`);
    await house.ask(`mutation { fulfilOrder(orderId: "${b!.id}") { ... on Order { status } } }`);
    await eventually(
      async () => expect(await stockOf(product.id)).toMatchObject({ onHand: 7, reserved: 0, available: 7 }) ?? true,
    );
  });

  it('one order placed a hundred times at once with one key is one order, by input or by header', async () => {
    const product = await addProduct(10);
    const wish = { customerId: 'CUST-k', items: [{ productId: product.id, quantity: 1 }] };
    const byInput = Array.from({ length: 50 }, () => place({ ...wish, idempotencyKey: 'same' }));
    const byHeader = Array.from({ length: 50 }, () => place(wish, { 'idempotency-key': 'same' }));
    const ids = new Set((await Promise.all([...byInput, ...byHeader])).map(({ id }) => id));
    expect(ids.size).toBe(1);
    await decided([...ids][0]!);
    expect(await stockOf(product.id)).toMatchObject({ reserved: 1 });
    const other = await place({ ...wish, items: [{ productId: product.id, quantity: 2 }], idempotencyKey: 'same' });
    expect(other).toMatchObject({ __typename: 'IdempotencyConflictError', code: 'IDEMPOTENCY_CONFLICT', orderId: [...ids][0] });
  });

  it('sells exactly the stock when everybody wants the same product (S2.14)', async () => {
    const product = await addProduct(40);
    const placed = await Promise.all(
      Array.from({ length: 120 }, () => place({ customerId: 'C', items: [{ productId: product.id, quantity: 1 }] })),
    );
    const decisions = await Promise.all(placed.map(({ id }) => decided(id, 20_000)));
    expect(decisions.filter((order) => order.status === 'CONFIRMED')).toHaveLength(40);
    expect(await stockOf(product.id)).toMatchObject({ onHand: 40, reserved: 40, available: 0 });
  });

  describe('messages from an order service of any make', () => {
    let answers: Delivery[];

    beforeAll(async () => {
      const { broker } = house.ground;
      answers = [];
      await broker.declare({
        exchanges: [{ name: exchanges.inventory, type: 'topic' }],
        queues: [{ name: 'test.answers', kind: 'temporary' }],
        bindings: [{ exchange: exchanges.inventory, key: 'stock.*', to: { queue: 'test.answers' } }],
      });
      await broker.consume('test.answers', { prefetch: 100 }, (delivery) => {
        answers.push(delivery);
        delivery.ack();
      });
    });

    /** In process a confirm waits for the settlement, which for poison is never: nobody waits for it here. */
    const publish = (body: string) =>
      void house.ground.broker
        .publish({
          exchange: 'orders',
          routingKey: 'order.created',
          body: Buffer.from(body),
          properties: { headers: {} },
          mandatory: true,
        })
        .catch(() => undefined);
    const answersFor = (orderId: string) => answers.filter((answer) => answer.body.toString().includes(`"${orderId}"`));

    it('a bare message is answered exactly as in the contract; ten copies reserve once and are each answered (S2.4, S2.8)', async () => {
      const { id } = await addProduct(20);
      const body = `{"event":"OrderCreated","order_id":"ORD-12345","items":[{"product_id":${id},"quantity":2}]}`;
      for (let copy = 0; copy < 10; copy++) publish(body);
      await eventually(() => answersFor('ORD-12345').length >= 10);
      const expected = `{"event":"StockReserved","order_id":"ORD-12345","items":[{"product_id":${id},"quantity":2,"unit_price":1999}]}`;
      for (const answer of answersFor('ORD-12345')) {
        expect([answer.exchange, answer.routingKey]).toEqual(['inventory', 'stock.reserved']);
        expect(answer.body.toString()).toBe(expected);
      }
      expect(answersFor('ORD-12345')).toHaveLength(10);
      expect(await stockOf(id)).toMatchObject({ reserved: 2 });
    });

    it('a shortage is answered on stock.rejected (S2.9)', async () => {
      const { id } = await addProduct(1);
      publish(`{"event":"OrderCreated","order_id":"foreign-7","items":[{"product_id":${id},"quantity":2}]}`);
      await eventually(() => answersFor('foreign-7').length > 0);
      expect(answersFor('foreign-7')[0]).toMatchObject({ exchange: 'inventory', routingKey: 'stock.rejected' });
      expect(answersFor('foreign-7')[0]!.body.toString()).toBe(
        `{"event":"StockRejected","order_id":"foreign-7","reason":"Insufficient stock","items":[{"product_id":${id},"requested":2,"available":1,"code":"INSUFFICIENT_STOCK"}]}`,
      );
    });

    it('rubbish ends in the dead letters with its reason, and good messages beside it are answered (S2.12, S2.15)', async () => {
      const { id } = await addProduct(50);
      const rubbish = [
        '',
        'not json',
        '[]',
        '{"event":"Unknown"}',
        '{"event":"OrderCreated","order_id":"x","items":[{"product_id":1,"quantity":0}]}',
      ];
      const kept = () => house.database.deadLetter.findMany({ where: { queue: queues.orderCreated }, orderBy: { id: 'asc' } });
      const before = (await kept()).length;
      rubbish.forEach((body, index) => {
        publish(body);
        publish(
          JSON.stringify({
            event: 'OrderCreated',
            order_id: `good-${index}`,
            items: [{ product_id: id, quantity: 1 }],
            version: 2,
          }),
        );
      });
      await eventually(() => rubbish.every((_, index) => answersFor(`good-${index}`).length === 1));
      await eventually(async () => (await kept()).length === before + rubbish.length);
      const reasons = (await kept()).map(({ reason }) => reason);
      expect(reasons.slice(-5).join('\n')).toMatch(
        /empty[\s\S]*not JSON[\s\S]*Unknown event[\s\S]*Unknown event "Unknown"[\s\S]*items\.0\.quantity/,
      );
    });
  });
});
