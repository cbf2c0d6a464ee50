import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';

import { identitySettings, signToken, type Caller } from '../../src/identity';
import { aHouse, type House } from '../support/aHouse';
import { aSubscriber, type Heard, type Subscriber } from '../support/aSubscriber';
import { eventually, oneOfThree } from '../support/eventually';

/** Subscriptions at one gateway: what is told, to whom, and within which limits. */
interface Change {
  orderChanged: {
    cursor: string;
    step: { cursor: string; version: number; event: string };
    order: { id: string; customerId: string; status: string; version: number };
  };
}
const changes = `subscription ($id: ID, $customerId: String, $after: String) {
  orderChanged(id: $id, customerId: $customerId, after: $after) {
    cursor step { cursor version event } order { id customerId status version }
  }
}`;
const config = {
  // For events that are large.
  GRAPHQL_ALIASES_MAX: '200',
  GRAPHQL_REPEATS_MAX: '1000',
  ...{ LIVE_SUBSCRIPTIONS_MAX: '5', LIVE_CONNECTIONS_PER_CUSTOMER_MAX: '2', LIVE_CONNECTIONS_MAX: '12' },
  ...{ LIVE_INIT_TIMEOUT_SECONDS: '10', LIVE_KEEPALIVE_SECONDS: '30' },
};

let house: House;
let subscribers: Subscriber[] = [];
/** Open, as long as a test has them. */
let sockets: WebSocket[] = [];

beforeAll(async () => {
  house = await aHouse({ config });
  for (const sku of ['MUG', 'CUP'])
    await house.ask(`mutation { createProduct(input: { sku: "${sku}", name: "x", price: 100, onHand: 100000 }) { __typename } }`);
});
afterEach(async () => {
  await Promise.all(subscribers.map((subscriber) => subscriber.leave()));
  for (const socket of sockets) socket.terminate();
  [subscribers, sockets] = [[], []];
  await eventually(async () => (await figure('holdfast_live_connections')) === 0);
  await eventually(async () => (await figure('holdfast_live_subscriptions')) === 0);
});
afterAll(() => house.drop());

const operator: Caller = { role: 'operator', name: 'ann' };
const customer = (customerId: string): Caller => ({ role: 'customer', customerId });

function known(subscriber: Subscriber): Subscriber {
  subscribers.push(subscriber);
  return subscriber;
}
const subscriberAs = async (caller: Caller, at = house) => known(aSubscriber(at.url, await at.as(caller)));

/** The sum of a metric over its labels. */
async function figure(name: string, at = house): Promise<number> {
  const { body } = await at.ground.metrics.exposition();
  const lines = body.split('\n').filter((line) => line.startsWith(name) && /^[{ ]/.test(line.slice(name.length)));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

async function place(customerId: string, at = house): Promise<string> {
  const input = `{ customerId: "${customerId}", items: [{ sku: "MUG", quantity: 1 }] }`;
  const { createOrder } = await at.ask<{ createOrder: { id: string } }>(
    `mutation { createOrder(input: ${input}) { ... on Order { id } } }`,
  );
  return createOrder.id;
}
async function confirmed(customerId: string): Promise<string> {
  const id = await place(customerId);
  await eventually(async () => {
    const { order } = await house.ask<{ order: { status: string } }>(`{ order(id: "${id}") { status } }`);
    return order.status === 'CONFIRMED';
  });
  return id;
}
const cancel = (id: string) => house.ask(`mutation { cancelOrder(orderId: "${id}") { __typename } }`);
const versionsOf = (heard: Change[]) => heard.map(({ orderChanged: { step } }) => step.version);
/** Resolves when both steps of a confirmed order were heard. */
const bothStepsOf = (id: string, { data }: Heard<Change>, limitMs?: number) =>
  eventually(() => versionsOf(data.filter(({ orderChanged: { order } }) => order.id === id)).length === 2, limitMs);
/** Who begins from now tells by what it hears alone that it has begun: orders of this customer are placed until all hear of one. */
const haveBegun = (customerId: string, ...heard: Heard<unknown>[]) =>
  eventually(async () => {
    await place(customerId);
    return Promise.all(heard.map((one) => one.atLeast(1, 1_000)));
  });
const fromTheBeginning = Buffer.from('k:step 0').toString('base64url');

describe('orderChanged', () => {
  it('tells every step of an order once and in order, beginning with its latest', async () => {
    const id = await confirmed('CUST-1');
    const heard = (await subscriberAs(operator)).follow<Change>(changes, { id });
    await heard.atLeast(1);
    await cancel(id);
    await heard.atLeast(2);
    expect(heard.data.map(({ orderChanged: { step, order } }) => [step.event, order.id, order.status])).toEqual([
      ['StockReserved', id, 'CONFIRMED'],
      ['CancelOrder', id, 'CANCELLED'],
    ]);
    expect(versionsOf(heard.data)).toEqual([2, 3]);
    expect(heard.errors).toEqual([]);
  });

  it('goes on after a cursor, which the timeline of a query has too', async () => {
    const id = await confirmed('CUST-1');
    const { order } = await house.ask<{ order: { timeline: { cursor: string }[] } }>(
      `{ order(id: "${id}") { timeline { cursor } } }`,
    );
    const subscriber = await subscriberAs(operator);
    const fromTheFirst = subscriber.follow<Change>(changes, { id, after: order.timeline[0]!.cursor });
    expect(versionsOf(await fromTheFirst.atLeast(1))).toEqual([2]);
    const fromTheLast = subscriber.follow<Change>(changes, { id, after: order.timeline[1]!.cursor });
    await cancel(id);
    expect(versionsOf(await fromTheLast.atLeast(1))).toEqual([3]);
    expect(fromTheLast.data[0]!.orderChanged.cursor).toBe(fromTheLast.data[0]!.orderChanged.step.cursor);
  });

  it('a customer hears of its own orders alone, whatever it asks for', async () => {
    const subscriber = await subscriberAs(customer('CUST-own'));
    // The first to begin, as it is to hear nothing.
    const asked = subscriber.follow<Change>(changes, { customerId: 'CUST-other' });
    const mine = subscriber.follow<Change>(changes);
    const all = subscriber.follow<Change>(changes, { after: fromTheBeginning });
    await haveBegun('CUST-own', mine, all);
    const [, own] = await Promise.all([confirmed('CUST-other'), confirmed('CUST-own')]);
    await Promise.all([bothStepsOf(own, mine), bothStepsOf(own, all)]);
    await pause(200);
    for (const { data } of [mine, all])
      expect([...new Set(data.map(({ orderChanged }) => orderChanged.order.customerId))]).toEqual(['CUST-own']);
    expect(asked.data).toEqual([]);
  });

  it('those who run the shop hear of all orders, or of one customer', async () => {
    const subscriber = await subscriberAs({ role: 'service', name: 'front' });
    const all = subscriber.follow<Change>(changes);
    const one = subscriber.follow<Change>(changes, { customerId: 'CUST-b' });
    await haveBegun('CUST-b', all, one);
    const [a, b] = await Promise.all([confirmed('CUST-a'), confirmed('CUST-b')]);
    await Promise.all([bothStepsOf(a, all), bothStepsOf(b, all), bothStepsOf(b, one)]);
    expect(new Set(one.data.map(({ orderChanged }) => orderChanged.order.customerId))).toEqual(new Set(['CUST-b']));
  });

  it.each([
    ['an order that is not there', { id: 'ORD-nobody' }, 'id'],
    ['no cursor at all', { after: 'rubbish' }, 'after'],
    ['a cursor of something else', { after: Buffer.from('k:movement 1').toString('base64url') }, 'after'],
    ['a cursor beyond everything', { after: Buffer.from('k:step 999999999').toString('base64url') }, 'after'],
  ])('%s is refused', async (_name, variables, field) => {
    const heard = (await subscriberAs(operator)).follow<Change>(changes, variables);
    await heard.ended();
    expect(heard.errors.map(({ extensions }) => [extensions.code, extensions.field])).toEqual([['BAD_USER_INPUT', field]]);
    expect(heard.errors[0]!.extensions.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('tells at once: the events wake it', async () => {
    const heard = (await subscriberAs(operator)).follow<Change>(changes, { customerId: 'CUST-quick' });
    await haveBegun('CUST-quick', heard);
    await oneOfThree(async () => {
      await bothStepsOf(await place('CUST-quick'), heard);
      // It has just looked, and if nothing wakes it it looks again in half a second.
      await bothStepsOf(await place('CUST-quick'), heard, 300);
    });
  });

  it('reads what belongs to the order anew for each event, and once for all who hear of it together', async () => {
    const id = await confirmed('CUST-1');
    const query = `subscription { orderChanged(id: "${id}") { order { timeline { version } amendment { status } } } }`;
    const listening = await subscriberAs(operator);
    type Timeline = { orderChanged: { order: { timeline: { version: number }[] } } };
    const heard = [1, 2, 3, 4, 5].map(() => listening.follow<Timeline>(query));
    await Promise.all(heard.map((one) => one.atLeast(1)));
    await cancel(id);
    for (const one of heard) {
      const [, second] = await one.atLeast(2);
      expect(second!.orderChanged.order.timeline.map(({ version }) => version)).toEqual([1, 2, 3]);
    }
  });
});

describe('stockChanged', () => {
  const stock =
    'subscription ($after: String) { stockChanged(skus: ["MUG", "CUP"], after: $after) { cursor product { sku onHand } } }';
  interface Stock {
    stockChanged: { cursor: string; product: { sku: string; onHand: number } };
  }
  const adjust = (sku: string, delta: number) =>
    house.ask(`mutation { adjustStock(input: { sku: "${sku}", delta: ${delta}, reason: CORRECTION }) { __typename } }`);

  it('tells the stock at once, and what it is after it has moved; and goes on after a cursor', async () => {
    const subscriber = await subscriberAs(customer('CUST-1'));
    const heard = subscriber.follow<Stock>(stock);
    const atOnce = await heard.atLeast(2);
    expect(new Set(atOnce.map(({ stockChanged: { product } }) => product.sku))).toEqual(new Set(['MUG', 'CUP']));
    await adjust('CUP', 5);
    await heard.atLeast(3);
    expect(heard.data[2]!.stockChanged.product).toEqual({ sku: 'CUP', onHand: 100_005 });
    heard.stop();
    await adjust('CUP', -5);
    const resumed = subscriber.follow<Stock>(stock, { after: heard.data[2]!.stockChanged.cursor });
    expect((await resumed.atLeast(1))[0]!.stockChanged.product).toEqual({ sku: 'CUP', onHand: 100_000 });
    await pause(200);
    expect(resumed.data).toHaveLength(1);
  });

  it('names no product that is not there', async () => {
    const heard = (await subscriberAs(operator)).follow('subscription { stockChanged(skus: ["NO-SUCH"]) { cursor } }');
    await heard.ended();
    expect(heard.errors[0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'skus' });
  });
});

describe('events', () => {
  const events = `subscription ($after: String, $events: [String!], $orderId: ID) {
    events(after: $after, events: $events, orderId: $orderId) { cursor event orderId version productId kind reservedDelta } }`;
  interface ShopEvent {
    events: { cursor: string; event: string; orderId: string; version: number | null; kind: string | null };
  }

  it('tells the steps of orders and the movements of stock, each once, and goes on after a cursor', async () => {
    const subscriber = await subscriberAs(operator);
    const heard = subscriber.follow<ShopEvent>(events);
    await haveBegun('CUST-e', heard);
    const id = await confirmed('CUST-e');
    const about = () => heard.data.map(({ events: event }) => event).filter((event) => event.orderId === id);
    await eventually(() => about().length === 3);
    expect(
      about()
        .map(({ event, kind, version }) => event + (kind ?? version))
        .sort(),
    ).toEqual([...['OrderCreated1', 'StockMovedRESERVE', 'StockReserved2']]);
    const [first] = about();
    const resumed = subscriber.follow<ShopEvent>(events, { orderId: id, after: first!.cursor });
    // Steps and movements are two tables: each is told in its order, and which of the two comes first is nobody's promise.
    const kindsOf = (told: ShopEvent['events'][]) => told.map(({ event, kind, version }) => event + (kind ?? version)).sort();
    expect(kindsOf((await resumed.atLeast(2)).map(({ events: event }) => event))).toEqual(kindsOf(about().slice(1)));
    const some = subscriber.follow<ShopEvent>(events, { events: ['CancelOrder'], after: first!.cursor });
    await cancel(id);
    expect((await some.atLeast(1)).map(({ events: { event } }) => event)).toEqual(['CancelOrder']);
  });
});

describe('who connects', () => {
  it('needs a token that is good', async () => {
    for (const [headers, why] of [
      [{}, /needs a token/],
      [{ authorization: 'Bearer garbage' }, /not good/],
      [{ authorization: 'garbage' }, /Bearer/],
    ] as const) {
      const subscriber = known(aSubscriber(house.url, headers));
      await subscriber.follow(changes).ended();
      expect(subscriber.closes).toEqual([expect.objectContaining({ code: 4401, reason: expect.stringMatching(why) as string })]);
    }
  });

  it('may show it in the header of the upgrade instead', async () => {
    const socket = await open(await house.as(operator));
    socket.send('{"type":"connection_init"}');
    expect(await nextOf(socket)).toEqual({ type: 'connection_ack' });
    socket.terminate();
  });

  it('is let go when the token ends, with a code that says so', async () => {
    const settings = identitySettings(house.ground.config)!;
    // Within its two seconds it must have been shown.
    await oneOfThree(async () => {
      const authorization = `Bearer ${await signToken(settings, customer('CUST-1'), 2)}`;
      const subscriber = known(aSubscriber(house.url, { authorization }));
      const heard = subscriber.follow<Change>(changes);
      await heard.ended();
      expect(subscriber.closes).toEqual([
        expect.objectContaining({ code: 4403, reason: expect.stringMatching(/expired/) as string }),
      ]);
    });
  });

  it('may connect so often, and subscribe so often on a connection', async () => {
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => subscriberAs(customer('CUST-many'))));
    for (const subscriber of [first!, second!]) {
      subscriber.follow(changes);
    }
    await eventually(async () => (await figure('holdfast_live_subscriptions')) === 2);
    await third!.follow(changes).ended();
    expect(third!.closes[0]).toMatchObject({ code: 1008 });
    const many = await subscriberAs(operator);
    const heard = [1, 2, 3, 4, 5, 6].map(() => many.follow(changes));
    await eventually(() => heard.some(({ errors }) => errors.length > 0));
    expect(heard.flatMap(({ errors }) => errors.map(({ message }) => message))).toEqual([
      expect.stringContaining('5 subscriptions already'),
    ]);
  });

  it('finds no room where there are as many connections as are taken', async () => {
    const sockets = await Promise.all(Array.from({ length: 12 }, async () => open(await house.as(operator))));
    for (const socket of sockets) {
      socket.send('{"type":"connection_init"}');
      await nextOf(socket);
    }
    const refused = new WebSocket(`${house.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    const [, answer] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(answer.statusCode).toBe(503);
    sockets.forEach((socket) => socket.terminate());
  });

  it('finds room where others are connected and say nothing: the oldest of these is cut', async () => {
    const silent = await Promise.all(Array.from({ length: 12 }, () => open()));
    const cut = silent.map((socket) => once(socket, 'close'));
    const heard = (await subscriberAs(operator)).follow<Change>(changes);
    await Promise.race(cut);
    await eventually(async () => (await figure('holdfast_live_subscriptions')) === 1);
    expect(silent.filter(({ readyState }) => readyState === WebSocket.OPEN)).toHaveLength(11);
    heard.stop();
  });
});

const open = async (headers: Record<string, string> = {}, protocol = 'graphql-transport-ws', at = house) => {
  const socket = new WebSocket(`${at.url.replace('http', 'ws')}/graphql`, protocol, { headers });
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'open');
  return socket;
};
const nextOf = async (socket: WebSocket) => JSON.parse(String(((await once(socket, 'message')) as [Buffer])[0])) as unknown;
const codeOf = async (socket: WebSocket) => ((await once(socket, 'close')) as [number])[0];

describe('rubbish', () => {
  const init = '{"type":"connection_init"}';
  const big = JSON.stringify({ type: 'ping', payload: { big: 'x'.repeat(200_000) } });
  const twice = '{"id":"1","type":"subscribe","payload":{"query":"subscription { orderChanged { cursor } }"}}';
  it.each<[string, (string | Buffer)[], number]>([
    ['no JSON', ['rubbish'], 4400],
    ['JSON that is no message', ['{"type":"nonsense"}'], 4400],
    ['bytes', [Buffer.from([0, 159, 146, 150])], 4400],
    ['a message that is too big', [init, big], 1009],
    ['a subscription before the token', [twice], 4401],
    ['the token twice', [init, init], 4429],
    ['the same subscription twice', [init, twice, twice], 4409],
  ])('%s', async (_name, messages, code) => {
    const socket = await open(await house.as(operator));
    const closed = codeOf(socket);
    for (const [index, message] of messages.entries()) {
      socket.send(message);
      if (index === 0 && message === init) await nextOf(socket);
    }
    expect(await closed).toBe(code);
  });

  it('nothing at all', async () => {
    const impatient = await aHouse({ config: { ...config, LIVE_INIT_TIMEOUT_SECONDS: '1' } });
    expect(await codeOf(await open(await impatient.as(operator), undefined, impatient))).toBe(4408);
    await impatient.drop();
  });

  it('bytes that are no frames, another protocol, and a request that is none', async () => {
    const { port } = new URL(house.url);
    const raw = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    const key = randomBytes(16).toString('base64');
    const head = `GET /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n`;
    raw.write(`${head}sec-websocket-protocol: graphql-transport-ws\r\nsec-websocket-key: ${key}\r\n\r\n`);
    await once(raw, 'data');
    raw.write(randomBytes(1_000));
    await once(raw, 'close');
    await expect(open({}, 'graphql-ws')).rejects.toThrow();
    const bad = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    bad.write(`${head}\r\n`);
    expect(String(((await once(bad, 'data')) as [Buffer])[0])).toContain('400 Bad Request');
    bad.destroy();
  });

  it('documents that are not for here, too dear, too long or wrong are refused with the words of HTTP', async () => {
    const subscriber = await subscriberAs(operator);
    const refusalOf = async (query: string) => {
      const heard = subscriber.follow(query);
      await heard.ended();
      return [heard.errors[0]!.extensions.code, heard.errors[0]!.message];
    };
    expect(await refusalOf('{ orders { nodes { id } } }')).toEqual(['BAD_USER_INPUT', expect.stringContaining('by POST')]);
    expect(await refusalOf('subscription {')).toEqual(['GRAPHQL_PARSE_FAILED', expect.any(String)]);
    expect(await refusalOf('subscription { nonsense }')).toEqual(['GRAPHQL_VALIDATION_FAILED', expect.any(String)]);
    expect(await refusalOf(`subscription { orderChanged { ${'cursor '.repeat(6_000)} } }`)).toEqual([
      'GRAPHQL_PARSE_FAILED',
      expect.stringContaining('tokens'),
    ]);
    const dear = `stockChanged(skus: ["MUG"]) { product { ${Array.from({ length: 60 }, (_, n) => `m${n}: movements(first: 100) { nodes { id kind onHandDelta reservedDelta orderId reason at } }`).join(' ')} } }`;
    expect(await refusalOf(`subscription { ${dear} }`)).toEqual(['BAD_USER_INPUT', expect.stringContaining('too much')]);
    expect(await refusalOf('subscription A { events { cursor } } subscription B { events { cursor } }')).toEqual([
      'BAD_USER_INPUT',
      expect.stringContaining('by its name'),
    ]);
  });

  it('a subscription by POST is told where to go; a request for HTTP/2 is answered as before', async () => {
    const { status, json } = await house.post({ query: 'subscription { orderChanged { cursor } }' });
    expect([status, json.errors![0]!.extensions.code]).toEqual([400, 'BAD_USER_INPUT']);
    const raw = connect(Number(new URL(house.url).port), '127.0.0.1');
    const body = '{"query":"{ __typename }"}';
    raw.write(
      `POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQBAAAAAAIAAAAA\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    expect(String(((await once(raw, 'data')) as [Buffer])[0])).toContain('200 OK');
    raw.destroy();
    const elsewhere = new WebSocket(`${house.url.replace('http', 'ws')}/products`).on('error', () => undefined);
    const [, answer] = (await once(elsewhere, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(answer.statusCode).toBe(200);
  });
});

describe('who does not read', () => {
  const wide = `subscription { orderChanged(customerId: "CUST-wide", after: "${fromTheBeginning}") { cursor step { version } order {
    id ${Array.from({ length: 150 }, (_, n) => `m${n}: message`).join(' ')} } } }`;

  it('makes nothing heap up: no event is made for it until it reads, and then it gets all of them in their order', async () => {
    const socket = await open(await house.as(operator));
    socket.send('{"type":"connection_init"}');
    await nextOf(socket);
    for (let id = 1; id <= 5; id++) socket.send(JSON.stringify({ id: `s${id}`, type: 'subscribe', payload: { query: wide } }));
    await eventually(async () => (await figure('holdfast_live_subscriptions')) === 5);
    socket.pause();
    const before = await figure('holdfast_live_events_total');
    const inputs = Array.from({ length: 100 }, () => ({ customerId: 'CUST-wide', items: [{ sku: 'MUG', quantity: 1 }] }));
    for (let n = 0; n < 6; n++)
      await house.ask(`mutation ($inputs: [CreateOrderInput!]!) { createOrders(inputs: $inputs) { __typename } }`, { inputs });
    const total = 6 * 100 * 2;
    await eventually(
      async () => (await house.database.order.count({ where: { customerId: 'CUST-wide', status: 'CONFIRMED' } })) === 600,
    );
    await pause(1_000);
    const told = (await figure('holdfast_live_events_total')) - before;
    // What fits into the buffers of the two kernels, and one message of each subscription; five times 1,200 would be 60 MB.
    expect(told).toBeLessThan(total);
    const heard = new Map<string, string[]>();
    socket.on('message', (message: Buffer) => {
      const { id, payload } = JSON.parse(String(message)) as { id: string; payload: { data: Change } };
      const { step, order } = payload.data.orderChanged;
      heard.set(id, [...(heard.get(id) ?? []), `${order.id} ${step.version}`]);
    });
    socket.resume();
    await eventually(() => [...heard.values()].length === 5 && [...heard.values()].every((list) => list.length >= total));
    const steps = await house.database.orderHistory.findMany({
      where: { order: { customerId: 'CUST-wide' } },
      orderBy: { position: 'asc' },
    });
    for (const list of heard.values()) expect(list).toEqual(steps.map(({ orderId, version }) => `${orderId} ${version}`));
    socket.terminate();
  });

  it('and goes on asking is cut', async () => {
    const socket = await open(await house.as(operator));
    const closed = codeOf(socket);
    socket.send('{"type":"connection_init"}');
    await nextOf(socket);
    socket.pause();
    const ping = JSON.stringify({ type: 'ping', payload: { big: 'x'.repeat(90_000) } });
    for (let n = 0; n < 400 && socket.readyState === socket.OPEN; n++) {
      socket.send(ping);
      await pause(1);
    }
    await eventually(async () => (await figure('holdfast_live_connections')) === 0);
    socket.resume();
    expect(await closed).toBe(1006);
  });

  it('and does not answer is cut, too', async () => {
    const quick = await aHouse({ config: { ...config, LIVE_KEEPALIVE_SECONDS: '1' } });
    const { authorization } = await quick.as(operator);
    const silent = new WebSocket(`${quick.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { authorization },
      autoPong: false,
    });
    await once(silent, 'open');
    silent.send('{"type":"connection_init"}');
    expect(await codeOf(silent)).toBe(1006);
    await quick.drop();
  });
});

it('a stop closes with 1001, and waits for nobody', async () => {
  const other = await aHouse({ config });
  const subscriber = await subscriberAs(operator, other);
  const heard = subscriber.follow<Change>(changes);
  await eventually(async () => (await figure('holdfast_live_subscriptions', other)) === 1);
  const deaf = new WebSocket(`${other.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws').on('error', () => undefined);
  await once(deaf, 'open');
  deaf.pause();
  const startedAt = performance.now();
  await other.drop();
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  await heard.ended();
  expect(subscriber.closes[0]).toMatchObject({ code: 1001 });
  deaf.terminate();
});
