import { credentials, makeGenericClientConstructor, Metadata, status as codes, type ServiceError } from '@grpc/grpc-js';

import { grpcServices, readGrpcDetails } from '../../src/gateway';
import { aHouse, type House } from '../support/aHouse';
import { aSubscriber } from '../support/aSubscriber';

/** What whoever asks too often is told, at every door. The proxy on this machine is believed, so that a test can come from anywhere. */
let house: House;
let customers = 0;
let addresses = 0;

beforeAll(async () => {
  const config = { RATE_CUSTOMER_PER_MINUTE: '10', RATE_ADDRESS_PER_MINUTE: '30', TRUSTED_PROXIES: '127.0.0.1' };
  house = await aHouse({ config });
});
afterAll(() => house.drop());

const aCustomer = async () => ({
  ...(await house.as({ role: 'customer', customerId: `CUST-${++customers}` })),
  'x-forwarded-for': `198.51.100.${++addresses}`,
});
const ask = (headers: Record<string, string>, query = '{ orders(first: 1) { nodes { id } } }') => house.post({ query }, headers);
const statuses = async (times: number, asking: () => Promise<{ status: number }>) => {
  const answers = [];
  for (let count = 0; count < times; count++) answers.push((await asking()).status);
  return answers;
};
/**
 * Asks until the first refusal. An address has thirty at once and one more every two seconds: on a busy machine more than thirty pass,
 * and no more than came back in the time it took.
 */
const passedFromAnAddress = async (asking: (count: number) => Promise<{ status: number }>) => {
  const startedAt = performance.now();
  const passed: number[] = [];
  for (let refused = false; !refused && passed.length < 60; ) {
    const { status } = await asking(passed.length);
    if (status === 429) refused = true;
    else passed.push(status);
  }
  expect(passed.length).toBeGreaterThanOrEqual(30);
  expect(passed.length).toBeLessThanOrEqual(31 + (performance.now() - startedAt) / 2_000);
  return [...new Set(passed)];
};
const exhaust = (headers: Record<string, string>) => statuses(10, () => ask(headers));

describe('whoever asks too often is told when to come back', () => {
  it('over GraphQL: 429, a code and retry-after, and nothing is done (S2.25)', async () => {
    const headers = await aCustomer();
    expect(await exhaust(headers)).toEqual(Array(10).fill(200));
    const { status, json, headers: sent } = await ask(headers);
    const [error] = json.errors!;
    expect({ status, code: error!.extensions.code }).toEqual({ status: 429, code: 'RATE_LIMITED' });
    expect(error!.extensions).toMatchObject({ retryAfterSeconds: Number(sent.get('retry-after')) });
    expect(Number(sent.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(json.data).toBeUndefined();
  });

  it('over REST: 429 as a problem, from the same count', async () => {
    const headers = await aCustomer();
    await exhaust(headers);
    const response = await fetch(`${house.url}/orders/ORD-1`, { headers });
    expect(response.status).toBe(429);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect(await response.json()).toMatchObject({ code: 'RATE_LIMITED', status: 429 });
  });

  it('over gRPC: RESOURCE_EXHAUSTED with RetryInfo, from the same count', async () => {
    const headers = await aCustomer();
    await exhaust(headers);
    const error = await getOrder(headers);
    expect(error.code).toBe(codes.RESOURCE_EXHAUSTED);
    const details = readGrpcDetails(error.metadata.get('grpc-status-details-bin')[0] as Buffer);
    expect(details['ErrorInfo']).toMatchObject({ reason: 'RATE_LIMITED' });
    expect((details['RetryInfo'] as { retryDelay: { seconds: number } }).retryDelay.seconds).toBeGreaterThanOrEqual(1);
  });

  it('for many mutations under aliases as for many requests', async () => {
    const headers = await aCustomer();
    const aliases = Array.from({ length: 5 }, (_, index) => `a${index}: cancelOrder(orderId: "none") { __typename }`).join(' ');
    expect(await statuses(3, () => ask(headers, `mutation { ${aliases} }`))).toEqual([200, 200, 429]);
  });
});

it('a document that is refused counts as ten, so that few are read', async () => {
  const unfit = ['{ noSuchField }', '{ orders', `{ ${Array(31).fill('a: __typename').join(' ')} }`];
  for (const query of unfit) {
    const headers = await aCustomer();
    expect(await statuses(2, () => ask(headers, query))).toEqual([400, 429]);
  }
  const { authorization } = await aCustomer();
  const subscriber = aSubscriber(house.url, { authorization });
  const heard = [subscriber.follow('subscription { noSuchField }'), subscriber.follow('subscription { noSuchField }')];
  await Promise.all(heard.map((one) => one.ended()));
  const codes = heard.flatMap(({ errors }) => errors.map(({ extensions: { code } }) => code));
  expect(codes).toEqual(['GRAPHQL_VALIDATION_FAILED', 'RATE_LIMITED']);
  await subscriber.leave();
});

it('to name a document by a hash that is not known counts as one: clients send it whole then', async () => {
  const headers = await aCustomer();
  const extensions = { persistedQuery: { version: 1, sha256Hash: '0'.repeat(64) } };
  const answers = await statuses(11, () => house.post({ extensions }, headers));
  expect([answers.slice(0, 10), answers[10]]).toEqual([Array(10).fill(200), 429]);
});

it('a body that is refused counts as ten, too', async () => {
  const unfit: [string, string, string][] = [
    ['/graphql', 'application/json', '{"query":'],
    ['/graphql', 'application/json', '['.repeat(101)],
    ['/graphql', 'text/plain', '{"query":"{ __typename }"}'],
    ['/create_order', 'application/json', '{"items":'],
  ];
  for (const [path, type, body] of unfit) {
    const headers = { ...(await aCustomer()), 'content-type': type };
    const send = () => fetch(new URL(path, house.url), { method: 'POST', headers, body });
    expect(await statuses(2, send)).toEqual([type === 'text/plain' ? 415 : 400, 429]);
  }
});

it('orders under one call count as many, each', async () => {
  const headers = await aCustomer();
  const [customerId, items] = [`CUST-${customers}`, '[{ productId: 1, quantity: 1 }]'];
  const inputs = Array(9).fill(`{ customerId: "${customerId}", items: ${items} }`).join(' ');
  const placing = () => ask(headers, `mutation { createOrders(inputs: [${inputs}]) { __typename } }`);
  expect(await statuses(2, placing)).toEqual([200, 200]);
  expect((await placing()).status).toBe(429);
});

it('subscriptions count, and dear ones as several', async () => {
  const { authorization } = await aCustomer();
  const subscriber = aSubscriber(house.url, { authorization });
  const pages = Array.from({ length: 20 }, (_, index) => `m${index}: movements(first: 100) { nodes { id at kind onHandDelta } }`);
  const dear = `subscription { stockChanged(skus: ["NONE"]) { product { ${pages.join(' ')} } } }`;
  const heard = Array.from({ length: 8 }, () => subscriber.follow(dear));
  await Promise.all(heard.map((one) => one.ended()));
  const codes = heard.flatMap(({ errors }) => errors.map(({ extensions: { code } }) => code));
  expect(codes.slice(0, 2)).toEqual(['BAD_USER_INPUT', 'BAD_USER_INPUT']);
  expect(codes.slice(6)).toEqual(['RATE_LIMITED', 'RATE_LIMITED']);
  await subscriber.leave();
});

it('all customers of one address together have its limit, and so has nobody known', async () => {
  const shared = { 'x-forwarded-for': '203.0.113.9' };
  let asker: Record<string, string> = {};
  const passed = await passedFromAnAddress(async (count) => {
    // Before the limit of one customer is reached another one asks.
    if (count % 10 === 0) asker = await aCustomer();
    return ask({ ...asker, ...shared });
  });
  expect(passed).toEqual([200]);
  expect(await statuses(5, () => fetch(`${house.url}/products`, { headers: shared }))).toContain(429);
  expect((await fetch(`${house.url}/products`, { headers: { 'x-forwarded-for': '203.0.113.10' } })).status).toBe(200);
});

it('who shows tokens that are not good cannot try many of them', async () => {
  const guessing = { authorization: 'Bearer guessed', 'x-forwarded-for': '203.0.113.11' };
  expect(await passedFromAnAddress(() => ask(guessing))).toEqual([401]);
});

it('names that the client writes before its own in x-forwarded-for give it no further limit', async () => {
  const asking = (count: number) =>
    fetch(`${house.url}/products`, { headers: { 'x-forwarded-for': `1.2.3.${count}, 203.0.113.12` } });
  expect(await passedFromAnAddress(asking)).toEqual([200]);
});

it('an operator and a service are not limited, nor are health and metrics', async () => {
  const shared = { 'x-forwarded-for': '203.0.113.9' };
  for (const role of ['operator', 'service'] as const) {
    const headers = { ...(await house.as({ role, name: 'busy' })), ...shared };
    expect(new Set(await statuses(40, () => ask(headers)))).toEqual(new Set([200]));
  }
  expect((await fetch(`${house.url}/health/ready`, { headers: shared })).status).toBe(200);
  expect((await fetch(`${house.url}/metrics`, { headers: shared })).status).toBe(200);
});

function getOrder(headers: Record<string, string>): Promise<ServiceError> {
  const service = 'holdfast.v1.Orders';
  const client = new (makeGenericClientConstructor(grpcServices()[service]!, service))(
    house.grpcTarget!,
    credentials.createInsecure(),
  );
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const call = client as unknown as Record<
    string,
    (message: object, metadata: Metadata, answer: (error: ServiceError) => void) => void
  >;
  return new Promise<ServiceError>((resolve) => call['GetOrder']!({ orderId: 'ORD-1' }, metadata, resolve)).finally(() =>
    client.close(),
  );
}
