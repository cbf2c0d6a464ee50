import { createHmac, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { v7 as uuidv7 } from 'uuid';

import { queues, type EventOf } from '../../src/contracts';
import { type NotificationChannel } from '../../src/database';
import { createLogger, createMetrics } from '../../src/observability';
import { createNotifications, type NotificationsContext, type NotificationsOptions } from '../../src/notifications';
import { takeDue } from '../../src/notifications/deliveryRows';
import { incoming, silentOutbox } from '../support/anOrder';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** How customers are told: real Postgres, a real web server as the receiver, a real mail server. */
interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}
type Answer = (response: ServerResponse, nth: number) => void;

const lines: { msg: string; orderId?: string }[] = [];
const log = createLogger({
  level: 'info',
  name: 'test',
  destination: { write: (line: string) => void lines.push(JSON.parse(line) as { msg: string }) },
});
const metrics = createMetrics();
const received: Received[] = [];
const mails: { to: string[]; text: string }[] = [];
const answers = new Map<string, Answer>();
let test: TestDatabase;
let web: Server;
let smtp: SMTPServer;
let base: string;
let notifications: NotificationsContext;
let options: NotificationsOptions;
const dispatchers: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  test = await createTestDatabase();
  web = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const path = request.url!;
      received.push({ path, headers: request.headers, body });
      const answer = answers.get(path) ?? ((ok: ServerResponse) => ok.writeHead(204).end());
      answer(response, received.filter((one) => one.path === path).length);
    });
  });
  await once(web.listen(0, '127.0.0.1'), 'listening');
  base = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onRcptTo: ({ address }, _session, done) =>
      done(address.startsWith('nobody') ? Object.assign(new Error('no such mailbox'), { responseCode: 550 }) : null),
    onData: (stream, session, done) => {
      let text = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      stream.on('end', () => {
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), text });
        done();
      });
    },
  });
  const mailServer = smtp.listen(0, '127.0.0.1');
  await once(mailServer, 'listening');
  options = {
    ...{ database: test.database, log, metrics, newId: uuidv7, random: () => randomInt(1_000) / 1_000, randomBytes },
    ...{ production: false, mailFrom: 'Shop <shop@example.com>', privateNetworks: true },
    plaintextHosts: [],
    smtpUrl: `smtp://127.0.0.1:${(mailServer.address() as AddressInfo).port}`,
    sending: {
      retry: { attemptsMax: 3, firstPauseMs: 20 },
      ...{ timeoutMs: 5_000, concurrencyMax: 12, perReceiverMax: 3, lookIntervalMs: 20, keepDays: 30, drainMs: 1_000 },
    },
  };
  notifications = createNotifications(options);
});
afterEach(async () => {
  for (const dispatcher of dispatchers.splice(0)) await dispatcher.stop();
  answers.clear();
  await test.database.notificationDelivery.deleteMany();
  await test.database.notificationSubscription.deleteMany();
});
afterAll(async () => {
  smtp.close(() => undefined);
  web.closeAllConnections();
  await new Promise((resolve) => web.close(resolve));
  await test.drop();
});

let customers = 0;
let orders = 0;
const newCustomer = () => `CUST-${++customers}`;
async function subscribe(customerId: string, channel: NotificationChannel, target?: string, more: object = {}) {
  const result = await notifications.subscribe({ customerId, channel, target, ...more });
  if (result.type !== 'done') throw new Error(JSON.stringify(result));
  return { ...result.subscription, secret: result.secret ?? '' };
}
/** Events as their queue hands them out; in one batch and one transaction. */
async function hear(...bodies: EventOf<OrderNews>[]) {
  return hearOn(queues.orderUpdates, bodies);
}
type OrderNews = 'OrderCreated' | 'OrderConfirmed' | 'OrderFulfilled' | 'OrderCancelled';
/** `atLast`: what happens before the commit. */
async function hearOn(queue: string, bodies: EventOf<OrderNews>[], atLast: () => void = () => undefined) {
  const outbox = silentOutbox(test.database, 'notifications');
  const effects: (() => void)[] = [];
  const messages = await outbox.transaction(async (tx) => {
    const handler = notifications.handlers[queue]![bodies[0]!.event]!;
    const batch = bodies.map((body) => incoming(body) as never);
    const result = await handler(tx, batch, (effect) => effects.push(effect));
    atLast();
    return { result, messages: [] };
  });
  for (const effect of effects) effect();
  return messages;
}
function confirmed(customerId: string): EventOf<'OrderConfirmed'> {
  const order_id = `ORD-${++orders}`;
  const items = [{ product_id: 1, quantity: 2, unit_price: 1_999 }];
  return { event: 'OrderConfirmed', order_id, customer_id: customerId, version: 2, items, total: 3_998, currency: 'EUR' };
}
/** Its channels end with it, so that each is of a context of its own. */
async function dispatch(context = createNotifications(options)) {
  const dispatcher = context.dispatcher();
  dispatchers.push(dispatcher);
  await dispatcher.start();
}
const patientFor = (timeoutMs: number) => createNotifications({ ...options, sending: { ...options.sending, timeoutMs } });
const at = (path: string) => received.filter((one) => one.path === path);
const deliveries = (customerId: string) => notifications.deliveries({ customerId }, 100);
const attemptsOf = async (id: string) => (await notifications.attempts([id])).get(id)!;
async function finished(customerId: string, state: 'DELIVERED' | 'DEAD') {
  return eventually(async () => {
    const all = await deliveries(customerId);
    return all.length > 0 && all.every((delivery) => delivery.state === state) ? all : undefined;
  });
}

describe('a webhook', () => {
  it('gets each event of its customer, signed after Standard Webhooks, under the id of the notice', async () => {
    const customer = newCustomer();
    const { secret } = await subscribe(customer, 'WEBHOOK', `${base}/signed`);
    const [notice] = await hear(confirmed(customer));
    await dispatch();
    await finished(customer, 'DELIVERED');
    const [{ headers, body }] = at('/signed') as [Received];
    expect(JSON.parse(body)).toEqual(notice!.body);
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = headers;
    expect([id, headers['content-type']]).toEqual([notice!.id, 'application/json']);
    expect(Math.abs(Number(timestamp) - Date.now() / 1000)).toBeLessThan(60);
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
    const mac = createHmac('sha256', key)
      .update(`${id as string}.${timestamp as string}.${body}`)
      .digest('base64');
    expect([signature, key.length]).toEqual([`v1,${mac}`, 32]);
  });

  it('is tried again with growing pauses, always under one id, and each attempt can be read', async () => {
    const customer = newCustomer();
    answers.set('/moody', (response, nth) => response.writeHead(nth < 3 ? 503 : 200).end());
    await subscribe(customer, 'WEBHOOK', `${base}/moody`);
    await hear(confirmed(customer));
    await dispatch();
    const [delivery] = await finished(customer, 'DELIVERED');
    expect(new Set(at('/moody').map(({ headers }) => headers['webhook-id']))).toEqual(new Set([delivery!.eventId]));
    const attempts = await attemptsOf(delivery!.id);
    expect(attempts).toMatchObject([
      { attempt: 1, status: 503, error: 'It answered 503' },
      { attempt: 2, status: 503, error: 'It answered 503' },
      { attempt: 3, status: 200, error: null, nextAttemptAt: null },
    ]);
    const pauses = attempts.slice(0, 2).map((one) => one.nextAttemptAt!.getTime() - one.startedAt.getTime() - one.durationMs);
    expect(pauses[0]).toBeGreaterThanOrEqual(9);
    expect(pauses[1]).toBeGreaterThanOrEqual(39);
  });

  it.each<[string, Answer, string]>([
    ['refuses', (response) => response.writeHead(500).end(), 'It answered 500'],
    ['never answers', () => undefined, 'No answer within 0.4 s'],
    ['hangs up', (response) => response.destroy(), 'other side closed'],
    [
      'redirects',
      (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
      'It answered 302: redirects are not followed',
    ],
  ])('that %s is given up after the last attempt, its subscription too, until it is set anew', async (what, answer, error) => {
    const customer = newCustomer();
    const path = `/${what.replace(' ', '-')}`;
    answers.set(path, answer);
    await subscribe(customer, 'WEBHOOK', base + path);
    await hear(confirmed(customer));
    await dispatch(what === 'never answers' ? patientFor(400) : undefined);
    const [delivery] = await finished(customer, 'DEAD');
    expect((await attemptsOf(delivery!.id)).map((one) => one.error)).toEqual([error, error, error]);
    const [given] = await notifications.subscriptions({ customerId: customer }, 10);
    expect(given).toMatchObject({ state: 'DISABLED', disabledBecause: error });
    await hear(confirmed(customer));
    expect(await deliveries(customer)).toHaveLength(1);
    await subscribe(customer, 'WEBHOOK', base + path);
    await hear(confirmed(customer));
    expect(await deliveries(customer)).toHaveLength(2);
    expect(at('/elsewhere')).toEqual([]);
  });

  it('that says it is gone is given up at once', async () => {
    const customer = newCustomer();
    answers.set('/gone', (response) => response.writeHead(410).end());
    await subscribe(customer, 'WEBHOOK', `${base}/gone`);
    await hear(confirmed(customer));
    await dispatch();
    await finished(customer, 'DEAD');
    expect(at('/gone')).toHaveLength(1);
  });

  it('that refuses one event to the end and takes a later one stays', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `${base}/picky`);
    const [refused] = await hear(confirmed(customer));
    answers.set('/picky', (response) => {
      response.writeHead(response.req.headers['webhook-id'] === refused!.id ? 400 : 200).end();
    });
    await hear(confirmed(customer));
    await dispatch();
    await eventually(async () => (await deliveries(customer)).every(({ state }) => state !== 'WAITING'));
    expect((await deliveries(customer)).map(({ state }) => state)).toEqual(['DELIVERED', 'DEAD']);
    expect(await notifications.subscriptions({ customerId: customer }, 1)).toMatchObject([{ state: 'ACTIVE' }]);
  });

  it('whose answer has no end is read only so far', async () => {
    const customer = newCustomer();
    let isOpen = false;
    answers.set('/endless', (response) => {
      isOpen = true;
      const more = () => void (response.write('x'.repeat(65_536)) ? setImmediate(more) : response.once('drain', more));
      response.on('close', () => (isOpen = false)).writeHead(200);
      more();
    });
    await subscribe(customer, 'WEBHOOK', `${base}/endless`);
    await hear(confirmed(customer));
    await dispatch();
    await finished(customer, 'DELIVERED');
    await eventually(() => !isOpen, 5_000);
  });

  it('that is slow holds up nobody else, and is not spoken to by more than its few at a time', async () => {
    const [slow, quick] = [newCustomer(), newCustomer()];
    let [open, most] = [0, 0];
    const other = createServer((_request, response) => {
      most = Math.max(most, ++open);
      response.on('close', () => open--);
    });
    await once(other.listen(0, '127.0.0.1'), 'listening');
    await subscribe(slow, 'WEBHOOK', `http://127.0.0.1:${(other.address() as AddressInfo).port}/slow`);
    await hear(...Array.from({ length: 40 }, () => confirmed(slow)));
    await subscribe(quick, 'WEBHOOK', `${base}/quick`);
    await hear(...Array.from({ length: 40 }, () => confirmed(quick)));
    await dispatch();
    await finished(quick, 'DELIVERED');
    expect((await deliveries(slow)).filter(({ attempts }) => attempts === 0).length).toBeGreaterThan(10);
    expect(most).toBe(3);
    other.closeAllConnections();
    other.close();
  });

  it('of a customer whose receivers all hang holds up nobody else: others have places left', async () => {
    const [hanging, quick] = [newCustomer(), newCustomer()];
    const receivers = Array.from({ length: 10 }, () => createServer(() => undefined));
    for (const receiver of receivers) await once(receiver.listen(0, '127.0.0.1'), 'listening');
    for (const receiver of receivers)
      await subscribe(hanging, 'WEBHOOK', `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`);
    await hear(...Array.from({ length: 10 }, () => confirmed(hanging)));
    await dispatch(patientFor(20_000));
    const underWay = () => test.database.notificationDelivery.count({ where: { customerId: hanging, attempts: { gt: 0 } } });
    await eventually(async () => (await underWay()) === 6);
    const before = Date.now();
    await subscribe(quick, 'WEBHOOK', `${base}/quick-beside`);
    await hear(...Array.from({ length: 20 }, () => confirmed(quick)));
    await finished(quick, 'DELIVERED');
    expect(Date.now() - before).toBeLessThan(10_000);
    expect(await underWay()).toBe(6);
    for (const receiver of receivers) {
      receiver.closeAllConnections();
      receiver.close();
    }
  });

  it.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://[::1]/',
    'http://[::ffff:10.0.0.1]/',
    'http://[64:ff9b::a00:1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://10.1.2.3/',
    'http://192.168.0.1/',
    'http://100.64.0.1/',
    'http://[fd00::1]/',
    'http://0.0.0.0/',
    'ftp://example.com/',
    'http://user:password@example.com/',
    'no url',
  ])('must not be %s, where private networks are not allowed', async (target) => {
    const careful = createNotifications({ ...options, privateNetworks: false });
    const result = await careful.subscribe({ customerId: newCustomer(), channel: 'WEBHOOK', target });
    expect(result).toMatchObject({ type: 'invalid', fields: [{ path: 'target', code: 'invalid_target' }] });
  });

  it('whose name leads to this machine is not connected to, whatever it led to when it was set', async () => {
    const careful = createNotifications({ ...options, privateNetworks: false });
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `http://localhost:${new URL(base).port}/inside`);
    await hear(confirmed(customer));
    await dispatch(careful);
    const [delivery] = await finished(customer, 'DEAD');
    const [first] = await attemptsOf(delivery!.id);
    expect(first!.error).toBe('localhost leads to this machine or into a private network');
    expect(at('/inside')).toEqual([]);
  });

  it('must be https in production, where e-mail needs a mail server', async () => {
    const production = createNotifications({ ...options, production: true, smtpUrl: undefined });
    const customerId = newCustomer();
    const wishes = [
      { customerId, channel: 'WEBHOOK' as const, target: 'http://example.com/' },
      { customerId, channel: 'EMAIL' as const, target: 'me@example.com' },
    ];
    for (const wish of wishes) expect((await production.subscribe(wish)).type).toBe('invalid');
    const secure = await production.subscribe({ customerId, channel: 'WEBHOOK', target: 'https://example.com/' });
    expect(secure.type).toBe('done');
  });
});

describe('e-mail', () => {
  it('reaches its customer in plain text, under the same message id at every attempt', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'EMAIL', 'mira@example.com');
    const event = confirmed(customer);
    const [notice] = await hear(event);
    await dispatch();
    await finished(customer, 'DELIVERED');
    const mail = mails.find(({ to }) => to.includes('mira@example.com'))!;
    expect(mail.text).toContain(`Message-ID: <${notice!.id}@holdfast>`);
    expect(mail.text).toContain(`Subject: Your order ${event.order_id}: Order confirmed.`);
    expect(mail.text).toContain('Total: 39.98 EUR.');
  });

  it('to a mailbox that is not there is given up at once', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'EMAIL', 'nobody@example.com');
    await hear(confirmed(customer));
    await dispatch();
    const [delivery] = await finished(customer, 'DEAD');
    expect(await attemptsOf(delivery!.id)).toMatchObject([{ attempt: 1, status: null, nextAttemptAt: null }]);
    const [given] = await notifications.subscriptions({ customerId: customer }, 1);
    expect(given!.disabledBecause).toMatch(/no such mailbox/);
  });

  it('without a mail server goes into the log', async () => {
    const customer = newCustomer();
    const unserved = createNotifications({ ...options, smtpUrl: undefined });
    await subscribe(customer, 'EMAIL', 'log@example.com');
    await hear(confirmed(customer));
    await dispatch(unserved);
    await finished(customer, 'DELIVERED');
    expect(lines).toContainEqual(expect.objectContaining({ to: 'log@example.com' }));
  });
});

describe('preferences', () => {
  const said = (orderId: string) => lines.filter((line) => line.orderId === orderId).map((line) => line.msg);

  it('a customer who has said nothing is told in the log, and costs no row', async () => {
    const event = confirmed(newCustomer());
    await hear(event);
    expect(said(event.order_id)).toEqual([`order ${event.order_id} is confirmed`]);
    expect(await test.database.notificationDelivery.count()).toBe(0);
  });

  it.each<[string, RegExp]>([
    [queues.orderUpdates, /^order ORD-\S+ was placed/],
    [queues.orderCreations, /^new: order ORD-\S+ was placed/],
  ])('what %s logs of an event is logged once, though the first try is rolled back', async (queue, words) => {
    const event = { event: 'OrderCreated' as const, order_id: `ORD-${++orders}`, items: [{ product_id: 1, quantity: 2 }] };
    const lost = hearOn(queue, [event], () => {
      throw new Error('the database went away');
    });
    await expect(lost).rejects.toThrow('the database went away');
    expect(said(event.order_id)).toEqual([]);
    await hearOn(queue, [event]);
    expect(said(event.order_id)).toEqual([expect.stringMatching(words)]);
  });

  it('only what was asked for is sent, and logged only where the log was asked for', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `${base}/some`, { events: ['OrderFulfilled'] });
    await subscribe(customer, 'EMAIL', 'off@example.com', { enabled: false });
    const event = confirmed(customer);
    await hear(event);
    expect([await deliveries(customer), said(event.order_id)]).toEqual([[], []]);
    await subscribe(customer, 'LOG');
    await hear({ event: 'OrderFulfilled', order_id: event.order_id, customer_id: customer, version: 3 });
    expect(await deliveries(customer)).toMatchObject([{ orderId: event.order_id, subscription: { channel: 'WEBHOOK' } }]);
    expect(said(event.order_id)).toEqual([`order ${event.order_id} is fulfilled`]);
  });

  it('an event that comes three times is one delivery', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `${base}/once`);
    const event = confirmed(customer);
    await hear(event, event);
    await hear(event);
    expect(await deliveries(customer)).toHaveLength(1);
  });

  it('said twice at once are one, said again they change, and there are ten at most', async () => {
    const customer = newCustomer();
    const target = `${base}/same`;
    const same = { customerId: customer, channel: 'WEBHOOK' as const, target };
    const twice = await Promise.all(Array.from({ length: 8 }, () => notifications.subscribe(same)));
    expect(new Set(twice.map((one) => one.type === 'done' && one.subscription.id)).size).toBe(1);
    expect(await subscribe(customer, 'WEBHOOK', target, { enabled: false })).toMatchObject({ state: 'PAUSED', secret: '' });
    for (let n = 2; n <= 10; n++) await subscribe(customer, 'EMAIL', `me+${n}@example.com`);
    const eleventh = await notifications.subscribe({ customerId: customer, channel: 'LOG' });
    expect(eleventh).toEqual({ type: 'too-many', max: 10 });
    expect(await notifications.subscriptions({ customerId: customer }, 100)).toHaveLength(10);
  });

  it('taken back, the address is forgotten and what waits is not sent', async () => {
    const customer = newCustomer();
    const { id } = await subscribe(customer, 'WEBHOOK', `${base}/removed`);
    await hear(confirmed(customer));
    expect(await notifications.unsubscribe(id)).toEqual({ customerId: customer });
    expect(await notifications.unsubscribe(id)).toEqual({ customerId: customer });
    expect(await test.database.notificationSubscription.findUnique({ where: { id } })).toMatchObject({
      target: '',
      secret: null,
    });
    await dispatch();
    const [delivery] = await finished(customer, 'DEAD');
    expect((await attemptsOf(delivery!.id))[0]!.error).toBe('The subscription is not active any more');
    expect(at('/removed')).toEqual([]);
    expect([await notifications.unsubscribe(uuidv7()), await notifications.unsubscribe('no id')]).toEqual([undefined, undefined]);
  });
});

describe('places', () => {
  const places = { leaseMs: 30_000, perReceiverMax: 10 };
  const nothing = { toReceiver: new Map<string, number>(), forCustomer: new Map<string, number>() };
  const holding = (customer: string, count: number) => ({ ...nothing, forCustomer: new Map([[customer, count]]) });
  /** So many deliveries for each of these, at a receiver of its own; the first customer's are the oldest. */
  const backlog = async (customers: string[], each: number, host = (customer: string) => customer) => {
    for (const customer of customers) {
      await subscribe(customer, 'WEBHOOK', `http://${host(customer)}.example/`);
      await hear(...Array.from({ length: each }, () => confirmed(customer)));
    }
  };
  const take = async (limit: number, sending = nothing) => {
    const taken = await takeDue(test.database, { ...places, limit, sending });
    const counts = new Map<string, number>();
    for (const { customerId } of taken) counts.set(customerId, (counts.get(customerId) ?? 0) + 1);
    return counts;
  };

  it('all go to many customers, in turn, and half of them to one alone', async () => {
    const many = Array.from({ length: 5 }, newCustomer);
    await backlog(many, 8);
    expect(await take(10)).toEqual(new Map(many.map((customer) => [customer, 2])));
    await test.database.notificationDelivery.deleteMany({ where: { customerId: { not: many[0]! } } });
    expect(await take(10)).toEqual(new Map([[many[0], 5]]));
  });

  it('the last goes to who has none, and nobody with one is given it', async () => {
    const [greedy, modest] = [newCustomer(), newCustomer()];
    await backlog([greedy, modest], 3);
    expect(await take(1, holding(greedy, 1))).toEqual(new Map([[modest, 1]]));
    expect(await take(1, { ...nothing, forCustomer: new Map([greedy, modest].map((one) => [one, 1])) })).toEqual(new Map());
  });

  it('a customer who has its share does not hide others at a receiver of both', async () => {
    const [greedy, modest] = [newCustomer(), newCustomer()];
    await backlog([greedy, modest], 12, () => 'both');
    expect(await take(6, holding(greedy, 6))).toEqual(new Map([[modest, 3]]));
  });
});

describe('whatever happens to who sends', () => {
  const crash = (attempts = 1) =>
    Array.from({ length: attempts }).reduce<Promise<unknown>>(
      (before) => before.then(() => eventually(async () => (await takeDue(test.database, crashing)).length > 0)),
      Promise.resolve(),
    );
  const sending = { toReceiver: new Map<string, number>(), forCustomer: new Map<string, number>() };
  const crashing = { leaseMs: 30, limit: 10, perReceiverMax: 10, sending };

  it('a process that dies with a delivery in hand loses nothing: it is sent when the lease has ended', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `${base}/crashed`);
    await hear(confirmed(customer));
    await crash();
    await dispatch();
    const [delivery] = await finished(customer, 'DELIVERED');
    expect((await attemptsOf(delivery!.id)).map(({ attempt }) => attempt)).toEqual([2]);
  });

  it('a delivery that every process dies of is given up unsent', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `${base}/deadly`);
    await hear(confirmed(customer));
    await crash(3);
    await dispatch();
    const [delivery] = await finished(customer, 'DEAD');
    expect((await attemptsOf(delivery!.id))[0]!.error).toMatch(/Each process that sent it ended/);
    expect(at('/deadly')).toEqual([]);
  });

  it('three who send at a time send each delivery once', async () => {
    const customer = newCustomer();
    await subscribe(customer, 'WEBHOOK', `${base}/shared`);
    await hear(...Array.from({ length: 60 }, () => confirmed(customer)));
    await Promise.all([dispatch(), dispatch(), dispatch()]);
    await finished(customer, 'DELIVERED');
    expect(new Set(at('/shared').map(({ headers }) => headers['webhook-id'])).size).toBe(60);
    expect(at('/shared')).toHaveLength(60);
  });

  it('what was finished long ago is removed with its attempts; what waits, and what is young, stays', async () => {
    const customer = newCustomer();
    const { id } = await subscribe(customer, 'WEBHOOK', `${base}/old`);
    await hear(confirmed(customer));
    await dispatch();
    await finished(customer, 'DELIVERED');
    await test.database.$executeRaw`UPDATE notifications.deliveries SET finished_at = now() - interval '31 days'`;
    await hear(confirmed(customer));
    await dispatch();
    await eventually(async () => (await deliveries(customer)).length === 1);
    expect(await test.database.notificationDeliveryAttempt.count()).toBeLessThanOrEqual(1);
    expect(await test.database.notificationSubscription.count({ where: { id } })).toBe(1);
  });
});
