import {
  credentials,
  type Client,
  makeGenericClientConstructor,
  Metadata,
  status as codes,
  type ServiceError,
} from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';

import { orderStatus } from '../../src/contracts';
import { grpcServices, readGrpcDetails, startGrpcServer } from '../../src/gateway';
import { type GrpcMethod, type GrpcRequest } from '../../src/grpc';
import { identitySettings, signToken } from '../../src/identity';
import { runProgram } from '../scripts/program';
import { aHouse, type House } from '../support/aHouse';
import { eventually, oneOfThree } from '../support/eventually';

/** The gRPC door: its methods, its refusals, its streams, its health. */
let house: House;
let orders: Client;
let inventory: Client;
let productId: number;
let authorization: string;

beforeAll(async () => {
  // As the test of a stop needs it: what waits for calls under way is told from what does not.
  house = await aHouse({ config: { DRAIN_SECONDS: '60' } });
  ({ authorization } = await house.as({ role: 'service', name: 'grpc' }));
  orders = clientOf('holdfast.v1.Orders');
  inventory = clientOf('holdfast.v1.Inventory');
  const data = await house.ask<{ createProduct: { id: number } }>(
    `mutation { createProduct(input: { sku: "MOUSE", name: "Mouse", price: 100, onHand: 50 }) { ... on Product { id } } }`,
  );
  productId = data.createProduct.id;
});
afterAll(async () => {
  [orders, inventory].forEach((client) => client.close());
  await house.drop();
});

function clientOf(service: string, target = house.grpcTarget!): Client {
  return new (makeGenericClientConstructor(grpcServices()[service]!, service))(target, credentials.createInsecure());
}

interface Answered<T> {
  value?: T;
  error?: ServiceError;
  requestId?: string;
}

type Order = { id: string; status: string; version: number; items: object[]; total: object | null; reason: object | null };

function login(): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', authorization);
  return metadata;
}

/** Calls a method and gives what came back. */
function call<T>(client: Client, method: string, message: object, metadata: Record<string, string> = {}, deadlineMs = 20_000) {
  const given = login();
  for (const [name, value] of Object.entries(metadata)) given.set(name, value);
  return new Promise<Answered<T>>((resolve) => {
    let requestId: string | undefined;
    const methods = client as unknown as Record<
      string,
      (...given: unknown[]) => { on: (event: string, heard: (metadata: Metadata) => void) => void }
    >;
    const answer = (error: ServiceError | null, value?: T) => resolve({ error: error ?? undefined, value, requestId });
    const under = methods[method]!(message, given, { deadline: Date.now() + deadlineMs }, answer);
    under.on('metadata', (sent) => (requestId = sent.get('x-request-id')[0]?.toString()));
  });
}

const place = (more: object = {}, metadata?: Record<string, string>) =>
  call<{ order: Order; repeated: boolean }>(orders, 'PlaceOrder', { ...anOrder(), ...more }, metadata);
const anOrder = () => ({ customerId: 'CUST-grpc', items: [{ sku: 'MOUSE', quantity: 2 }] });
const update = (orderId: string, quantity: number, more: object = {}) =>
  call<{ order: Order; underWay: boolean }>(orders, 'UpdateOrder', { orderId, items: [{ productId, quantity }], ...more });
const confirmed = async () => {
  const { id } = (await place()).value!.order;
  await eventually(
    async () => (await call<Order>(orders, 'GetOrder', { orderId: id })).value!.status === 'ORDER_STATUS_CONFIRMED',
  );
  return id;
};
const countOrders = () => house.database.order.count();
const detailsOf = (error: ServiceError) => readGrpcDetails(error.metadata.get('grpc-status-details-bin')[0] as Buffer);

describe('orders', () => {
  it('places an order, moves only the difference at an update, and says why not when stock is short (S0.1, S0.6)', async () => {
    const placed = (await place()).value!;
    expect(placed).toMatchObject({
      repeated: false,
      order: { status: 'ORDER_STATUS_PENDING', total: null, items: [{ productId, quantity: 2 }] },
    });
    const id = await confirmed();
    const stockOf = async () => (await call<{ reserved: number }>(inventory, 'GetProduct', { productId })).value!.reserved;
    const before = await stockOf();
    const more = (await update(id, 5)).value!;
    expect(more).toMatchObject({
      underWay: false,
      order: { status: 'ORDER_STATUS_CONFIRMED', version: 3, total: { minorUnits: 500, currency: 'EUR' } },
    });
    expect(await stockOf()).toBe(before + 3);
    const { error } = await update(id, 99);
    expect(codes[error!.code]).toBe('FAILED_PRECONDITION');
    expect(detailsOf(error!)).toMatchObject({
      ErrorInfo: { reason: 'INSUFFICIENT_STOCK', domain: 'holdfast', metadata: { orderId: id } },
      PreconditionFailure: { violations: [{ type: 'INSUFFICIENT_STOCK', subject: `product ${productId}` }] },
    });
    expect(await stockOf()).toBe(before + 3);
    expect((await call<Order>(orders, 'CancelOrder', { orderId: id, message: 'changed my mind' })).value).toMatchObject({
      ...{ status: 'ORDER_STATUS_CANCELLED', reason: { code: 'REQUESTED', message: 'changed my mind' } },
    });
    expect((await update(id, 1)).error).toMatchObject({ code: codes.FAILED_PRECONDITION });
  });

  it('ten times at once with one key is one order; the key with other lines exists already', async () => {
    const before = await countOrders();
    const answers = await Promise.all(Array.from({ length: 10 }, () => place({}, { 'idempotency-key': 'grpc-1' })));
    expect(new Set(answers.map(({ value }) => value!.order.id)).size).toBe(1);
    expect(answers.filter(({ value }) => value!.repeated)).toHaveLength(9);
    expect(await countOrders()).toBe(before + 1);
    const other = await place({ items: [{ productId, quantity: 7 }], idempotencyKey: 'grpc-1' });
    expect([codes[other.error!.code], detailsOf(other.error!).ErrorInfo!.reason]).toEqual([
      'ALREADY_EXISTS',
      'IDEMPOTENCY_CONFLICT',
    ]);
  });

  it('carries the correlation id into the events, and quotes the request id', async () => {
    const { value, requestId } = await place({}, { 'x-request-id': 'r-1', 'x-correlation-id': 'conversation-1' });
    expect(requestId).toBe('r-1');
    const row = await house.database.order.findUnique({ where: { id: value!.order.id } });
    expect(row!.correlationId).toBe('conversation-1');
  });

  it('cancels whatever the reason, which ends with a whole character', async () => {
    const { id } = (await place()).value!.order;
    const message = `${'x'.repeat(499)}\u{1f600}!`;
    expect((await call<Order>(orders, 'CancelOrder', { orderId: id, message })).value).toMatchObject({
      ...{ status: 'ORDER_STATUS_CANCELLED', reason: { message: `${'x'.repeat(499)}\u{1f600}` } },
    });
  });

  it('knows a word for every status', () => {
    const proto = readFileSync(join(__dirname, '../../proto/holdfast/v1/orders.proto'), 'utf8');
    const words = [...proto.matchAll(/^ +(ORDER_STATUS_\w+) = \d+;$/gm)].map((match) => match[1]!);
    expect(words.sort()).toEqual(['UNSPECIFIED', ...orderStatus.options].map((status) => `ORDER_STATUS_${status}`).sort());
  });

  it('answers before the deadline how things stand, when inventory says nothing', async () => {
    const id = await confirmed();
    const asked = { orderId: id, items: [{ productId, quantity: 3 }] };
    // Whoever holds the row keeps inventory waiting.
    await house.database.$transaction(
      async (tx) => {
        await tx.$queryRaw`SELECT FROM inventory.stock WHERE product_id = ${productId} FOR UPDATE`;
        // The answer has a tenth of a second to come; whoever misses it asks again, and asked for twice it is one change.
        const answeredWithin = (deadlineMs: number) =>
          oneOfThree(async () => {
            const { value } = await call<{ underWay: boolean }>(orders, 'UpdateOrder', asked, {}, deadlineMs);
            expect(value).toMatchObject({ underWay: true, order: { id, version: 2 } });
          });
        await answeredWithin(1_000);
        await answeredWithin(500);
        // Asked for otherwise it must wait.
        expect(codes[(await update(id, 4)).error!.code]).toBe('ABORTED');
      },
      { timeout: 30_000 },
    );
    expect((await update(id, 3)).value).toMatchObject({ order: { version: 3 }, underWay: false });
  });
});

describe('WatchOrder', () => {
  interface Watching extends AsyncIterable<Order> {
    cancel(): void;
    on(event: 'error', heard: (error: ServiceError) => void): void;
    on(event: 'data', heard: (order: Order) => void): void;
  }
  const watch = (orderId: string, metadata = login(), client = orders): Watching =>
    (client as unknown as { WatchOrder: (message: object, metadata: Metadata) => Watching }).WatchOrder({ orderId }, metadata);

  it('sends the order at once and at each change, and ends when it is final', async () => {
    const id = await confirmed();
    const seen: [string, number][] = [];
    for await (const { status, version } of watch(id)) {
      seen.push([status.replace('ORDER_STATUS_', ''), version]);
      if (version === 2) void update(id, 3);
      if (version === 3) void call(orders, 'CancelOrder', { orderId: id });
    }
    expect(seen).toEqual([
      ['CONFIRMED', 2],
      ['CONFIRMED', 3],
      ['CANCELLED', 4],
    ]);
  });

  it('200 at once are each told, and end with their clients', async () => {
    const id = await confirmed();
    const versions = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const stream = watch(id);
        stream.on('error', () => undefined);
        return new Promise<number>((resolve) => stream.on('data', ({ version }: Order) => (stream.cancel(), resolve(version))));
      }),
    );
    expect(new Set(versions)).toEqual(new Set([2]));
  });

  it('ends with the token that it was called with', async () => {
    const id = await confirmed();
    const shortLived = await signToken(identitySettings(house.ground.config)!, { role: 'operator', name: 'watcher' }, 2);
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${shortLived}`);
    const ended = await new Promise<ServiceError>((resolve) => {
      const stream = watch(id, metadata);
      stream.on('data', () => undefined);
      stream.on('error', resolve);
    });
    expect([codes[ended.code], ended.details]).toEqual(['UNAUTHENTICATED', expect.stringContaining('expired')]);
  });

  it('is for so many at a time of one customer, and for as many as they like of those who run the shop', async () => {
    async function* answers({ signal }: GrpcRequest<object>) {
      yield { id: 'ORD-1' };
      await once(signal, 'abort');
    }
    const server = await aServer([
      { service: 'holdfast.v1.Orders', name: 'WatchOrder', access: 'known', kind: 'stream', answers },
    ]);
    const client = clientOf('holdfast.v1.Orders', server.target);
    const customer = new Metadata();
    customer.set('authorization', (await house.as({ role: 'customer', customerId: 'CUST-watch' })).authorization);
    const begin = (metadata: Metadata) => {
      const stream = watch('ORD-1', metadata, client);
      const said = new Promise<string>((resolve) => {
        stream.on('data', () => resolve('told'));
        stream.on('error', ({ code }) => resolve(codes[code]));
      });
      return { stream, said };
    };
    const first = begin(customer);
    expect([await first.said, await begin(customer).said]).toEqual(['told', 'told']);
    expect(await begin(customer).said).toBe('RESOURCE_EXHAUSTED');
    expect(await Promise.all([1, 2, 3].map(() => begin(login()).said))).toEqual(['told', 'told', 'told']);
    first.stream.cancel();
    await eventually(async () => (await begin(customer).said) === 'told');
    client.close();
    await server.close();
  });

  it('of nobody’s order is NOT_FOUND', async () => {
    const failed = await new Promise<ServiceError>((resolve) => watch('ORD-nobody').on('error', resolve));
    expect([codes[failed.code], detailsOf(failed).ErrorInfo!.reason]).toEqual(['NOT_FOUND', 'UNKNOWN_ORDER']);
  });
});

describe('refuses with the status of gRPC and the field, with nothing written', () => {
  const items = (...lines: object[]) => ({ items: lines });
  it.each<[string, () => Promise<Answered<unknown>>, string, string]>([
    ['quantity 0', () => place(items({ productId, quantity: 0 })), 'INVALID_ARGUMENT', 'items.0.quantity'],
    ['a negative quantity', () => place(items({ productId, quantity: -3 })), 'INVALID_ARGUMENT', 'items.0.quantity'],
    // On the wire it is -2^31: an int32 holds no more.
    ['a quantity of 2^31', () => place(items({ productId, quantity: 2 ** 31 })), 'INVALID_ARGUMENT', 'items.0.quantity'],
    ['no items', () => place(items()), 'INVALID_ARGUMENT', 'items'],
    [
      '1,000 items',
      () => place(items(...Array.from({ length: 1_000 }, () => ({ productId, quantity: 1 })))),
      'INVALID_ARGUMENT',
      'items',
    ],
    ['no customer', () => place({ customerId: undefined }), 'INVALID_ARGUMENT', 'customerId'],
    ['a customer with NUL', () => place({ customerId: 'a\u0000b' }), 'INVALID_ARGUMENT', 'customerId'],
    ['a customer of 10,000 characters', () => place({ customerId: 'x'.repeat(10_000) }), 'INVALID_ARGUMENT', 'customerId'],
    ['a key of 201 characters', () => place({ idempotencyKey: 'k'.repeat(201) }), 'INVALID_ARGUMENT', 'idempotencyKey'],
    ['metadata that are no key', () => place({}, { 'idempotency-key': 'a b' }), 'INVALID_ARGUMENT', 'Idempotency-Key'],
    ['a product by neither id nor sku', () => place(items({ quantity: 1 })), 'INVALID_ARGUMENT', 'items.0'],
    ['an unknown sku', () => place(items({ sku: 'NO-SUCH', quantity: 1 })), 'INVALID_ARGUMENT', 'items.0.sku'],
    ['a sku with NUL', () => place(items({ sku: 'NO\u0000', quantity: 1 })), 'INVALID_ARGUMENT', 'items.0.sku'],
    ['an update with a negative quantity', () => update('ORD-nobody', -1), 'INVALID_ARGUMENT', 'items.0.quantity'],
    [
      'an update that names a product twice',
      async () => update(await confirmed(), 1, items(...[1, 2].map((quantity) => ({ productId, quantity })))),
      'INVALID_ARGUMENT',
      'items',
    ],
    ['an update of an old version', async () => update(await confirmed(), 1, { expectedVersion: 1 }), 'ABORTED', ''],
    ['an update of nobody’s order', () => update('ORD-nobody', 1), 'NOT_FOUND', ''],
    ['a cancel of nobody’s order', () => call(orders, 'CancelOrder', { orderId: 'ORD-nobody' }), 'NOT_FOUND', ''],
    ['an order that is nobody’s', () => call(orders, 'GetOrder', { orderId: 'ORD-nobody' }), 'NOT_FOUND', ''],
    ['an id with NUL', () => call(orders, 'GetOrder', { orderId: 'a\u0000b' }), 'INVALID_ARGUMENT', ''],
    ['a product that is nobody’s', () => call(inventory, 'GetProduct', { sku: 'NO-SUCH' }), 'NOT_FOUND', ''],
    ['no product at all', () => call(inventory, 'GetProduct', {}), 'INVALID_ARGUMENT', 'product'],
    ['a page of 1,001', () => call(inventory, 'ListProducts', { pageSize: 1_001 }), 'INVALID_ARGUMENT', 'pageSize'],
    ['a page after nothing', () => call(inventory, 'ListProducts', { pageToken: 'x' }), 'INVALID_ARGUMENT', 'pageToken'],
  ])('%s', async (_case, ask, status, field) => {
    const { error, requestId } = await ask();
    expect(codes[error!.code]).toBe(status);
    const { ErrorInfo, RequestInfo, BadRequest } = detailsOf(error!);
    expect([ErrorInfo!.domain, RequestInfo!.requestId]).toEqual(['holdfast', requestId ?? RequestInfo!.requestId]);
    if (field) expect((BadRequest!.fieldViolations as { field: string }[]).map((fault) => fault.field)).toContain(field);
    expect(JSON.stringify([error!.details, BadRequest])).not.toMatch(/select|insert|prisma|at .*\.ts/i);
  });

  const long = 'ORD-'.padEnd(40_000, 'x');
  const strange = 'ORD-'.padEnd(40_000, '\u{1f600}');
  const unknownSkus = Array.from({ length: 10_000 }, (_, index) => ({ sku: String(index), quantity: 1 }));
  const longSkus = unknownSkus.slice(0, 100).map(({ sku }) => ({ sku: sku.padEnd(100, '\u00e4'), quantity: 1 }));
  const watchOnce = (orderId: string) =>
    new Promise<Answered<unknown>>((resolve) => {
      const stream = orders as unknown as { WatchOrder: (message: object, metadata: Metadata) => NodeJS.EventEmitter };
      stream.WatchOrder({ orderId }, login()).on('error', (error: ServiceError) => resolve({ error }));
    });
  // What a server cannot put into headers holds up the whole connection; what a client does not take of them is no answer.
  it.each<[string, () => Promise<Answered<unknown>>, string]>([
    ['a cancel of an id of 40 KB', () => call(orders, 'CancelOrder', { orderId: long }), 'NOT_FOUND'],
    ['a cancel of an id of 20,000 emojis', () => call(orders, 'CancelOrder', { orderId: strange }), 'NOT_FOUND'],
    ['an order with an id of 40 KB', () => call(orders, 'GetOrder', { orderId: long }), 'NOT_FOUND'],
    ['a watch of an id of 40 KB', () => watchOnce(long), 'NOT_FOUND'],
    ['an update of an id of 40 KB', () => update(long, 1), 'INVALID_ARGUMENT'],
    ['10,000 unknown skus', () => place(items(...unknownSkus)), 'INVALID_ARGUMENT'],
    ['100 long unknown skus', () => place(items(...longSkus)), 'INVALID_ARGUMENT'],
    ['a payment of 40 KB', () => place({ payment: long }), 'INVALID_ARGUMENT'],
    ['a key of 40 KB', () => place({ idempotencyKey: strange }), 'INVALID_ARGUMENT'],
  ])('%s: in few words, at once, and its neighbour on the connection is served', async (_case, ask, status) => {
    const error = await oneOfThree(async () => {
      const startedAt = performance.now();
      const [{ error }, neighbour] = await Promise.all([ask(), call<Order>(orders, 'GetOrder', { orderId: 'ORD-nobody' })]);
      expect([codes[error!.code], codes[neighbour.error!.code]]).toEqual([status, 'NOT_FOUND']);
      expect(performance.now() - startedAt).toBeLessThan(5_000);
      return error;
    });
    const headers = Object.entries(error!.metadata.toHttp2Headers()).map(([name, value]) => `${name}: ${String(value)}`);
    expect(`grpc-message: ${encodeURI(error!.details)}${headers.join('')}`.length).toBeLessThan(8_000);
  });

  it('says how many of the faults its details name', async () => {
    const { error } = await place(items(...longSkus));
    const { fieldViolations } = detailsOf(error!).BadRequest as { fieldViolations: object[] };
    expect(fieldViolations.length).toBeGreaterThan(5);
    expect(error!.details).toMatch(/^The input was refused\. items\.0\.sku: /);
    expect(error!.details).toMatch(new RegExp(` Of 100 faults the details name the first ${fieldViolations.length}\\.$`));
    expect(detailsOf(error!).ErrorInfo!.reason).toBe('VALIDATION_FAILED');
  });

  const raw = (path: string, bytes: Buffer) =>
    new Promise<ServiceError | null>((resolve) => {
      const same = (given: Buffer) => given;
      orders.makeUnaryRequest(path, same, same, bytes, (error) => resolve(error));
    });
  it.each<[string, string, Buffer, string]>([
    ['bytes that are no message', '/holdfast.v1.Orders/PlaceOrder', Buffer.from([0x0a, 0xff, 0xff]), 'INTERNAL'],
    ['a message of 10 MiB', '/holdfast.v1.Orders/PlaceOrder', Buffer.alloc(10 * 1024 * 1024), 'RESOURCE_EXHAUSTED'],
    ['a method that is not there', '/holdfast.v1.Orders/Nothing', Buffer.alloc(0), 'UNIMPLEMENTED'],
  ])('%s', async (_case, path, bytes, status) => {
    const before = await countOrders();
    const error = await raw(path, bytes);
    expect(codes[error!.code]).toBe(status);
    expect(error!.details).not.toMatch(/at .*\.ts/);
    expect(await countOrders()).toBe(before);
  });

  it('a deadline that has passed: DEADLINE_EXCEEDED, and the next call is served', async () => {
    const { error } = await call(orders, 'GetOrder', { orderId: 'ORD-nobody' }, {}, -1);
    expect(codes[error!.code]).toBe('DEADLINE_EXCEEDED');
    expect((await place()).error).toBeUndefined();
  });

  it('a call without a deadline that is never answered: DEADLINE_EXCEEDED at our own limit, and the next call is served', async () => {
    const [never, atOnce] = [new Promise<never>(() => undefined), Promise.resolve({ id: 'ORD-1' })];
    const answer = ({ message: { orderId } }: GrpcRequest<{ orderId: string }>) => (orderId === 'ORD-slow' ? never : atOnce);
    const slow: GrpcMethod = { service: 'holdfast.v1.Orders', name: 'GetOrder', access: 'anyone', kind: 'unary', answer };
    const server = await aServer([slow], { answerLimitMs: 300 });
    const client = clientOf('holdfast.v1.Orders', server.target);
    const { error } = await call(client, 'GetOrder', { orderId: 'ORD-slow' }, {}, Infinity);
    expect(codes[error!.code]).toBe('DEADLINE_EXCEEDED');
    expect(error!.details).toMatch(/^There is no answer after 0.3 s/);
    expect(detailsOf(error!)).toMatchObject({
      ErrorInfo: { reason: 'SERVICE_UNAVAILABLE' },
      RetryInfo: { retryDelay: { seconds: 1 } },
    });
    expect((await call<Order>(client, 'GetOrder', { orderId: 'ORD-1' })).value!.id).toBe('ORD-1');
    client.close();
    await server.close();
  });

  it.each<[string, Buffer]>([
    ['whose request does not come', Buffer.alloc(0)],
    ['of which half a request comes', Buffer.from([0, 0, 0, 0, 9, 1])],
    ['that sends its request and never says that this was all', Buffer.from([0, 0, 0, 0, 0])],
  ])('a call %s: DEADLINE_EXCEEDED', async (_case, bytes) => {
    const server = await aServer([]);
    const session = connect(`http://${server.target}`);
    const stream = session.request({
      ...{ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers' },
    });
    stream.write(bytes);
    const told = await Promise.race([once(stream, 'response'), once(stream, 'trailers')]);
    expect(told[0]).toMatchObject({ 'grpc-status': String(codes.DEADLINE_EXCEEDED) });
    session.destroy();
    await server.close();
  });

  it('a fault of ours is masked, with the request id to quote', async () => {
    const faulty = async () => Promise.reject(new Error('secret words'));
    const server = await aServer([
      { service: 'holdfast.v1.Orders', name: 'GetOrder', access: 'anyone', kind: 'unary', answer: faulty },
    ]);
    const client = clientOf('holdfast.v1.Orders', server.target);
    const { error } = await call(client, 'GetOrder', { orderId: 'ORD-1' }, { 'x-request-id': 'quote-me' });
    expect(codes[error!.code]).toBe('INTERNAL');
    expect(error!.details).toContain('quote-me');
    expect(JSON.stringify(detailsOf(error!))).not.toContain('secret');
    client.close();
    await server.close();
  });
});

/** A door alone, without a house behind it. */
function aServer(methods: GrpcMethod[], { port = 0, answerLimitMs = 30_000 } = {}) {
  const { health, identity, log } = house.ground;
  const limits = {
    messageLimitBytes: 1_024,
    closeLimitMs: 1_000,
    answerLimitMs,
    receiveLimitMs: 1_000,
    streamsPerCustomerMax: 2,
  };
  return startGrpcServer({ methods, port, host: '127.0.0.1', health, identity, log, ...limits });
}

it('lists products in pages, each naming the next', async () => {
  const seen: number[] = [];
  let pageToken = '';
  do {
    const { value } = await call<{ products: { id: number }[]; nextPageToken: string }>(inventory, 'ListProducts', {
      pageSize: 1,
      pageToken,
    });
    seen.push(...value!.products.map(({ id }) => id));
    pageToken = value!.nextPageToken;
  } while (pageToken !== '');
  expect(seen).toEqual([productId]);
});

describe('npm run grpc', () => {
  const HOLDFAST_TOKEN = () => authorization.replace('Bearer ', '');
  const run = (...args: string[]) =>
    runProgram('scripts/grpcClient.ts', ['--target', house.grpcTarget!, ...args], { HOLDFAST_TOKEN: HOLDFAST_TOKEN() });

  it('drives place and update, a line a step, and ends with 0; --json is one object a line (S0.5)', async () => {
    const [table, json] = await Promise.all([run('--quantity', '2', '--to', '3'), run('--json', '--cancel')]);
    expect([table.code, table.stderr]).toEqual([0, '']);
    expect(table.stdout).toMatch(
      /^order ORD-\S+\n\nPlaceOrder +OK .*\nWatchOrder +OK .* CONFIRMED .*\nUpdateOrder +OK .* 3 +300 EUR .*\nGetOrder +OK/,
    );
    const steps = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { call: string; outcome: string; status: string });
    expect(steps.map(({ call, outcome, status }) => [call, outcome, status].join(' '))).toEqual([
      ...['PlaceOrder OK PENDING', 'WatchOrder OK CONFIRMED', 'UpdateOrder OK CONFIRMED', 'GetOrder OK CONFIRMED'],
      'CancelOrder OK CANCELLED',
    ]);
  });

  it('ends with 1 when a step is refused, 64 for wrong options, 69 when nothing answers', async () => {
    const [refused, wrong, away] = await Promise.all([
      run('--to', '9999'),
      run('--quantity', 'two'),
      runProgram('scripts/grpcClient.ts', ['--target', '127.0.0.1:1'], {}),
    ]);
    expect(refused.stdout).toMatch(/UpdateOrder +FAILED_PRECONDITION .*Insufficient stock/);
    expect([refused.code, wrong.code, away.code]).toEqual([1, 64, 69]);
  });
});

it('grpc.health.v1 tells whether it serves, service by service', async () => {
  const client = new (makeGenericClientConstructor(healthService, 'Health'))(house.grpcTarget!, credentials.createInsecure());
  const check = async (service: string) => (await call<{ status: string }>(client, 'check', { service })).value?.status;
  expect([await check(''), await check('holdfast.v1.Orders'), await check('nothing')]).toEqual(['SERVING', 'SERVING', undefined]);
  house.ground.health.register('a test', () => Promise.resolve({ ok: false, detail: 'down' }));
  await eventually(async () => (await check('')) === 'NOT_SERVING', 10_000);
  client.close();
});

it('a port that is taken is named, with the setting to change', async () => {
  const port = Number(house.grpcTarget!.split(':')[1]);
  await expect(aServer([], { port })).rejects.toThrow(
    `Port ${port} on 127.0.0.1 is in use: stop the program that holds it, or set GRPC_PORT`,
  );
});

it('a stop ends streams with UNAVAILABLE, and does not wait for who watches the health', async () => {
  const id = await confirmed();
  const health = new (makeGenericClientConstructor(healthService, 'Health'))(house.grpcTarget!, credentials.createInsecure());
  const watching = (health as unknown as { watch: (message: object) => NodeJS.EventEmitter }).watch({ service: '' });
  watching.on('error', () => undefined).on('data', () => undefined);
  const stream = (orders as unknown as { WatchOrder: (message: object, metadata: Metadata) => NodeJS.EventEmitter }).WatchOrder(
    { orderId: id },
    login(),
  );
  const ended = new Promise<ServiceError>((resolve) => stream.on('error', resolve));
  await new Promise((resolve) => stream.on('data', resolve));
  const startedAt = performance.now();
  await house.stop();
  expect(codes[(await ended).code]).toBe('UNAVAILABLE');
  // Less than it waits for calls under way.
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  health.close();
});
