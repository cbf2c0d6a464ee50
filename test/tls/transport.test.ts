import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials, Client } from '@grpc/grpc-js';

import { migrate, openDatabase, startEmbeddedPostgres, waitForPostgres, type EmbeddedPostgres } from '../../src/database';
import { withConnection } from '../../src/database/connection';
import { developmentSecret, signToken } from '../../src/identity';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { startPrivateRabbitmq, type PrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';
import { aCa, type Ca, type Certified } from '../support/aCa';
import { eventually } from '../support/eventually';
import { startHoldfast } from '../support/holdfastProcess';

let [ca, strangers]: (Ca | undefined)[] = [];
let good: Certified, expired: Certified, ours: Certified;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  [ca, strangers] = [aCa(), aCa()];
  good = ca.certify('server', 'DNS:localhost');
  expired = ca.certify('expired', 'DNS:localhost', -1);
  ours = ca.certify('client', 'DNS:holdfast');
});
afterAll(() => {
  for (const made of [ca, strangers]) made?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** The same certificate files for both servers, so that one expiry is enough for both. */
function serve({ cert, key }: Certified): void {
  copyFileSync(cert, join(folder, 'served.pem'));
  copyFileSync(key, join(folder, 'served.key'));
}

const aPort = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

(findRabbitmqServer() ? describe : describe.skip)('TLS to a real Postgres and a real RabbitMQ', () => {
  let postgres: EmbeddedPostgres, rabbitmq: PrivateRabbitmq;
  let amqpsPort: number;

  /** The URL of a database over TLS. */
  const databaseUrl = (parameters: Record<string, string> = {}, { host = 'localhost', name = 'holdfast' } = {}) => {
    const url = new URL(postgres.url);
    url.hostname = host;
    url.pathname = `/${name}`;
    for (const [key, value] of Object.entries({ sslmode: 'verify-full', sslrootcert: ca!.file, ...parameters }))
      url.searchParams.set(key, value);
    return url.href;
  };
  const brokerUrl = (parameters: Record<string, string> = {}, host = 'localhost') => {
    const url = new URL(rabbitmq.url.replace('amqp:', 'amqps:'));
    url.host = `${host}:${amqpsPort}`;
    const all = { cacertfile: ca!.file, certfile: ours.cert, keyfile: ours.key, ...parameters };
    for (const [key, value] of Object.entries(all)) if (value) url.searchParams.set(key, value);
    return url.href;
  };
  const open = (url: string, bootTimeoutMs = 3_000) =>
    connectRabbitmq({ url, random: () => 0.5, bootTimeoutMs, reconnectDelayMaxMs: 200 });
  const present = async (certified: Certified) => {
    serve(certified);
    await rabbitmq.control('eval', 'ssl:clear_pem_cache().');
    await withConnection(postgres.url, (client) => client.query('SELECT pg_reload_conf()'));
  };

  beforeAll(async () => {
    serve(good);
    amqpsPort = await aPort();
    const settings = [
      `listeners.ssl.1 = 127.0.0.1:${amqpsPort}`,
      `ssl_options.cacertfile = ${ca!.file}`,
      `ssl_options.certfile = ${join(folder, 'served.pem')}`,
      `ssl_options.keyfile = ${join(folder, 'served.key')}`,
      'ssl_options.verify = verify_peer',
      'ssl_options.fail_if_no_peer_cert = true',
    ];
    [postgres, rabbitmq] = await Promise.all([
      startEmbeddedPostgres({ dataDir: join(folder, 'postgres'), port: 0 }),
      startPrivateRabbitmq({ dataDir: join(folder, 'rabbitmq'), settings }),
    ]);
    await withConnection(postgres.url, async (client) => {
      await client.query(`ALTER SYSTEM SET ssl_cert_file = '${join(folder, 'served.pem')}'`);
      await client.query(`ALTER SYSTEM SET ssl_key_file = '${join(folder, 'served.key')}'`);
      await client.query('ALTER SYSTEM SET ssl = on');
      await client.query('SELECT pg_reload_conf()');
    });
  });
  afterAll(() => Promise.all([postgres.stop(), rabbitmq.stop()]));

  it('an order goes through, with every connection encrypted, and HTTPS and gRPC over TLS at the door (S0.8, S2.20)', async () => {
    const environment = {
      ...{ DATABASE_URL: databaseUrl({}, { name: 'shop' }), RABBITMQ_URL: brokerUrl(), HOLDFAST_DATA: join(folder, 'data') },
      ...{ TLS_CERT_FILE: good.cert, TLS_KEY_FILE: good.key },
    };
    // It migrates by itself, over TLS too.
    await withConnection(postgres.url, (client) => client.query('CREATE DATABASE shop'));
    const holdfast = startHoldfast(environment);
    try {
      const url = (await holdfast.url()).replace('127.0.0.1', 'localhost');
      expect(url).toMatch(/^https:/);
      const secret = (await developmentSecret(environment.HOLDFAST_DATA))!;
      const authorization = `Bearer ${await signToken(secret, { role: 'operator', name: 'test' }, 600)}`;
      const ask = (query: string) => post(`${url}/graphql`, { query }, { authorization });
      const created = await ask(
        'mutation { createProduct(input: { sku: "T", name: "T", price: 1, onHand: 1 }) { ... on Product { id } } }',
      );
      const { id } = (created.data as { createProduct: { id: number } }).createProduct;
      const items = `[{ productId: ${id}, quantity: 1 }]`;
      const placed = await ask(`mutation { createOrder(input: { customerId: "C", items: ${items} }) { ... on Order { id } } }`);
      const order = (placed.data as { createOrder: { id: string } }).createOrder.id;
      await eventually(async () => JSON.stringify(await ask(`{ order(id: "${order}") { status } }`)).includes('CONFIRMED'));
      expect(await plainConnections()).toEqual({ postgres: [], rabbitmq: [] });
      const target = /gRPC +(\S+)/.exec(holdfast.screen())![1]!.replace('127.0.0.1', 'localhost');
      expect(await grpcReady(target, ca!.file, 30_000)).toBe('ready');
      expect(await grpcReady(target, strangers!.file, 1_500)).toBe('refused');
    } finally {
      expect(await holdfast.end('SIGTERM')).toBe(0);
    }
  });

  const plainConnections = async () => {
    const url = databaseUrl({}, { name: 'shop' });
    const { rows } = await withConnection(url, (client) =>
      client.query<{ name: string; ssl: boolean }>(
        `SELECT application_name AS name, ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = 'shop'`,
      ),
    );
    expect(rows.length).toBeGreaterThan(1);
    const connections = (await rabbitmq.control('list_connections', 'ssl', 'port')).trim().split('\n').slice(1);
    expect(connections.length).toBeGreaterThan(1);
    return { postgres: rows.filter(({ ssl }) => !ssl), rabbitmq: connections.filter((line) => !line.startsWith('true')) };
  };

  it.each<[string, () => Record<string, string>, string, string]>([
    ['another CA', () => ({ sslrootcert: strangers!.file }), 'localhost', 'not signed by a CA that we trust'],
    ['another host name', () => ({}), '127.0.0.1', 'for another host name'],
  ])(
    'Postgres with a certificate of %s is refused at once, at the start and in the pool, and told so',
    async (_, parameters, host, words) => {
      const url = databaseUrl(parameters(), { host });
      const startedAt = performance.now();
      await expect(waitForPostgres(url)).rejects.toThrow(words);
      // It would wait for half a minute for a server that is not there yet.
      expect(performance.now() - startedAt).toBeLessThan(15_000);
      await expect(migrate(url)).rejects.toThrow(words);
      const database = openDatabase({ url, poolSize: 2 });
      await expect(database.$queryRaw`SELECT 1`).rejects.toThrow();
      await database.close();
    },
  );

  it.each<[string, () => Record<string, string>, string, string]>([
    ['another CA', () => ({ cacertfile: strangers!.file }), 'localhost', 'not signed by a CA that we trust'],
    ['another host name', () => ({}), '127.0.0.1', 'for another host name'],
  ])('RabbitMQ with a certificate of %s is refused and told so', async (_, parameters, host, words) => {
    await expect(open(brokerUrl(parameters(), host))).rejects.toThrow(words);
  });

  it('Postgres and RabbitMQ with an expired certificate are refused and told so, and taken again with a new one', async () => {
    await present(expired);
    await eventually(async () => {
      await expect(waitForPostgres(databaseUrl())).rejects.toThrow('has expired');
      return true;
    });
    await expect(open(brokerUrl())).rejects.toThrow('has expired');
    await present(good);
    await eventually(() => waitForPostgres(databaseUrl()).then(() => true));
    const broker = await open(brokerUrl(), 30_000);
    expect(broker.status()).toMatchObject({ state: 'ready', detail: `amqps://localhost:${amqpsPort}` });
    await broker.close();
  });

  it('who shows RabbitMQ no certificate, or one of another CA, is not let in', async () => {
    await expect(open(brokerUrl({ certfile: '', keyfile: '' }))).rejects.toThrow('No connection to RabbitMQ');
    const other = strangers!.certify('client', 'DNS:holdfast');
    await expect(open(brokerUrl({ certfile: other.cert, keyfile: other.key }))).rejects.toThrow('No connection to RabbitMQ');
  });

  it('a server that does not speak TLS is not spoken to in plain text', async () => {
    const plain = new URL(brokerUrl());
    plain.host = `localhost:${rabbitmq.port}`;
    await expect(open(plain.href)).rejects.toThrow('does not speak TLS');
    await withConnection(postgres.url, (client) => client.query('ALTER SYSTEM SET ssl = off'));
    await withConnection(postgres.url, (client) => client.query('SELECT pg_reload_conf()'));
    await eventually(async () => {
      await expect(waitForPostgres(databaseUrl())).rejects.toThrow('does not support SSL');
      return true;
    });
  });
});

function post(url: string, body: object, headers: Record<string, string>): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', ca: readFileSync(ca!.file), headers: { 'content-type': 'application/json', ...headers } };
    const sent = request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>));
    });
    sent.on('error', reject).end(JSON.stringify(body));
  });
}

function grpcReady(target: string, trusted: string, limitMs: number): Promise<'ready' | 'refused'> {
  const client = new Client(target, credentials.createSsl(readFileSync(trusted)));
  return new Promise((resolve) => {
    client.waitForReady(Date.now() + limitMs, (error) => {
      client.close();
      resolve(error ? 'refused' : 'ready');
    });
  });
}
