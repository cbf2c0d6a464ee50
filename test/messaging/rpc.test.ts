import { randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import { z } from 'zod';

import { exchanges, queues, rpcs, type Rpc } from '../../src/contracts';
import { answering, RpcClient, RpcRefused, RpcServer, type Broker, type MessageProperties } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger, createMetrics, Unavailable } from '../../src/observability';
import { aHouse, type House } from '../support/aHouse';
import { testRabbitmqUrl } from '../support/brokers';
import { eventually, oneOfThree } from '../support/eventually';

/** Questions and commands over AMQP, on both brokers: the mechanism with a question of its own, then those of Holdfast. */
const random = () => randomInt(2 ** 32) / 2 ** 32;
const rabbitmqUrl = testRabbitmqUrl();
const brokers: [string, () => Promise<Broker>][] = [['in process', () => Promise.resolve(createInProcessBroker({ random }))]];
if (rabbitmqUrl) brokers.push(['RabbitMQ', () => connectRabbitmq({ url: rabbitmqUrl, random })]);
const log = createLogger({ level: 'silent', name: 'test' });

describe.each(brokers)('rpc, broker %s', (_name, open) => {
  let house: House;
  let broker: Broker;
  let listeners = 0;

  beforeAll(async () => {
    broker = await open();
    house = await aHouse({ broker });
  });
  afterAll(() => house.drop());

  /** A queue of a client in any language; `heard` fills as answers come. */
  async function anAsker() {
    const heard: { body: Record<string, unknown>; correlationId?: string }[] = [];
    const name = `asker-${++listeners}`;
    await broker.declare({ exchanges: [], queues: [{ name, kind: 'temporary' }], bindings: [] });
    await broker.consume(name, { prefetch: 100 }, (delivery) => {
      const body = JSON.parse(delivery.body.toString('utf8')) as Record<string, unknown>;
      heard.push({ body, correlationId: delivery.properties.correlationId });
      delivery.ack();
    });
    return { name, heard };
  }
  const send = (queue: string, body: unknown, properties: Partial<MessageProperties> = {}) =>
    broker.publish({
      exchange: '',
      routingKey: queue,
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      properties: { headers: {}, ...properties },
      mandatory: true,
    });
  /** Asks as a bare client does, and gives the answer. */
  async function ask(queue: string, body: unknown): Promise<Record<string, unknown>> {
    const { name, heard } = await anAsker();
    await send(queue, body, { replyTo: name, correlationId: 'call-1' });
    await eventually(() => heard.length === 1);
    expect(heard[0]!.correlationId).toBe('call-1');
    return heard[0]!.body;
  }

  describe('the mechanism', () => {
    const greet = (queue: string) =>
      ({ queue, request: z.looseObject({ name: z.string() }), reply: z.looseObject({ greeting: z.string() }) }) satisfies Rpc;
    const stops: (() => Promise<void>)[] = [];
    let asked: string[] = [];
    afterEach(async () => {
      for (const stop of stops.splice(0).reverse()) await stop();
      asked = [];
    });

    /** A question of its own, answered by `answer`, or by nobody. */
    async function aQuestion(answer?: (name: string) => Promise<string>, waitingMax = 100) {
      const metrics = createMetrics();
      const rpc = greet(`greet.${uuidv7()}`);
      await broker.declare({
        exchanges: [],
        queues: [{ name: rpc.queue, kind: 'requests', lengthMax: 100, ttlMs: 60_000 }],
        bindings: [],
      });
      const service = answering(rpc, async ({ name }) => {
        asked.push(name);
        return { greeting: await answer!(name) };
      });
      const server = new RpcServer({ service, broker, log, metrics, concurrencyMax: 10 });
      const client = new RpcClient({ broker, newId: uuidv7, log, metrics, deadlineMs: 10_000, waitingMax });
      stops.push(() => client.stop());
      const serve = async () => {
        await server.start();
        stops.push(() => server.stop());
      };
      if (answer) await serve();
      const call = (name: string, deadlineMs?: number) => client.call(rpc, { name }, { correlationId: 'talk', deadlineMs });
      return { rpc, call, serve, metrics };
    }
    const lateReplies = async (metrics: ReturnType<typeof createMetrics>) =>
      (await metrics.rpcLateReplies.get()).values[0]!.value;

    it('a hundred calls at a time each get their own answer, in whatever order the answers come (S3.5)', async () => {
      const { call } = await aQuestion(async (name) => {
        await new Promise((resolve) => setTimeout(resolve, randomInt(20)));
        return `hello ${name}`;
      });
      const names = Array.from({ length: 100 }, (_, index) => `client ${index}`);
      const answers = await Promise.all(names.map((name) => call(name)));
      expect(answers.map(({ greeting }) => greeting)).toEqual(names.map((name) => `hello ${name}`));
    });

    it('a call ends at its deadline, and the answer that comes later is dropped and counted (S3.8)', async () => {
      let release: (() => void) | undefined;
      const held = () => new Promise<string>((answer) => (release = () => answer('late')));
      const { call, metrics } = await aQuestion((name) => (name === 'slow' ? held() : Promise.resolve('hi')));
      // On a machine that is too busy the request expires before it is taken, and there is no late answer: then once more.
      await oneOfThree(async () => {
        await expect(call('slow', 250)).rejects.toThrow(/^No answer to greet\..* within 250 ms$/);
        if (!release) throw new Error('The request expired before it was taken.');
      });
      release!();
      await eventually(async () => (await lateReplies(metrics)) === 1);
      expect(await call('quick')).toEqual({ greeting: 'hi' });
    });

    it('a request that nobody took before its deadline is served to nobody (S3.8)', async () => {
      const { call, serve } = await aQuestion();
      await expect(call('gone', 50)).rejects.toThrow(Unavailable);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await serve();
      await expect(call('here')).rejects.toThrow(RpcRefused);
      expect(asked).toEqual(['here']);
    });

    it('where no such queue is, a call fails at once', async () => {
      const { call, rpc } = await aQuestion((name) => Promise.resolve(name));
      await call('warm');
      rpc.queue = 'no.such.queue';
      const startedAt = performance.now();
      await expect(call('x')).rejects.toThrow('Nobody answers no.such.queue');
      expect(performance.now() - startedAt).toBeLessThan(5_000);
    });

    it('what the server throws is told as a fault of its own, without its words', async () => {
      const { call } = await aQuestion(() => Promise.reject(new Error('password 1234')));
      const refusal = await call('x').catch((error: unknown) => error as RpcRefused);
      expect(refusal).toBeInstanceOf(RpcRefused);
      expect(refusal).toMatchObject({ code: 'INTERNAL', message: 'It could not be answered; the fault is ours.' });
    });

    it('no more wait for answers than may, and a stop lets all of them go', async () => {
      const { call } = await aQuestion(undefined, 2);
      const waiting = [call('a'), call('b')].map((one) => one.catch((error: Error) => error.message));
      await expect(call('c')).rejects.toThrow('2 questions wait for their answers already');
      await stops.pop()!();
      expect(await Promise.all(waiting)).toEqual(['This process is stopping', 'This process is stopping']);
    });

    it.each<[string, string | Buffer, RegExp]>([
      ['no JSON', '{', /The body is not JSON/],
      ['nothing', '', /The body is empty/],
      ['a list', '[]', /input: /],
      ['null', 'null', /input: /],
      ['another shape', '{"name":7}', /name: /],
      ['a shape without end', '['.repeat(50_000), /not JSON/],
    ])('to %s it answers what is wrong, and goes on', async (_what, body, message) => {
      const { rpc, call } = await aQuestion((name) => Promise.resolve(name));
      const answer = (await ask(rpc.queue, String(body))) as { error: { code: string; message: string } };
      expect(answer.error.code).toBe('BAD_REQUEST');
      expect(answer.error.message).toMatch(message);
      expect(await call('after')).toEqual({ greeting: 'after' });
    });

    it('a request that names nobody to answer, or nobody who is there, is served all the same', async () => {
      const { rpc, call } = await aQuestion((name) => Promise.resolve(name));
      await send(rpc.queue, { name: 'anonymous' });
      await send(rpc.queue, { name: 'astray' }, { replyTo: 'no.such.queue', correlationId: 'x' });
      await send(rpc.queue, { name: 'forged' }, { replyTo: 'amq.rabbitmq.reply-to.rubbish', correlationId: 'x' });
      await eventually(() => asked.length === 3);
      expect(await call('after')).toEqual({ greeting: 'after' });
    });
  });

  describe('what Holdfast answers', () => {
    let skus = 0;
    async function aProduct(onHand: number): Promise<number> {
      const input = `{ sku: "RPC-${++skus}", name: "Rpc", price: 250, onHand: ${onHand} }`;
      const { createProduct } = await house.ask<{ createProduct: { id: number } }>(
        `mutation { createProduct(input: ${input}) { ... on Product { id } } }`,
      );
      return createProduct.id;
    }
    const settled = async (orderId: unknown) =>
      eventually(async () => {
        const reply = await ask(rpcs.orderStatus.queue, { order_id: orderId });
        return reply.status === 'PROCESSING' ? undefined : reply;
      });

    it('an order is created as PROCESSING and comes to SUCCESS, a shortage to FAILED; asked twice it is one order (S3.5)', async () => {
      const product = await aProduct(10);
      const wish = (quantity: number) => {
        const body = { order_id: uuidv7(), user_id: 'CUST-rpc', order: [{ product_id: product, quantity }] };
        return body;
      };
      const good = wish(3);
      const created = await ask(rpcs.orderCreate.queue, good);
      expect(created).toMatchObject({ status: 'PROCESSING', order_status: 'PENDING', reference: good.order_id });
      expect(await ask(rpcs.orderCreate.queue, good)).toMatchObject({ order_id: created.order_id });
      expect(await settled(created.order_id)).toMatchObject({ status: 'SUCCESS', order_status: 'CONFIRMED' });
      const short = await ask(rpcs.orderCreate.queue, wish(8));
      expect(await settled(short.order_id)).toMatchObject({ status: 'FAILED', code: 'INSUFFICIENT_STOCK' });
      expect(await ask(rpcs.orderCreate.queue, wish(0))).toMatchObject({
        ...{ status: 'FAILED', code: 'VALIDATION_FAILED' },
        fields: [{ path: 'order.0.quantity' }],
      });
      expect(await ask(rpcs.orderCreate.queue, { ...good, order_id: uuidv7(), order: 'a keyboard' })).toMatchObject({
        ...{ status: 'FAILED', code: 'VALIDATION_FAILED' },
        fields: [{ path: 'order' }],
      });
    });

    it('an order is fulfilled and cancelled by order_status_update, and told why where it cannot be (S3.5)', async () => {
      const product = await aProduct(10);
      const body = { order_id: uuidv7(), user_id: 'CUST-rpc', order: [{ product_id: product, quantity: 1 }] };
      const { order_id } = await ask(rpcs.orderCreate.queue, body);
      await settled(order_id);
      const update = (status: string, id: unknown = order_id) => ask(rpcs.orderStatusUpdate.queue, { order_id: id, status });
      expect(await update('FULFILLED')).toMatchObject({ status: 'SUCCESS', order_status: 'FULFILLED' });
      expect(await update('FULFILLED')).toMatchObject({ status: 'SUCCESS', order_status: 'FULFILLED' });
      expect(await update('CANCELLED')).toMatchObject({ status: 'FAILED', code: 'ORDER_STATE_CONFLICT' });
      expect(await update('CANCELLED', 'ORD-none')).toMatchObject({ status: 'FAILED', code: 'UNKNOWN_ORDER' });
      expect(await update('PENDING')).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    });

    it('asked again after its product was renamed, or its order updated, it is still the order that it was', async () => {
      const product = await aProduct(10);
      const rename = (name: string) =>
        house.ask(`mutation { updateProduct(productId: ${product}, input: { name: "${name}" }) { __typename } }`);
      await rename('Before');
      const wish = { order_id: uuidv7(), user_id: 'CUST-rpc', order: [{ name: 'Before', quantity: 2 }] };
      const { order_id } = await ask(rpcs.orderCreate.queue, wish);
      await settled(order_id);
      await rename('After');
      const again = { order_id, status: 'SUCCESS', order_status: 'CONFIRMED', reference: wish.order_id };
      expect(await ask(rpcs.orderCreate.queue, wish)).toMatchObject(again);
      const input = `{ orderId: "${String(order_id)}", items: [{ productId: ${product}, quantity: 3 }] }`;
      await house.ask(`mutation { updateOrder(input: ${input}) { __typename } }`);
      expect(await ask(rpcs.orderCreate.queue, wish)).toMatchObject(again);
      const other = { ...wish, order: [{ name: 'Before', quantity: 3 }] };
      expect(await ask(rpcs.orderCreate.queue, other)).toMatchObject({ status: 'FAILED', code: 'IDEMPOTENCY_CONFLICT' });
      const paid = { ...wish, payment: 'BALANCE' };
      expect(await ask(rpcs.orderCreate.queue, paid)).toMatchObject({ status: 'FAILED', code: 'IDEMPOTENCY_CONFLICT' });
    });

    it('a cancel that is done is a SUCCESS, the first time and again, and the order is CANCELLED (S3.5)', async () => {
      const body = { order_id: uuidv7(), user_id: 'CUST-rpc', order: [{ product_id: await aProduct(10), quantity: 1 }] };
      const { order_id } = await ask(rpcs.orderCreate.queue, body);
      const cancel = () => ask(rpcs.orderStatusUpdate.queue, { order_id, status: 'CANCELLED', reason: 'no' });
      const done = { status: 'SUCCESS', order_id, order_status: 'CANCELLED', code: 'REQUESTED' };
      expect([await cancel(), await cancel()]).toMatchObject([done, done]);
      expect(await ask(rpcs.orderStatus.queue, { order_id })).toMatchObject({ status: 'FAILED', order_status: 'CANCELLED' });
    });

    it.each<[string, string, string]>([
      ['empty', '', 'Cancelled on request'],
      ['too long, with an emoji across the end', `${'x'.repeat(499)}\u{1f600}!`, `${'x'.repeat(499)}\u{1f600}`],
    ])('a reason that is %s keeps no cancel from being done, by RPC and by message', async (_case, reason, kept) => {
      const order = [{ product_id: await aProduct(10), quantity: 1 }];
      const place = async () => (await ask(rpcs.orderCreate.queue, { order_id: uuidv7(), user_id: 'CUST-rpc', order })).order_id;
      const [one, two] = [await place(), await place()];
      expect(await ask(rpcs.orderStatusUpdate.queue, { order_id: one, status: 'CANCELLED', reason })).toMatchObject({
        ...{ status: 'SUCCESS', order_status: 'CANCELLED', message: kept },
      });
      void send(queues.orderUpdateCommands, { order_id: two, status: 'CANCELLED', reason });
      await eventually(async () => (await ask(rpcs.orderStatus.queue, { order_id: two })).message === kept);
    });

    it('while an update is under way a fulfilment is refused as that by RPC, and tried again by message (S3.2)', async () => {
      const product = await aProduct(10);
      const body = { order_id: uuidv7(), user_id: 'CUST-rpc', order: [{ product_id: product, quantity: 1 }] };
      const orderId = String((await ask(rpcs.orderCreate.queue, body)).order_id);
      await settled(orderId);
      const input = `{ orderId: "${orderId}", items: [{ productId: ${product}, quantity: 2 }] }`;
      let updated: Promise<unknown> = Promise.resolve();
      // Whoever holds the row keeps inventory waiting.
      await house.database.$transaction(
        async (tx) => {
          await tx.$queryRaw`SELECT FROM inventory.stock WHERE product_id = ${product} FOR UPDATE`;
          updated = house.ask(`mutation { updateOrder(input: ${input}) { __typename } }`);
          await eventually(async () => (await house.database.amendment.count({ where: { orderId, status: 'PENDING' } })) === 1);
          expect(await ask(rpcs.orderStatusUpdate.queue, { order_id: orderId, status: 'FULFILLED' })).toMatchObject({
            ...{ status: 'FAILED', code: 'UPDATE_UNDER_WAY', order_status: 'CONFIRMED' },
          });
          void send(queues.orderUpdateCommands, { order_id: orderId, status: 'FULFILLED' });
          const retries = async () =>
            (await house.ground.metrics.messagesProcessed.get()).values.some(
              ({ labels }) => labels.queue === queues.orderUpdateCommands && labels.outcome === 'retry',
            );
          await eventually(retries);
        },
        { timeout: 30_000 },
      );
      await updated;
      const row = () => house.database.order.findUniqueOrThrow({ where: { id: orderId }, include: { items: true } });
      await eventually(async () => (await row()).status === 'FULFILLED', 30_000);
      expect((await row()).items).toMatchObject([{ quantity: 2 }]);
    });

    it('stock is checked line by line, and set once however often that is asked (S3.5)', async () => {
      const product = await aProduct(5);
      const check = (...items: object[]) => ask(rpcs.stockCheck.queue, { items });
      expect(await check({ product_id: product, quantity: 5 })).toEqual({
        status: 'SUCCESS',
        items: [{ product_id: product, requested: 5, available: 5 }],
      });
      const twice = { product_id: product, quantity: 3 };
      expect(await check(twice, twice, { product_id: 999_999 })).toEqual({
        status: 'FAILED',
        items: [
          { product_id: product, requested: 6, available: 5, code: 'INSUFFICIENT_STOCK' },
          { product_id: 999_999, requested: 1, available: 0, code: 'UNKNOWN_PRODUCT' },
        ],
      });
      const count = { product_id: product, on_hand: 9, compare_on_hand: 5, reason: 'CORRECTION' };
      expect(await ask(rpcs.stockUpdate.queue, count)).toMatchObject({ status: 'SUCCESS', on_hand: 9, available: 9 });
      expect(await ask(rpcs.stockUpdate.queue, count)).toMatchObject({ status: 'FAILED', code: 'STOCK_MOVED', on_hand: 9 });
    });

    async function aPayer(balance: number): Promise<string> {
      const customerId = `CUST-${uuidv7()}`;
      const input = `{ customerId: "${customerId}", amount: ${balance}, reference: "first" }`;
      if (balance > 0) await house.ask(`mutation { deposit(input: ${input}) { __typename } }`);
      return customerId;
    }
    const check = (user_id: unknown, amount?: unknown) => ask(rpcs.userCheck.queue, { user_id, amount });

    it('a customer is checked: the balance, and whether it would pay an amount, of which nothing is taken (S3.5)', async () => {
      const payer = await aPayer(500);
      const standing = { user_id: payer, balance: 500, currency: 'EUR' };
      expect(await check(payer)).toEqual({ status: 'SUCCESS', ...standing, message: 'The balance is 5.00 EUR.' });
      expect(await check(payer, 500)).toMatchObject({ status: 'SUCCESS', ...standing });
      expect(await check(payer, 501)).toEqual({
        ...{ status: 'FAILED', ...standing, code: 'INSUFFICIENT_FUNDS' },
        message: 'Insufficient funds: the balance is 5.00 EUR, the order costs 5.01',
      });
      const nobody = await aPayer(0);
      const refused = { status: 'FAILED', user_id: nobody, code: 'NO_ACCOUNT', message: 'The customer has no account' };
      expect(await check(nobody)).toEqual(refused);
      for (const amount of [-1, 0.5, '5', 2 ** 53])
        expect(await check(payer, amount)).toMatchObject({ error: { code: 'BAD_REQUEST' } });
      for (const user of ['', 7, 'a\u0000']) expect(await check(user)).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    });

    it('payment.process tells how a payment stands, on the fan-out and the topic of accounts, and takes nothing twice (S3.2, S3.3, S3.4)', async () => {
      const hear = async (exchange: string, key: string) => {
        const { name, heard } = await anAsker();
        await broker.declare({ exchanges: [], queues: [], bindings: [{ exchange, key, to: { queue: name } }] });
        return (orderId: unknown) => heard.map(({ body }) => body).filter((body) => body.order_id === orderId);
      };
      const onFanout = await hear(exchanges.accountEvents, '');
      const onTopic = await hear(exchanges.accounts, 'payment.*');
      const payer = await aPayer(1_000);
      const order = [{ product_id: await aProduct(10), quantity: 2 }];
      const place = async (payment: string) => {
        const placed = await ask(rpcs.orderCreate.queue, { order_id: uuidv7(), user_id: payer, order, payment });
        expect(await settled(placed.order_id)).toMatchObject({ status: 'SUCCESS' });
        return placed.order_id;
      };
      const paid = await place('BALANCE');
      const free = await place('NONE');
      for (const order_id of [paid, free]) await send(queues.paymentCommands, { order_id, user_id: payer, amount: 1 });
      const captured = { event: 'PaymentCaptured', order_id: paid, customer_id: payer, amount: 500, currency: 'EUR' };
      for (const heard of [onFanout, onTopic]) {
        await eventually(() => heard(paid).length === 2 && heard(free).length === 1);
        expect(heard(paid)).toEqual([captured, captured]);
        expect(heard(free)).toEqual([{ event: 'PaymentUnknown', order_id: free }]);
      }
      expect(await check(payer)).toMatchObject({ balance: 500 });
    });

    it('commands on the default exchange place, fulfil and cancel orders, and answer nobody (S3.2)', async () => {
      const product = await aProduct(10);
      const place = async () => {
        const reference = uuidv7();
        const order = [{ product_id: product, quantity: 1 }];
        void send(queues.orderCreateCommands, { order_id: reference, user_id: 'CUST-command', order });
        const placed = () => house.database.order.findFirst({ where: { customerId: 'CUST-command', idempotencyKey: reference } });
        return eventually(async () => {
          const row = await placed();
          return row?.status === 'CONFIRMED' ? row.id : undefined;
        });
      };
      const statusOf = async (id: string) => (await house.database.order.findUnique({ where: { id } }))!.status;
      const [one, two] = [await place(), await place()];
      void send(queues.orderUpdateCommands, { order_id: one, status: 'FULFILLED' });
      void send(queues.orderUpdateCommands, { order_id: two, status: 'CANCELLED', reason: 'changed my mind' });
      await eventually(async () => (await statusOf(one)) === 'FULFILLED' && (await statusOf(two)) === 'CANCELLED');
      expect((await house.database.order.findUnique({ where: { id: two } }))!.reasonMessage).toBe('changed my mind');
    });

    it('a command that nobody can carry out is a dead letter with its reason, and the next is carried out (S3.2)', async () => {
      const commands = ['{"order_id":"ORD-none","status":"CANCELLED"}', '{"order_id":"x","status":"LOST"}', 'rubbish'];
      for (const command of commands) void send(queues.orderUpdateCommands, command);
      const reasons = await eventually(async () => {
        const rows = await house.database.deadLetter.findMany({ where: { queue: queues.orderUpdateCommands } });
        return rows.length === 3 ? rows.map(({ reason }) => reason).sort() : undefined;
      });
      expect(reasons).toEqual([
        expect.stringMatching(/^Not a valid OrderChangeRequested: status: /),
        expect.stringMatching(/^The body is not JSON/),
        'There is no order ORD-none.',
      ]);
    });

    it('the gateway tells what can be ordered', async () => {
      const product = await aProduct(4);
      expect(await house.ask(`{ stockAvailability(productIds: [${product}, 999999]) { productId available forSale } }`)).toEqual({
        stockAvailability: [
          { productId: product, available: 4, forSale: true },
          { productId: 999_999, available: 0, forSale: false },
        ],
      });
    });
  });
});
