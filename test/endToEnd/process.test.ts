import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';

import { eventually, oneOfThree } from '../support/eventually';
import { startHoldfast, type HoldfastProcess } from '../support/holdfastProcess';

/** `npm start` as a process: its first screen, its end by every signal, and what is left when it dies in the middle. */
let folder: string;
let dataDir: string;
let running: HoldfastProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-process-'));
  // Data as a first start and a clean stop leave it: a copy spares each test a cluster, the migrations and the seed.
  const first = startHoldfast({ HOLDFAST_DATA: join(folder, 'prepared') });
  await first.url();
  await first.end('SIGTERM');
});
beforeEach(async () => {
  dataDir = join(folder, 'data');
  await cp(join(folder, 'prepared'), dataDir, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(running.map((holdfast) => holdfast.end('SIGKILL')));
  running = [];
  await eventually(() => rm(dataDir, { recursive: true, force: true }).then(() => true));
});

const start = (environment: Record<string, string> = {}, ...args: string[]) => {
  const holdfast = startHoldfast({ HOLDFAST_DATA: dataDir, ...environment }, ...args);
  running.push(holdfast);
  return holdfast;
};
const place = async (holdfast: HoldfastProcess, key: string) => {
  const input = `{ customerId: "CUST-1", idempotencyKey: "${key}", items: [{ sku: "BAG-CANVAS", quantity: 1 }] }`;
  const data = await holdfast.ask<{ createOrder: { id: string } }>(
    `mutation { createOrder(input: ${input}) { ... on Order { id } } }`,
  );
  return data.createOrder.id;
};
/** Orders at once, of which some fail when the process ends: their outcomes are awaited from the start, for a failure that nobody awaits yet ends the test. */
function placeMany(holdfast: HoldfastProcess, count: number) {
  const acknowledged: string[] = [];
  const placing = Array.from({ length: count }, async (_, index) => acknowledged.push(await place(holdfast, `k-${index}`)));
  return { acknowledged, outcomes: Promise.allSettled(placing) };
}
const statusOf = async (holdfast: HoldfastProcess, id: string) =>
  (await holdfast.ask<{ order: { status: string } | null }>(`{ order(id: "${id}") { status } }`)).order?.status;

it('prints its first screen line by line, and takes the first order', async () => {
  dataDir = join(folder, 'new');
  const holdfast = start();
  await holdfast.url();
  const screen = await eventually(() => (holdfast.screen().includes('Ctrl-C') ? holdfast.screen() : undefined));
  const still = screen
    .replaceAll(dataDir, '<data>')
    .replace(/node \d+\.\d+\.\d+/, 'node <version>')
    .replace(/embedded \d+\.\d+/, 'embedded <version>')
    .replace(/(?<=:|port )\d{4,5}(?=[/ ])/g, '<port>')
    .replace(/ +\d+\.\d s$/gm, ' <time>');
  expect(still).toMatchInlineSnapshot(`
   "holdfast 0.1.0 · node <version> · data <data>/ (delete it to start over)

   ✔ postgres   embedded <version>, new cluster, port <port> <time>
   ✔ migrate    12 migrations applied <time>
   ✔ broker     in process (set RABBITMQ_URL for RabbitMQ) <time>
   ✔ seed       24 products added, 1105 units; 0 were there <time>
   ✔ roles      gateway, orders, inventory, accounts, notifications <time>

     GraphQL    http://127.0.0.1:<port>/graphql   (a playground, in a browser)
     REST       http://127.0.0.1:<port>/openapi.json   (describes it)
     Events     http://127.0.0.1:<port>/asyncapi   (describes them)
     gRPC       127.0.0.1:<port>   (proto/holdfast/v1)
     Login      npm run -s token   (an operator's, for development; the playground has one)
     Health     http://127.0.0.1:<port>/health
     Metrics    http://127.0.0.1:<port>/metrics
     Postgres   postgresql://holdfast:***@127.0.0.1:<port>/holdfast
     Next       npm run simulate -- --orders 1000   (in another terminal)

     Ctrl-C stops it; nothing acknowledged is lost.
   "
  `);
  await oneOfThree(async () => {
    const id = await place(holdfast, uuidv7());
    await eventually(async () => (await statusOf(holdfast, id)) === 'CONFIRMED', 1_000);
  });
  expect(await holdfast.end('SIGTERM')).toBe(0);
  expect(holdfast.screen()).toContain('roles stopped, 0 messages unsettled\nstopped');
  expect(holdfast.complaints()).toBe('');
});

it('killed with -9 in the middle of 300 orders and started again: every acknowledged order is there and is decided (S2.13, S4.6)', async () => {
  const first = start({ INTAKE_MAX: '64' });
  await first.url();
  const { acknowledged, outcomes } = placeMany(first, 300);
  await eventually(() => acknowledged.length >= 60);
  await first.end('SIGKILL');
  await outcomes;
  const known = [...acknowledged];

  const second = start();
  await eventually(async () => {
    const statuses = await Promise.all(known.map((id) => statusOf(second, id)));
    expect(statuses).not.toContain(undefined);
    return statuses.every((status) => status === 'CONFIRMED' || status === 'CANCELLED');
  });
  expect(known.length).toBeGreaterThanOrEqual(60);
  const { product } = await second.ask<{ product: { onHand: number; reserved: number } }>(
    `{ product(sku: "BAG-CANVAS") { onHand reserved } }`,
  );
  expect(product.reserved).toBeLessThanOrEqual(product.onHand);
  expect(await second.end('SIGTERM')).toBe(0);
});

it('SIGTERM under load: what was acknowledged is decided before it ends, and nothing is left for the next start', async () => {
  const first = start();
  await first.url();
  const { acknowledged, outcomes } = placeMany(first, 200);
  await eventually(() => acknowledged.length >= 20);
  expect(await first.end('SIGTERM')).toBe(0);
  await outcomes;
  expect(first.screen()).toContain('roles stopped, 0 messages unsettled\nstopped');

  const second = start();
  const statuses = await Promise.all(acknowledged.map((id) => statusOf(second, id)));
  expect(statuses).not.toContain(undefined);
  expect(statuses).not.toContain('PENDING');
  expect(await second.end('SIGTERM')).toBe(0);
});

it('a signal during the start takes back what was started, and two within a second are one', async () => {
  const first = start({ RABBITMQ_URL: 'amqp://127.0.0.1:9' });
  await eventually(() => first.screen().includes('✔ migrate'));
  first.signal('SIGINT');
  first.signal('SIGINT');
  expect(await first.ended).toBe(0);
  expect(first.screen()).toContain('stopped');
  const second = start();
  await second.url();
});

it('a later second signal ends at once', async () => {
  const holdfast = start({ DRAIN_SECONDS: '60' });
  const url = await holdfast.url();
  // A request whose body never ends keeps the door open while it drains.
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
  const head = 'host: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n';
  socket.write(`POST /graphql HTTP/1.1\r\n${head}`);
  await once(socket, 'data');
  holdfast.signal('SIGTERM');
  let hasEnded = false;
  void holdfast.ended.then(() => (hasEnded = true));
  await eventually(() => {
    holdfast.signal('SIGTERM');
    return hasEnded;
  });
  expect(await holdfast.ended).toBe(130);
  socket.destroy();
});

it('a second one on the same data is refused with a line that names the first', async () => {
  const first = start();
  await first.url();
  const second = start();
  expect(await second.ended).toBe(1);
  expect(second.complaints() + second.screen()).toContain(String(first.pid));
});

it('a busy port is one line that says what to do, and leaves nothing running', async () => {
  const first = start();
  const port = new URL(await first.url()).port;
  const otherData = join(dataDir, 'other');
  const second = start({ PORT: port, HOLDFAST_DATA: otherData });
  expect(await second.ended).toBe(1);
  expect(second.complaints()).toContain(`Port ${port}`);
  expect(second.complaints()).toContain('PORT');
  const third = start({ HOLDFAST_DATA: otherData });
  await third.url();
});

it('wrong options end with 64 and a line', async () => {
  const wrong: [string[], Record<string, string>, string][] = [
    [['--roles', 'gateway,cashier'], {}, 'there is no role "cashier"'],
    [['--roles', 'gateway'], {}, 'needs DATABASE_URL and RABBITMQ_URL'],
    [['--frobnicate'], {}, '--frobnicate'],
    [[], { PORT: 'http', CURRENCY: 'euro' }, 'PORT: must be a number'],
  ];
  const ends = wrong.map(async ([args, environment, line]) => {
    const holdfast = start(environment, ...args);
    expect([line, await holdfast.ended]).toEqual([line, 64]);
    expect(holdfast.complaints()).toContain(line);
  });
  await Promise.all(ends);
});
