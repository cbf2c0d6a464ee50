import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { audit, type AuditOutcome } from './audit';
import { freePort } from './chaos/fleet';
import { openWorld, type World } from './chaos/world';
import { exitCodes, runScript } from './exit';
import { attackDoors, type DoorsOutcome } from './fuzz/attackDoors';
import { attackGraphql, schemaOf, type GraphqlAttack } from './fuzz/attackGraphql';
import { attackQuestions, type QuestionOutcome } from './fuzz/attackQuestions';
import { attackQueues, type QueueOutcome } from './fuzz/attackQueues';
import { besideNeighbour } from './fuzz/besideNeighbour';
import { startNeighbourThread } from './fuzz/neighbourThread';
import { readOptions, usage, type FuzzOptions } from './fuzz/options';
import { startProgress } from './fuzz/progress';
import { report, resultOf, type FuzzResult, type GraphqlBeside } from './fuzz/report';
import { type RequestKind } from './fuzz/request';
import { type KnownValues } from './fuzz/values';
import { type Violation } from './fuzz/violation';
import { ownLogin } from './login';
import { createClient, type Client } from './simulate/client';
import { createProduct } from './simulate/products';

/** `npm run fuzz`: attacks a Holdfast of its own with requests and messages that nobody should send, and gives a verdict. */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (!options) return printUsage();
  const signal = abortOnSignal(options.timeoutMs);
  say('Starting Postgres, RabbitMQ, and one process of each role.');
  const grpcPort = await freePort();
  const world = await openWorld({
    roles: { gateway: 1, orders: 1, inventory: 1, accounts: 1, notifications: 1 },
    settings: { LOG_LEVEL: 'error', GRPC_PORT: String(grpcPort) },
  });
  const url = world.fleet.gatewayUrls[0]!;
  const client = createClient({ login: ownLogin.token, urls: [url], connections: 2, retryMs: 30_000, signal });
  try {
    return await fuzz(options, { world, url, grpcTarget: `127.0.0.1:${grpcPort}`, client, signal });
  } finally {
    await client.close();
    await world.close();
  }
}

interface Stage {
  world: World;
  url: string;
  grpcTarget: string;
  client: Client;
  signal: AbortSignal;
}

async function fuzz(options: FuzzOptions, stage: Stage): Promise<number> {
  const known = await prepare(stage.client, options.seed);
  const memoryAtStart = stage.world.fleet.members.map(({ name, memoryMiB }) => ({ name, start: memoryMiB }));
  const graphql = options.graphql > 0 ? await onGraphql('graphql', options, known, stage) : undefined;
  const hostile = options.hostile > 0 ? await onGraphql('hostile', options, known, stage) : undefined;
  const doors = options.doors > 0 ? await onDoors(options, stage) : undefined;
  await atRest(stage);
  const questions = options.amqp > 0 ? await onQuestions(options, stage) : undefined;
  const amqp = options.amqp > 0 ? await onQueues('amqp', { ...options, payloads: options.amqp, huge: 1 }, stage) : undefined;
  const poison =
    options.poison > 0
      ? await onQueues('poison', { ...options, payloads: options.poison, huge: 0, oneBadIn: 50 }, stage)
      : undefined;
  if (stage.signal.aborted) return interrupted();

  const markerMs = await confirmMarker(known, stage);
  await atRest(stage);
  const outcomes = await auditAll(stage);
  const memory = Object.fromEntries(
    memoryAtStart.map(({ name, start }, index) => [name, { start, peak: stage.world.fleet.members[index]!.peakMiB }]),
  );
  const attacks = { graphql, hostile, doors, amqp, questions, poison };
  const violations = Object.values(attacks).flatMap((outcome) => outcome?.violations ?? []);
  violations.push(...survival({ graphql, hostile, markerMs, memory }, stage));
  const result = resultOf(options, { ...attacks, markerMs, memory, violations }, outcomes);
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : report(result, outcomes));
  return result.verdict === 'PASS' ? exitCodes.passed : exitCodes.broken;
}

/** Some products with stock for all, and an order, so that good messages have something to be about. */
async function prepare(client: Client, seed: number): Promise<KnownValues> {
  const known: KnownValues = { productIds: [], skus: [], customers: ['fuzz', `fuzz-${seed}`], orderIds: [], cursors: [] };
  for (let index = 1; index <= 10; index++) {
    const sku = `FUZZ-${randomBytes(4).toString('hex')}-${index}`;
    known.skus.push(sku);
    known.productIds.push(await createProduct(client, { sku, name: `Fuzzed ${index}`, price: 1_999, onHand: 100_000_000 }));
  }
  const input = { customerId: 'fuzz', items: [{ productId: known.productIds[0]!, quantity: 1 }] };
  const { createOrder } = await client.ask<{ createOrder: { id: string } }>(creation, { input });
  known.orderIds.push(createOrder.id);
  return known;
}

/** Requests of every kind, or only hostile ones; a customer orders beside them, of another login and over connections of its own. */
async function onGraphql(
  name: 'graphql' | 'hostile',
  { seed, concurrency, as, ...doses }: FuzzOptions,
  known: KnownValues,
  { world, url, client, signal }: Stage,
): Promise<GraphqlBeside> {
  const requests = doses[name];
  const kinds: readonly RequestKind[] | undefined = name === 'hostile' ? ['hostile'] : undefined;
  const place = { url, healthUrl: url.replace('/graphql', '/health/live'), schema: await schemaOf(url) };
  const attacker = as === 'customer' ? ({ role: as, customerId: 'fuzz' } as const) : undefined;
  const authorization = `Bearer ${await ownLogin.token(attacker)}`;
  const gateway = world.fleet.membersOf('gateway')[0]!;
  const shared = { ...place, seed, concurrency, known, signal };
  const ask = (title: string, more: Pick<GraphqlAttack, 'authorization' | 'kinds' | 'requests'>) => {
    const progress = startProgress(title, process.stderr);
    const onProgress = (done: number) => progress.update(done, more.requests);
    return attackGraphql({ ...shared, ...more, onProgress }).finally(() => progress.stop());
  };
  say('First a customer orders alone, then beside requests that mean no harm, for comparison.');
  return besideNeighbour({
    ...{ neighbour: await moveIn({ url, client }), warmUpMs: 3_000, baselineMs: 10_000, signal },
    memoryMiB: () => gateway.memoryMiB,
    ordinary: async () => {
      const operator = `Bearer ${await ownLogin.token()}`;
      return ask('ordinary', { authorization: operator, kinds: ['valid'], requests: Math.min(requests, ORDINARY_MAX) });
    },
    attack: () => ask(name, { authorization, kinds, requests }),
  });
}

/** Enough for percentiles: about ten seconds of them. */
const ORDINARY_MAX = 1_000;

/** A customer who orders as often as one customer may for ever, and a product for it. */
async function moveIn({ url, client }: Pick<Stage, 'url' | 'client'>) {
  const customerId = `neighbour-${randomBytes(4).toString('hex')}`;
  const productId = await createProduct(client, { sku: customerId, name: 'Ordinary', price: 999, onHand: 10_000_000 });
  const authorization = `Bearer ${await ownLogin.token({ role: 'customer', customerId })}`;
  return startNeighbourThread({ url, authorization, customerId, productId, ordersPerSecond: 10 });
}

async function onDoors({ doors: calls, seed, concurrency }: FuzzOptions, stage: Stage): Promise<DoorsOutcome> {
  const { url, grpcTarget, client, signal } = stage;
  const known = await prepare(client, seed);
  const progress = startProgress('doors', process.stderr);
  const onProgress = (done: number) => progress.update(done, 2 * calls);
  const authorization = `Bearer ${await ownLogin.token()}`;
  const attack = { url: new URL(url).origin, grpcTarget, authorization, seed, calls, concurrency, known, signal, onProgress };
  return attackDoors(attack).finally(() => progress.stop());
}

async function onQueues(
  name: string,
  { seed, ...amount }: FuzzOptions & { payloads: number; huge: number; oneBadIn?: number },
  { world, client, signal }: Stage,
): Promise<QueueOutcome> {
  // Products of its own: requests may have taken any of the others off sale.
  const known = await prepare(client, seed);
  const progress = startProgress(name, process.stderr);
  return attackQueues({
    ...{ seed: amount.oneBadIn ? seed + 1 : seed, known, signal, ...amount },
    brokerUrl: world.broker.url,
    database: world.database,
    metrics: () => Promise.all(world.fleet.members.map((member) => member.metrics())),
    stuckAfterMs: 60_000,
    onProgress: (settled, sent) => progress.update(settled, sent),
  }).finally(() => progress.stop());
}

async function onQuestions({ seed, amqp }: FuzzOptions, { world, client, signal }: Stage): Promise<QuestionOutcome> {
  const known = await prepare(client, seed);
  const progress = startProgress('rpc', process.stderr);
  const onProgress = (answered: number, asked: number) => progress.update(answered, asked);
  const attack = { seed, known, questions: amqp, signal, onProgress, brokerUrl: world.broker.url };
  return attackQuestions(attack).finally(() => progress.stop());
}

/** An order like any other, placed when all is over. Its customers wait no longer than on any other day. */
async function confirmMarker({ productIds }: KnownValues, { client, signal }: Stage): Promise<number> {
  // The attack may have taken any of the products off sale: the marker has one of its own.
  const sku = `FUZZ-MARKER-${randomBytes(4).toString('hex')}`;
  const productId = await createProduct(client, { sku, name: 'Marker', price: productIds.length, onHand: 10 });
  const input = { customerId: 'fuzz-marker', items: [{ productId, quantity: 1 }] };
  const startedAt = performance.now();
  const { createOrder } = await client.ask<{ createOrder: { id: string } }>(creation, { input });
  while (!signal.aborted && performance.now() - startedAt < MARKER_LIMIT_MS) {
    const { order } = await client.ask<{ order: { status: string } }>(
      'query ($id: ID!) { order(id: $id) { status } }',
      createOrder,
    );
    if (order.status === 'CONFIRMED') break;
    await delay(20);
  }
  return Math.round(performance.now() - startedAt);
}

const creation = 'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ... on Order { id } } }';
const MARKER_LIMIT_MS = 10_000;
const SILENCE_LIMIT_MS = 5_000;
const MEMORY_LIMIT_MIB = 768;

/** What must hold of the processes themselves. */
function survival(
  { graphql, hostile, markerMs, memory }: Pick<FuzzResult, 'graphql' | 'hostile' | 'markerMs' | 'memory'>,
  { world }: Stage,
): Violation[] {
  const found = world.fleet.crashes().map((what) => ({ what, where: 'processes', sample: '' }));
  for (const attack of [graphql, hostile])
    if (attack && attack.silenceMs > SILENCE_LIMIT_MS)
      found.push({ what: `silent for ${attack.silenceMs} ms`, where: 'gateway', sample: JSON.stringify(attack.slowest) });
  if (markerMs >= MARKER_LIMIT_MS)
    found.push({ what: 'the order placed afterwards was not confirmed', where: 'marker', sample: '' });
  for (const [name, { peak }] of Object.entries(memory))
    if (peak > MEMORY_LIMIT_MIB) found.push({ what: `held ${peak} MiB`, where: name, sample: '' });
  return found;
}

/** Until no order waits for its decision and no event for its way out; what never gets there the audit will say. */
async function atRest({ world, signal }: Stage): Promise<void> {
  const deadline = performance.now() + REST_LIMIT_MS;
  while (!signal.aborted && performance.now() < deadline) {
    const [row] = await world.database.$queryRaw<{ open: number }[]>`
      SELECT (SELECT count(*) FROM orders.orders WHERE status = 'PENDING')::int
        + (SELECT count(*) FROM orders.outbox)::int + (SELECT count(*) FROM inventory.outbox)::int AS open`;
    if (row!.open === 0) return;
    await delay(200);
  }
}

const REST_LIMIT_MS = 120_000;

/** The database is this run's alone, so everything in it is looked at. */
async function auditAll({ world }: Stage): Promise<AuditOutcome[]> {
  const customers = await world.database.order.findMany({ distinct: ['customerId'], select: { customerId: true } });
  const products = await world.database.product.findMany({ select: { id: true } });
  return audit(world.database, {
    customers: customers.map(({ customerId }) => customerId),
    productIds: products.map(({ id }) => id),
    ...{ acknowledged: [], foreign: [], soldOutProductIds: [] },
  });
}

/** Aborts when a person says so, or when the time is over. */
function abortOnSignal(timeoutMs: number): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), timeoutMs).unref();
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    say('Stopping; once more to stop at once.');
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return controller.signal;
}

function interrupted(): number {
  say('Interrupted, or out of time: no verdict was made.');
  return exitCodes.interrupted;
}

function printUsage(): number {
  process.stdout.write(usage);
  return exitCodes.passed;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

runScript('fuzz', main, { atOnce: true });
