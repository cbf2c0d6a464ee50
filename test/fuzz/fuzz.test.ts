import { randomInt } from 'node:crypto';

import { parse, validate, type GraphQLSchema } from 'graphql';
import { v7 as uuidv7 } from 'uuid';

import { audit } from '../../scripts/audit';
import { attackDoors } from '../../scripts/fuzz/attackDoors';
import { attackGraphql, schemaOf } from '../../scripts/fuzz/attackGraphql';
import { attackQuestions } from '../../scripts/fuzz/attackQuestions';
import { attackQueues } from '../../scripts/fuzz/attackQueues';
import { besideNeighbour } from '../../scripts/fuzz/besideNeighbour';
import { startNeighbour } from '../../scripts/fuzz/neighbour';
import { validOperation } from '../../scripts/fuzz/operations';
import { workQueues } from '../../scripts/fuzz/payloads';
import { openAttacker, type Attacker } from '../../scripts/fuzz/publish';
import { type KnownValues } from '../../scripts/fuzz/values';
import { seededRandom } from '../../scripts/random';
import { rpcs } from '../../src/contracts';
import { notificationsTopology, topology, type Delivery } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { aHouse, type House } from '../support/aHouse';
import { testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';

/** The short dose of `npm run fuzz`: the same generators and judges, on roles in this process. */

const random = () => randomInt(2 ** 32) / 2 ** 32;
const never = new AbortController().signal;
const quietly = { signal: never, onProgress: () => undefined };

async function knownProducts(house: House): Promise<KnownValues> {
  const known: KnownValues = { productIds: [], skus: [], customers: ['fuzz', 'fuzz-1'], orderIds: [], cursors: [] };
  for (let index = 0; index < 5; index++) {
    const sku = `FUZZ-${uuidv7()}`;
    const input = `{ sku: "${sku}", name: "Fuzzed", price: 1999, onHand: 10000000 }`;
    const { createProduct } = await house.ask<{ createProduct: { id: number } }>(
      `mutation { createProduct(input: ${input}) { ... on Product { id } } }`,
    );
    known.productIds.push(createProduct.id);
    known.skus.push(sku);
  }
  const input = `{ customerId: "fuzz", items: [{ productId: ${known.productIds[0]}, quantity: 1 }] }`;
  const { createOrder } = await house.ask<{ createOrder: { id: string } }>(
    `mutation { createOrder(input: ${input}) { ... on Order { id } } }`,
  );
  known.orderIds.push(createOrder.id);
  return known;
}

/** Waits until every order is decided, then asks all checks about everything there is. */
async function brokenPromises({ database }: House) {
  await eventually(async () => (await database.order.count({ where: { status: 'PENDING' } })) === 0);
  const customers = await database.order.findMany({ distinct: ['customerId'], select: { customerId: true } });
  const products = await database.product.findMany({ select: { id: true } });
  const scope = { customers: customers.map((order) => order.customerId), productIds: products.map(({ id }) => id) };
  const outcomes = await audit(database, { ...scope, acknowledged: [], foreign: [], soldOutProductIds: [] });
  return outcomes.filter(({ broken, name }) => broken > 0 && name !== 'every event is out');
}

describe('the gateway', () => {
  let house: House;
  let schema: GraphQLSchema;
  let known: KnownValues;

  beforeAll(async () => {
    house = await aHouse({ config: { DATABASE_POOL_SIZE: '6' } });
    schema = await schemaOf(`${house.url}/graphql`);
    known = await knownProducts(house);
  });
  afterAll(() => house.drop());

  it('random operations are valid by the schema', () => {
    const faults = Array.from({ length: 300 }, (_, seed) => validOperation({ schema, known, random: seededRandom(seed) }))
      .flatMap(({ query }) => validate(schema, parse(query)))
      .map(({ message }) => message);
    expect(faults).toEqual([]);
  });

  it('every answer to 250 valid, mutated and hostile requests is in order', async () => {
    const place = { url: `${house.url}/graphql`, healthUrl: `${house.url}/health/live` };
    const login = await house.as({ role: 'operator', name: 'fuzz' });
    const outcome = await attackGraphql({
      ...place,
      ...login,
      schema,
      seed: 1,
      requests: 250,
      concurrency: 4,
      known,
      ...quietly,
    });
    expect(outcome.violations).toEqual([]);
    expect(outcome.kinds.valid.accepted).toBeGreaterThan(30);
    expect(outcome.silenceMs).toBeLessThan(15_000);
    expect(await brokenPromises(house)).toEqual([]);
  });

  it('a neighbour of 40 hostile requests is answered by an order each time', async () => {
    const place = { url: `${house.url}/graphql`, healthUrl: `${house.url}/health/live` };
    const login = await house.as({ role: 'operator', name: 'fuzz' });
    const products = await knownProducts(house);
    const customerId = 'neighbour';
    const neighbour = startNeighbour({
      ...{ url: place.url, customerId, ...(await house.as({ role: 'customer', customerId })) },
      ...{ productId: products.productIds[0]!, ordersPerSecond: 20 },
    });
    const shared = { ...place, ...login, schema, seed: 5, requests: 40, concurrency: 4, known, ...quietly };
    const { kinds, violations, beside } = await besideNeighbour({
      ...{ neighbour, warmUpMs: 100, baselineMs: 1_000, memoryMiB: () => 0, signal: never },
      ordinary: () => attackGraphql({ ...shared, kinds: ['valid'] }),
      attack: () => attackGraphql({ ...shared, kinds: ['hostile'] }),
    });
    expect(violations).toEqual([]);
    expect(kinds).toMatchObject({ valid: { requests: 0 }, mutated: { requests: 0 }, hostile: { requests: 40 } });
    const ordered = await house.database.order.count({ where: { customerId } });
    const { alone, ordinary, attacked } = beside;
    for (const part of [alone, ordinary, attacked]) expect(part.orders).toBeGreaterThan(2);
    expect(alone.orders + ordinary.orders + attacked.orders).toBeLessThan(ordered);
    for (const { p50, p95, p99, max } of [alone, ordinary, attacked])
      expect([p50, p95, p99, max]).toEqual([p50, p95, p99, max].sort((a, b) => a - b));
  });

  it('a neighbour who is refused says so', async () => {
    const [customerId, other] = ['neighbour', 'somebody else'];
    const neighbour = startNeighbour({
      ...{ url: `${house.url}/graphql`, customerId, ...(await house.as({ role: 'customer', customerId: other })) },
      ...{ productId: known.productIds[0]!, ordersPerSecond: 100 },
    });
    neighbour.enter('attacked');
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { alone, attacked, violations } = await neighbour.stop();
    expect(alone.orders).toBe(0);
    expect(attacked.refused).toBeGreaterThan(0);
    expect(attacked.refused).toBe(attacked.orders);
    expect(violations[0]!.what).toBe('an ordinary order was refused');
  });

  it('every answer to 200 calls of gRPC and 200 of REST is in order', async () => {
    const login = await house.as({ role: 'operator', name: 'fuzz' });
    const place = { url: house.url, grpcTarget: house.grpcTarget!, ...login };
    // Requests before may have taken products off sale.
    const outcome = await attackDoors({
      ...place,
      seed: 4,
      calls: 200,
      concurrency: 8,
      known: await knownProducts(house),
      ...quietly,
    });
    expect(outcome.violations).toEqual([]);
    for (const { accepted, refused } of Object.values(outcome.doors)) expect(Math.min(accepted, refused)).toBeGreaterThan(3);
    expect(await brokenPromises(house)).toEqual([]);
  });
});

it('every queue that anybody works at is attacked, and every queue of questions', () => {
  const declared = [...topology.queues, ...notificationsTopology.queues];
  const ofKind = (kind: string) => declared.filter((queue) => queue.kind === kind).map(({ name }) => name);
  expect([...workQueues].sort()).toEqual(ofKind('work').sort());
  expect(Object.values(rpcs).map(({ queue }) => queue)).toEqual(ofKind('requests'));
});

const url = testRabbitmqUrl();
const dose = process.env.HOLDFAST_TESTS === 'long' ? 200 : 40;

(url ? describe : describe.skip)('AMQP', () => {
  let house: House;
  let attacker: Attacker;

  beforeAll(async () => {
    house = await aHouse({ broker: await connectRabbitmq({ url: url!, random }) });
    attacker = await openAttacker(url!);
  });
  afterAll(async () => {
    await attacker.close();
    await house.drop();
  });

  async function attack(payloads: number, seed: number, oneBadIn?: number) {
    return attackQueues({
      ...{ brokerUrl: url!, database: house.database, seed, payloads, huge: 0, oneBadIn, stuckAfterMs: 30_000, ...quietly },
      known: await knownProducts(house),
      metrics: async () => [(await house.ground.metrics.exposition()).body],
    });
  }

  it(`of ${dose} payloads a queue each is processed, or a dead letter once`, async () => {
    const outcome = await attack(dose, 1);
    expect(outcome.violations).toEqual([]);
    for (const { processed, dead } of Object.values(outcome.queues)) expect(Math.min(processed, dead)).toBeGreaterThan(dose / 8);
    expect(await brokenPromises(house)).toEqual([]);
  });

  it('of 200 messages a queue with one bad in fifty all the good ones are processed (T9)', async () => {
    const outcome = await attack(200, 2, 50);
    expect(outcome.violations).toEqual([]);
    for (const { dead } of Object.values(outcome.queues)) expect(dead).toBe(4);
  });

  it(`of ${dose} questions a queue each is answered once, by its contract or by what is wrong with it`, async () => {
    const known = await knownProducts(house);
    const outcome = await attackQuestions({ brokerUrl: url!, seed: 3, known, questions: dose, ...quietly });
    expect(outcome.violations).toEqual([]);
    for (const { answered, refused } of Object.values(outcome.queues))
      expect(Math.min(answered, refused)).toBeGreaterThan(dose / 8);
    expect(await brokenPromises(house)).toEqual([]);
  });

  it('a message that forges the story of its death is told as it came', async () => {
    const broker = await connectRabbitmq({ url: url!, random });
    const queue = `fuzz.${uuidv7()}`;
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    const deliveries: Delivery[] = [];
    await broker.consume(queue, { prefetch: 10 }, (delivery) => {
      deliveries.push(delivery);
      delivery.ack();
    });
    const forged = [{ reason: 'delivery_limit', queue: 7, exchange: ['x'], 'routing-keys': [7] }];
    await attacker.publish(queue, Buffer.from('{}'), { headers: { 'x-death': forged } });
    await eventually(() => deliveries.length > 0);
    expect(deliveries.map(({ exchange, routingKey }) => [exchange, routingKey])).toEqual([['', queue]]);
    await broker.close();
  });

  it('a message that names more recipients is not sent to them again when it is retried', async () => {
    const broker = await connectRabbitmq({ url: url!, random });
    const queue = `fuzz.${uuidv7()}`;
    await broker.declare({ exchanges: [], queues: [{ name: queue, kind: 'work' }], bindings: [] });
    const deliveries: Delivery[] = [];
    await broker.consume(queue, { prefetch: 10 }, (delivery) => {
      deliveries.push(delivery);
      if (deliveries.length === 1) void delivery.retry(0, 'once more');
      else delivery.ack();
    });
    await broker.publish({
      ...{ exchange: '', routingKey: queue, body: Buffer.from('{}'), mandatory: true },
      properties: { headers: { CC: [queue] } },
    });
    await eventually(() => deliveries.length >= 2);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(deliveries.map(({ attempt }) => attempt)).toEqual([1, 2]);
    await broker.close();
  });
});
