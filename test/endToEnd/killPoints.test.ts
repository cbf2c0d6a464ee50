import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { audit, everything, type Acknowledged } from '../../scripts/audit';
import { leaveBehind } from '../../scripts/chaos/leftBehind';
import { openDatabase, readRuntime, type Database } from '../../src/database';
import { failpoints, type FailpointName } from '../../src/faults';
import { accountsOn, inventoryOn, aProduct } from '../support/anOrder';
import { testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';
import { startHoldfast, type HoldfastProcess } from '../support/holdfastProcess';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/**
 * A process is killed by its own hand at every failpoint, with clients ordering, cancelling and fulfilling the while; then the
 * database is held against what they were told. `npm test` takes every tenth point, `npm run test:long` all of them; the same again
 * and again: `npm run chaos -- --kill-points`.
 */
const isLong = process.env.HOLDFAST_TESTS === 'long';
/** Against what hangs: for each point a process starts and dies, three at a time. */
const atMostMs = isLong ? 1_200_000 : 180_000;
const url = testRabbitmqUrl();
const settings = { ORDER_REPUBLISH_SECONDS: '2', ORDER_DEADLINE_SECONDS: '60', DRAIN_SECONDS: '2', DATABASE_POOL_SIZE: '4' };
let running: HoldfastProcess[] = [];

afterEach(async () => {
  await Promise.all(running.map((holdfast) => holdfast.end('SIGKILL')));
  running = [];
});

const start = (environment: Record<string, string>, ...args: string[]) => {
  const holdfast = startHoldfast({ ...settings, ...environment }, ...args);
  running.push(holdfast);
  return holdfast;
};

/** Clients who keep at it until they are told to stop, whatever becomes of the process they talk to. */
function startClients(database: Database, productId: number) {
  const acknowledged: Acknowledged[] = [];
  const stopping = new AbortController();
  let keys = 0;

  /** What is to be closed is paid, too. */
  async function order(holdfast: HoldfastProcess, closing: 'cancelOrder' | 'fulfilOrder' | undefined) {
    const [customerId, idempotencyKey, lines] = ['CUST-kill', `k-${++keys}`, [{ productId, quantity: 1 }]];
    const payment = closing === undefined ? 'NONE' : 'BALANCE';
    const input = { customerId, idempotencyKey, items: lines, payment };
    const placed = await holdfast.ask<{ createOrder: { id: string } }>(creation, { input });
    const orderId = placed.createOrder.id;
    acknowledged.push({ orderId, customerId, idempotencyKey, lines });
    // Before its stock is held, while it is paid, and after: only then is there money to give back.
    if (closing === 'cancelOrder') await pause(300 * (keys % 4));
    if (closing !== undefined) await close(holdfast, orderId, closing);
  }

  /** An order that is still PENDING cannot be fulfilled: asked again until it can. */
  async function close(holdfast: HoldfastProcess, orderId: string, closing: 'cancelOrder' | 'fulfilOrder') {
    for (let attempt = 1; attempt <= 100 && !stopping.signal.aborted; attempt++) {
      const mutation = `mutation { closed: ${closing}(orderId: "${orderId}") { __typename } }`;
      const { closed } = await holdfast.ask<{ closed: { __typename: string } }>(mutation);
      if (closed.__typename === 'Order') return;
      await pause(100);
    }
  }

  /** Other quantities for an order, as soon as it is CONFIRMED. */
  async function change(holdfast: HoldfastProcess) {
    const input = { customerId: 'CUST-change', items: [{ productId, quantity: 1 }] };
    const { createOrder } = await holdfast.ask<{ createOrder: { id: string } }>(creation, { input });
    for (let attempt = 1; attempt <= 20 && !stopping.signal.aborted; attempt++) {
      const items = `[{ productId: ${productId}, quantity: 2 }]`;
      const mutation = `mutation { changed: updateOrder(input: { orderId: "${createOrder.id}", items: ${items} }) { __typename } }`;
      const { changed } = await holdfast.ask<{ changed: { __typename: string } }>(mutation);
      if (changed.__typename === 'Order') return;
      await pause(100);
    }
  }

  return {
    acknowledged,
    /** Talks to this process until it or the test ends. */
    async talkTo(holdfast: HoldfastProcess) {
      let isOver = false;
      void holdfast.ended.then(() => (isOver = true));
      await holdfast.url().catch(() => undefined);
      const closings = [undefined, 'cancelOrder', 'fulfilOrder'] as const;
      const atIt = async (what: () => Promise<void>) => {
        while (!isOver && !stopping.signal.aborted) {
          await what().catch(() => undefined);
          await pause(20);
        }
      };
      await Promise.all([...closings.map((closing) => atIt(() => order(holdfast, closing))), atIt(() => change(holdfast))]);
    },
    /** What crashes leave for sweeps and watchdogs to find, and what is sent by message; a database that is away is waited for. */
    async leaveBehind() {
      const kinds = ['unpublished', 'requested', 'repeated', 'commanded', 'late', 'overdue'] as const;
      for (let turn = 0; !stopping.signal.aborted; turn++) {
        await leaveBehind(database, kinds[turn % kinds.length]!, 'CUST-left', productId).catch(() => undefined);
        await pause(100);
      }
    },
    stop: () => stopping.abort(),
  };
}

const creation = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ... on Order { id } } }';

const untilAllHolds = (database: Database, acknowledged: Acknowledged[]) =>
  eventually(async () => {
    const outcomes = await audit(database, { ...everything, acknowledged });
    const broken = outcomes.filter((outcome) => outcome.broken > 0);
    expect(broken).toEqual([]);
    return true;
  });

const within = <T>(event: Promise<T>, limitMs: number) => Promise.race([event, pause(limitMs, undefined, { ref: false })]);

const roleOf = (point: FailpointName) => {
  if (/^(createOrder|closeOrder|updateOrder|relay\.(published|confirmed|removed))/.test(point)) return 'gateway';
  if (/accounts|^(capture|close)Payments|^payment\.process/.test(point)) return 'accounts';
  if (point.includes('notifications')) return 'notifications';
  return /^(stock\.replies|payment\.replies|new_orders_queue|order\.update\.|watchdog|relay)/.test(point)
    ? 'orders'
    : 'inventory';
};

/** The consumer is the same at every queue: before and behind its transactions it dies at those of inventory, and at length at all. */
const struckHere = failpoints.filter(
  ({ name }) =>
    !/^(order\.reserved|payment|reservation\.amend|new_orders_queue|order\.update|order\..*\.notifications).*\.(starting|acked)$/.test(
      name,
    ),
);

(url ? describe : describe.skip)('distributed over RabbitMQ', () => {
  let testDatabase: TestDatabase;
  beforeAll(async () => (testDatabase = await createTestDatabase()));
  afterAll(() => testDatabase.drop());

  it(
    `a process dies at every ${isLong ? 'point' : 'tenth point'}, and no order is lost, doubled, oversold, unpaid or stuck (F1, F2, F9, S3.7)`,
    async () => {
      const { database } = testDatabase;
      const environment = { DATABASE_URL: testDatabase.url, RABBITMQ_URL: url! };
      const productId = await aProduct(inventoryOn(database), 100_000);
      const survivor = start(environment);
      const clients = startClients(database, productId);
      const busy = [clients.talkTo(survivor), clients.leaveBehind()];
      await accountsOn(database).deposit({ customerId: 'CUST-kill', amount: 100_000_000_000, reference: 'all' });
      const points = struckHere.map((point) => point.name).filter((_name, index) => isLong || index % 10 === 0);
      const wanted = points.length;
      const deaths: [FailpointName, string | null | undefined][] = [];

      // The survivor plays every role: what a victim leaves undone has someone to do it.
      const strikeInTurn = async () => {
        for (let point = points.shift(); point !== undefined; point = points.shift()) {
          const victim = start({ ...environment, FAIL: `${point}:1:kill9` }, '--roles', roleOf(point));
          if (roleOf(point) === 'gateway') void clients.talkTo(victim);
          deaths.push([point, await within(victim.endedBy, 40_000)]);
          expect(victim.complaints()).toContain(`failpoint ${point} fires: kill9`);
        }
      };
      await survivor.url();
      await Promise.all([strikeInTurn(), strikeInTurn(), strikeInTurn()]).finally(() => clients.stop());
      await Promise.all(busy);
      expect(deaths).toHaveLength(wanted);
      expect(deaths.filter(([, signal]) => signal !== 'SIGKILL')).toEqual([]);
      await untilAllHolds(database, clients.acknowledged);
      expect(clients.acknowledged.length).toBeGreaterThan(50);
      expect(await survivor.end('SIGTERM')).toBe(0);
    },
    atMostMs,
  );
});

it('embedded: the whole process dies at a point and starts again on the same folder, with everything it acknowledged', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'holdfast-kill-points-'));
  const first = start({ HOLDFAST_DATA: dataDir });
  await first.url();
  const { databaseUrl } = (await readRuntime(dataDir))!;
  const database = openDatabase({ url: databaseUrl, poolSize: 2 });
  const productId = await aProduct(inventoryOn(database), 100_000);
  const clients = startClients(database, productId);
  const leaving = clients.leaveBehind();
  await first.end('SIGKILL');

  const points = ['createOrder.committed', 'relay.claimed', 'stock.replies.orders.committed'].slice(isLong ? 0 : 2);
  const deaths: unknown[] = [];
  for (const point of points) {
    const holdfast = start({ HOLDFAST_DATA: dataDir, FAIL: `${point}:2:kill9` });
    void clients.talkTo(holdfast);
    deaths.push([point, await within(holdfast.endedBy, 40_000)]);
  }
  clients.stop();
  await leaving;
  expect(deaths).toEqual(points.map((point) => [point, 'SIGKILL']));
  const last = start({ HOLDFAST_DATA: dataDir });
  await last.url();
  await untilAllHolds(database, clients.acknowledged);
  expect(clients.acknowledged.length).toBeGreaterThan(0);
  await database.close();
  expect(await last.end('SIGTERM')).toBe(0);
  await rm(dataDir, { recursive: true, force: true });
});
