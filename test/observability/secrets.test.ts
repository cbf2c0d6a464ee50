import { randomBytes } from 'node:crypto';

import { readConfig, secretsOf } from '../../src/config';
import { waitForPostgres } from '../../src/database';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger } from '../../src/observability';
import { hideSecrets, redacted } from '../../src/observability/redact';
import { eventually } from '../support/eventually';
import { startHoldfast } from '../support/holdfastProcess';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** Secrets are planted wherever there can be any, everything is made to fail, and all that was printed and answered is searched. */
const planted = (name: string) => `planted-${name}-${randomBytes(12).toString('hex')}`;
const secrets = {
  database: planted('database'),
  broker: planted('broker'),
  mail: planted('mail'),
  auth: planted('auth'),
  token: `eyJhbGciOiJIUzI1NiJ9.${randomBytes(24).toString('base64url')}.${randomBytes(24).toString('base64url')}`,
  cookie: planted('cookie'),
  webhook: `whsec_${randomBytes(32).toString('base64')}`,
};
const shownIn = (text: string, more: Record<string, string> = {}) =>
  Object.entries({ ...secrets, ...more }).flatMap(([name, secret]) => (text.includes(secret) ? [name] : []));

let test: TestDatabase;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());

const at = (protocol: string, secret: string, host: string, path = '') => `${protocol}://user:${secret}@${host}${path}`;
const nowhere = '127.0.0.1:1';

describe('a process that fails at its start', () => {
  it.each([
    ['the password is wrong', () => at('postgresql', secrets.database, new URL(test.url).host, new URL(test.url).pathname), 1],
    ['the way is in plain text', () => at('postgresql', secrets.database, 'db.example', '/shop'), 64],
    ['the mode is none', () => at('postgresql', secrets.database, nowhere, '/shop?sslmode=wrong'), 64],
    ['the URL is none', () => `mysql://user:${secrets.database}@${nowhere}`, 64],
  ])('because %s shows no secret', async (_, url, code) => {
    const environment = {
      ...{ DATABASE_URL: url(), RABBITMQ_URL: at('amqp', secrets.broker, nowhere), AUTH_SECRET: secrets.auth },
      ...{ SMTP_URL: at('smtp', secrets.mail, nowhere), HOLDFAST_TOKEN: secrets.token, LOG_LEVEL: 'trace' },
    };
    const holdfast = startHoldfast(environment);
    expect(await holdfast.ended).toBe(code);
    expect(holdfast.complaints()).not.toBe('');
    expect(shownIn(holdfast.screen() + holdfast.complaints())).toEqual([]);
  });

  it('because nobody is there, or lets it in, tells why without the password', async () => {
    const lines: string[] = [];
    const log = createLogger({ level: 'trace', name: 'test', destination: { write: (line: string) => void lines.push(line) } });
    const broker = new URL(process.env.HOLDFAST_TEST_RABBITMQ_URL ?? at('amqp', 'x', nowhere));
    const urls = [
      at('amqp', secrets.broker, broker.host),
      at('amqp', secrets.broker, nowhere),
      at('amqps', secrets.broker, broker.host),
    ];
    const options = { log, random: () => 0.5, bootTimeoutMs: 600 };
    const messages = await Promise.all([
      ...urls.map((url) => connectRabbitmq({ ...options, url }).then(String, (error: Error) => error.stack!)),
      waitForPostgres(at('postgresql', secrets.database, nowhere, '/shop'), 300).then(String, (error: Error) => error.stack!),
    ]);
    expect(messages.every((message) => message.includes('No connection to'))).toBe(true);
    expect(lines.length).toBeGreaterThan(0);
    expect(shownIn([...messages, ...lines].join('\n'))).toEqual([]);
  });
});

it('a running process shows no secret, neither in its log nor in what it answers, whatever it is asked and however it fails', async () => {
  const real = { realDatabase: new URL(test.url).password };
  const environment = {
    ...{ DATABASE_URL: test.url, AUTH_SECRET: secrets.auth, SMTP_URL: at('smtp', secrets.mail, nowhere), LOG_LEVEL: 'trace' },
    ...{ NOTIFY_RETRY_SECONDS: '1', NOTIFY_TIMEOUT_SECONDS: '1' },
  };
  const holdfast = startHoldfast(environment);
  const url = await holdfast.url();
  const answers: string[] = [];
  const send = async (path: string, body: string | undefined, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${url}${path}`, { method: body === undefined ? 'GET' : 'POST', body, headers });
    answers.push(JSON.stringify([...answer.headers]), await answer.text());
  };
  const json = { 'content-type': 'application/json', cookie: `session=${secrets.cookie}` };
  const bearer = { ...json, authorization: `Bearer ${secrets.token}` };
  const query = (text: string, variables?: object) => JSON.stringify({ query: text, variables });
  await send('/graphql', query('{ orders(first: 1) { nodes { id } } }'), bearer);
  await send('/graphql', query('{ nothing }'), { ...json, authorization: `Basic ${secrets.cookie}` });
  await send('/graphql', '{', bearer);
  await send('/create_order', '{"customerId":"C"}', bearer);
  await send(`/nowhere?token=${secrets.token}`, undefined, bearer);
  const subscribe = 'mutation ($input: SubscribeInput!) { subscribeToNotifications(input: $input) { __typename } }';
  await send('/graphql', query(subscribe, { input: { customerId: 'C', secret: secrets.webhook } }), json);
  await send('/graphql', query(subscribe.replace('$input)', `{ secret: "${secrets.webhook}" "${secrets.webhook}"`)), json);

  const wish = { customerId: 'C', channel: 'EMAIL', target: 'c@example.com' };
  await holdfast.ask(subscribe, { input: wish });
  await holdfast.ask(subscribe, {
    input: { ...wish, channel: 'WEBHOOK', target: 'http://203.0.113.1:9/', secret: secrets.webhook },
  });
  const asked = { input: { customerId: 'C', items: [{ productId: 1, quantity: 1 }] } };
  await holdfast.ask('mutation ($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }', asked);
  // Of a mail server that is away, and of a receiver whom nobody may reach.
  await eventually(async () => (await test.database.notificationDeliveryAttempt.count()) >= 2, 20_000);
  const shown =
    '{ notificationDeliveries(first: 9) { nodes { attempts { error } } } notificationSubscriptions(customerId: "C", first: 9) { nodes { target } } }';
  answers.push(JSON.stringify(await holdfast.ask(shown).catch(String)));
  for (const path of ['/metrics', '/health', '/health/ready', '/openapi.json', '/asyncapi']) await send(path, undefined);
  expect(await holdfast.end('SIGTERM')).toBe(0);
  const printed = holdfast.screen() + holdfast.complaints();
  expect(printed.length).toBeGreaterThan(1_000);
  expect(shownIn(printed, real)).toEqual([]);
  expect(shownIn(answers.join('\n'), real)).toEqual([]);
}, 60_000);

describe('redacted', () => {
  it('hides what it was told of in every form it can take', () => {
    const odd = 'a"quote\\and/slash@' + planted('odd');
    hideSecrets([odd, undefined, 'short']);
    const texts = [odd, JSON.stringify({ odd }), encodeURIComponent(odd), `x${odd}y`];
    for (const text of texts) expect(redacted(text)).not.toContain('planted-odd');
    expect(JSON.parse(redacted(JSON.stringify({ odd })))).toEqual({ odd: '***' });
    expect(redacted('a short word')).toBe('a short word');
  });

  it.each([
    [`authorization: Bearer ${secrets.token}`, 'authorization: Bearer ***'],
    [`{"secret":"${secrets.webhook}"}`, '{"secret":"whsec_***"}'],
    ['a bearer of good news, basic needs', 'a bearer of good news, basic needs'],
  ])('%s', (text, shown) => expect(redacted(text)).toBe(shown));

  it('knows every secret of the configuration', () => {
    const environment = {
      DATABASE_URL: at('postgresql', 'p%40ss-of-postgres', '127.0.0.1', '/x'),
      RABBITMQ_URL: `${at('amqp', 'pass-of-one', '127.0.0.1')},${at('amqp', 'pass-of-two', '127.0.0.1')}`,
      SMTP_URL: at('smtps', 'pass-of-mail', 'mail.example'),
      AUTH_SECRET: secrets.auth,
      HOLDFAST_TOKEN: secrets.token,
    };
    const expected = ['p%40ss-of-postgres', 'p@ss-of-postgres', 'pass-of-one', 'pass-of-two', 'pass-of-mail', secrets.auth];
    expect([...new Set(secretsOf(readConfig(environment)))].sort()).toEqual([...expected, secrets.token].sort());
  });
});
