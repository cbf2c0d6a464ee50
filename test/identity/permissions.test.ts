import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  credentials,
  makeGenericClientConstructor,
  Metadata,
  status as codes,
  type Client,
  type ServiceError,
} from '@grpc/grpc-js';
import { isObjectType, type GraphQLSchema } from 'graphql';

import { AccountResolver } from '../../src/accounts';
import { grpcServices } from '../../src/gateway';
import { accessOf } from '../../src/graphql';
import { accessRules, type Access, type Caller } from '../../src/identity';
import { productEndpoints, productMethods, ProductResolver } from '../../src/inventory';
import { NotificationResolver } from '../../src/notifications';
import { DeadLetterResolver, EventResolver } from '../../src/operations';
import { orderEndpoints, orderMethods, OrderResolver } from '../../src/orders';
import { buildGraphqlSchema } from '../../src/roles';
import { aHouse, type House } from '../support/aHouse';
import { aSubscriber } from '../support/aSubscriber';
import { eventually } from '../support/eventually';

/**
 * Who may do what: every field, address and method times everybody who may ask. `own` is what a customer is answered about itself,
 * `other` what another customer is answered about it: for both the same words as about what does not exist.
 */
type Outcome = 'yes' | 'nothing' | 'UNAUTHENTICATED' | 'FORBIDDEN' | 'BAD_USER_INPUT' | 'UNKNOWN_ORDER' | 'UNKNOWN_SUBSCRIPTION';
type Row = [field: string, rule: Access, document: string, expected: Record<Who, Outcome>];
const everybody = ['anonymous', 'own', 'other', 'operator', 'service'] as const;
type Who = (typeof everybody)[number];

const public_ = { anonymous: 'yes', own: 'yes', other: 'yes', operator: 'yes', service: 'yes' } as const;
const staff = { ...public_, anonymous: 'UNAUTHENTICATED', own: 'FORBIDDEN', other: 'FORBIDDEN' } as const;
const operators = { ...staff, service: 'FORBIDDEN' } as const;
const ofOwner = (other: Outcome) => ({ ...public_, anonymous: 'UNAUTHENTICATED' as const, other });

const wish = '{ customerId: "CUST-own", items: [{ sku: "MUG", quantity: 1 }] }';
const error = '... on ErrorResult { code }';
/** A cursor before all events. */
const beginning = Buffer.from('k:event 0 0').toString('base64url');
const rows: Row[] = [
  ['Query.product', 'anyone', '{ it: product(sku: "MUG") { id available } }', public_],
  ['Query.products', 'anyone', '{ it: products { nodes { id } } }', public_],
  ['Query.stockAvailability', 'anyone', '{ it: stockAvailability(productIds: [$PRODUCT]) { __typename } }', public_],
  ['Product.movements', 'staff', '{ it: product(sku: "MUG") { movements { nodes { id } } } }', staff],
  ['Query.order', 'known', '{ it: order(id: "$ORDER") { id timeline { at } amendment { status } } }', ofOwner('nothing')],
  ['Query.orders', 'known', '{ it: orders(customerId: "CUST-own") { nodes { id } } }', ofOwner('nothing')],
  ['Query.account', 'known', '{ it: account(customerId: "CUST-own") { entries { nodes { id } } } }', ofOwner('nothing')],
  [
    'Query.notificationSubscriptions',
    'known',
    '{ it: notificationSubscriptions(customerId: "CUST-own") { nodes { id } } }',
    ofOwner('nothing'),
  ],
  [
    'Query.notificationDeliveries',
    'known',
    '{ it: notificationDeliveries(filter: { customerId: "CUST-own" }) { nodes { id attempts { __typename } } } }',
    ofOwner('nothing'),
  ],
  ['Query.deadLetter', 'operators', '{ it: deadLetter(id: "no") { id } }', { ...operators, operator: 'nothing' }],
  ['Query.deadLetters', 'operators', '{ it: deadLetters { nodes { id } } }', { ...operators, operator: 'nothing' }],
  ['Query.deadLetterCounts', 'operators', '{ it: deadLetterCounts { __typename } }', { ...operators, operator: 'nothing' }],
  ['Mutation.createOrder', 'known', `mutation { it: createOrder(input: ${wish}) { ${error} } }`, ofOwner('FORBIDDEN')],
  ['Mutation.createOrders', 'known', `mutation { it: createOrders(inputs: [${wish}]) { ${error} } }`, ofOwner('FORBIDDEN')],
  [
    'Mutation.updateOrder',
    'known',
    `mutation { it: updateOrder(input: { orderId: "$ORDER", items: [{ sku: "MUG", quantity: 2 }] }) { ${error} } }`,
    ofOwner('UNKNOWN_ORDER'),
  ],
  [
    'Mutation.unsubscribeFromNotifications',
    'known',
    `mutation { it: unsubscribeFromNotifications(subscriptionId: "$SUBSCRIPTION") { ${error} } }`,
    ofOwner('UNKNOWN_SUBSCRIPTION'),
  ],
  [
    'Mutation.subscribeToNotifications',
    'known',
    `mutation { it: subscribeToNotifications(input: { customerId: "CUST-own", channel: LOG }) { ${error} } }`,
    ofOwner('FORBIDDEN'),
  ],
  ['Mutation.cancelOrder', 'known', `mutation { it: cancelOrder(orderId: "$TO_CANCEL") { ${error} } }`, ofOwner('UNKNOWN_ORDER')],
  ['Mutation.fulfilOrder', 'staff', `mutation { it: fulfilOrder(orderId: "$ORDER") { ${error} } }`, staff],
  [
    'Mutation.createProduct',
    'staff',
    'mutation { it: createProduct(input: { sku: "", name: "", price: 1, onHand: 1 }) { __typename } }',
    staff,
  ],
  [
    'Mutation.updateProduct',
    'staff',
    'mutation { it: updateProduct(productId: $PRODUCT, input: { name: "Mug" }) { __typename } }',
    staff,
  ],
  ['Mutation.deactivateProduct', 'staff', 'mutation { it: deactivateProduct(productId: 2000000) { __typename } }', staff],
  [
    'Mutation.adjustStock',
    'staff',
    'mutation { it: adjustStock(input: { sku: "MUG", delta: 1, reason: CORRECTION }) { __typename } }',
    staff,
  ],
  [
    'Mutation.setStock',
    'staff',
    'mutation { it: setStock(input: { sku: "NO", onHand: 1, compareOnHand: 1, reason: CORRECTION }) { __typename } }',
    staff,
  ],
  [
    'Mutation.deposit',
    'staff',
    'mutation { it: deposit(input: { customerId: "CUST-own", amount: 1, reference: "again" }) { __typename } }',
    staff,
  ],
  [
    'Subscription.orderChanged',
    'known',
    'subscription { it: orderChanged(id: "$ORDER") { order { id } } }',
    ofOwner('BAD_USER_INPUT'),
  ],
  ['Subscription.stockChanged', 'known', 'subscription { it: stockChanged(skus: ["MUG"]) { cursor } }', ofOwner('yes')],
  ['Subscription.events', 'operators', `subscription { it: events(after: "${beginning}") { cursor } }`, operators],
  ['Mutation.replayDeadLetters', 'operators', settling('replay'), operators],
  ['Mutation.discardDeadLetters', 'operators', settling('discard'), operators],
];

function settling(how: string): string {
  return `mutation { it: ${how}DeadLetters(input: { ids: ["no"], actor: "a", reason: "b" }) { __typename } }`;
}

let house: House;
let schema: GraphQLSchema;
const known: Record<string, string> = {};
const callers: Record<Who, Caller | undefined> = {
  anonymous: undefined,
  own: { role: 'customer', customerId: 'CUST-own' },
  other: { role: 'customer', customerId: 'CUST-other' },
  operator: { role: 'operator', name: 'ann' },
  service: { role: 'service', name: 'shop-front' },
};

async function headersOf(who: Who): Promise<Record<string, string>> {
  const caller = callers[who];
  return { 'content-type': 'application/json', ...(caller && (await house.as(caller))) };
}

interface Answer {
  data?: { it: unknown } | null;
  errors?: { message?: string; extensions: { code: string } }[];
}

async function send(who: Who, document: string): Promise<Answer> {
  const query = document.replace(/\$([A-Z_]+)/g, (_, name: string) => known[name]!);
  if (query.startsWith('subscription')) return firstOf(who, query);
  const init = { method: 'POST', headers: await headersOf(who), body: JSON.stringify({ query }) };
  const response = await fetch(`${house.url}/graphql`, init);
  return (await response.json()) as Answer;
}

/** What is heard first; a connection that was refused says so by its code. */
async function firstOf(who: Who, query: string): Promise<Answer> {
  const subscriber = aSubscriber(house.url, await headersOf(who));
  const heard = subscriber.follow<{ it: unknown }>(query);
  await eventually(() => heard.data.length > 0 || heard.errors.length > 0 || heard.end);
  heard.stop();
  await subscriber.leave();
  if (heard.errors.length === 0 && heard.data.length > 0) return { data: heard.data[0] };
  const refusals = heard.errors.map(({ message, extensions: { code } }) => ({ message, extensions: { code } }));
  expect(refusals.length > 0 || subscriber.closes[0]?.code === 4401).toBe(true);
  return { errors: refusals.length > 0 ? refusals : [{ extensions: { code: 'UNAUTHENTICATED' } }] };
}

async function outcomeOf(who: Who, document: string): Promise<string> {
  const { data, errors } = await send(who, document);
  if (errors) return errors[0]!.extensions.code;
  const it = Array.isArray(data!.it) ? ((data!.it as unknown[])[0] ?? null) : data!.it;
  if (it === null || (it as { nodes?: unknown[] }).nodes?.length === 0) return 'nothing';
  return (it as { code?: string }).code ?? 'yes';
}

async function confirmedOrder(): Promise<string> {
  const { createOrder } = await house.ask<{ createOrder: { id: string } }>(
    `mutation { createOrder(input: ${wish}) { ... on Order { id } } }`,
  );
  await eventually(async () => {
    const { order } = await house.ask<{ order: { status: string } }>(`{ order(id: "${createOrder.id}") { status } }`);
    return order.status === 'CONFIRMED';
  });
  return createOrder.id;
}

beforeAll(async () => {
  house = await aHouse();
  const { createProduct } = await house.ask<{ createProduct: { id: number } }>(
    'mutation { createProduct(input: { sku: "MUG", name: "Mug", price: 100, onHand: 1000 }) { ... on Product { id } } }',
  );
  const { subscribeToNotifications } = await house.ask<{ subscribeToNotifications: { id: string } }>(
    `mutation { deposit(input: { customerId: "CUST-own", amount: 1, reference: "again" }) { __typename }
      subscribeToNotifications(input: { customerId: "CUST-own", channel: EMAIL, target: "own@example.test" }) {
        ... on NotificationSubscription { id } } }`,
  );
  known.PRODUCT = String(createProduct.id);
  known.SUBSCRIPTION = subscribeToNotifications.id;
  [known.ORDER, known.TO_CANCEL] = [await confirmedOrder(), await confirmedOrder()];
  await eventually(async () => (await outcomeOf('operator', '{ it: notificationDeliveries { nodes { id } } }')) === 'yes');
  schema = await buildGraphqlSchema(
    new OrderResolver(house as never),
    new ProductResolver(house as never),
    new AccountResolver(house as never),
    new DeadLetterResolver(house as never),
    new NotificationResolver(house as never),
    new EventResolver(house as never),
  );
});
afterAll(() => house.drop());

describe('every query, mutation and subscription (S2.21)', () => {
  const ruled = () =>
    Object.values(schema.getTypeMap()).flatMap((type) => {
      if (!isObjectType(type) || type.name.startsWith('__')) return [];
      const isRoot = ['Query', 'Mutation', 'Subscription'].includes(type.name);
      const fields = Object.values(type.getFields()).filter((field) => isRoot || accessOf(field) !== undefined);
      return fields.map((field) => [`${type.name}.${field.name}`, accessOf(field)] as const);
    });

  it('carries a rule, and stands in the table below with it', () => {
    expect(ruled().filter(([, access]) => access === undefined)).toEqual([]);
    expect(Object.fromEntries(ruled())).toEqual(Object.fromEntries(rows.map(([field, access]) => [field, access])));
  });

  it.each(rows)('%s, for %s', async (_field, _rule, document, expected) => {
    // The strangers first: who may do it would change what they find.
    const found: [string, string][] = [];
    for (const who of ['anonymous', 'other', 'own', 'service', 'operator'] as const)
      found.push([who, await outcomeOf(who, document)]);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it.each<[string, string]>([
    ['order', '{ it: order(id: "ID") { id } }'],
    [
      'updateOrder',
      'mutation { it: updateOrder(input: { orderId: "ID", items: [{ sku: "MUG", quantity: 3 }] }) { ... on ErrorResult { code message } } }',
    ],
    [
      'updateOrder, of nothing',
      'mutation { it: updateOrder(input: { orderId: "ID", items: [] }) { ... on ErrorResult { code message } } }',
    ],
    ['cancelOrder', 'mutation { it: cancelOrder(orderId: "ID") { ... on ErrorResult { code message } } }'],
    ['orderChanged', 'subscription { it: orderChanged(id: "ID") { order { id } } }'],
  ])("%s: another's order is answered like one that does not exist", async (_name, document) => {
    const [foreign, nobodys] = [known.ORDER!, 'ORD-nobody'];
    const about = async (id: string) => JSON.stringify(await send('other', document.replaceAll('ID', id))).replaceAll(id, 'ID');
    expect(await about(foreign)).toBe(await about(nobodys));
  });

  it('lists and filters without a customer show only what is its own', async () => {
    for (const list of ['orders', 'notificationSubscriptions', 'notificationDeliveries'])
      expect([list, await outcomeOf('other', `{ it: ${list} { nodes { id } } }`)]).toEqual([list, 'nothing']);
    expect(await outcomeOf('own', '{ it: orders { nodes { id } } }')).toBe('yes');
    const filter = `filter: { orderId: "${known.ORDER}" }`;
    expect(await outcomeOf('other', `{ it: notificationDeliveries(${filter}) { nodes { id } } }`)).toBe('nothing');
  });
});

describe('tokens at the doors (S2.21)', () => {
  const badly: [string, string][] = [
    ['garbage', 'Bearer garbage'],
    ['another scheme', 'Basic b3BlcmF0b3I6b3BlcmF0b3I='],
    ['no token', 'Bearer '],
    [
      'alg none',
      `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x","role":"operator"}').toString('base64url')}.`,
    ],
  ];

  it.each(badly)(
    '%s is refused at GraphQL and REST with 401 and a challenge, also where none is needed',
    async (_name, authorization) => {
      const headers = { authorization, 'content-type': 'application/json' };
      const graphql = await fetch(`${house.url}/graphql`, { method: 'POST', headers, body: '{"query":"{ __typename }"}' });
      const { errors } = (await graphql.json()) as { errors: { extensions: { code: string; requestId: string } }[] };
      expect([graphql.status, errors[0]!.extensions.code]).toEqual([401, 'UNAUTHENTICATED']);
      expect(errors[0]!.extensions.requestId).toBe(graphql.headers.get('x-request-id'));
      const rest = await fetch(`${house.url}/products`, { headers });
      expect([rest.status, ((await rest.json()) as { code: string }).code]).toEqual([401, 'UNAUTHENTICATED']);
      for (const answer of [graphql, rest])
        expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="holdfast", error="invalid_token"');
    },
  );

  it('a header of 100 KB is refused before it is read, and the gateway goes on', async () => {
    const headers = { authorization: `Bearer ${'x'.repeat(100_000)}` };
    expect((await fetch(`${house.url}/products`, { headers })).status).toBe(431);
    expect((await fetch(`${house.url}/products`)).status).toBe(200);
  });
});

describe('REST (S2.21)', () => {
  const endpoints = () => [
    ...orderEndpoints(house as never, () => Promise.resolve(undefined)),
    ...productEndpoints(house as never),
  ];
  const call = async (who: Who, path: string, body?: string, method = 'POST') => {
    const init = body === undefined ? {} : { method, body };
    const response = await fetch(`${house.url}${path}`, { ...init, headers: await headersOf(who) });
    return [response.status, response.headers.get('www-authenticate'), await response.text()] as const;
  };

  it('every address carries a rule', () => {
    expect(
      Object.fromEntries(
        endpoints().map(({ operationId, access, accessWithoutBody }) => [operationId, [access, accessWithoutBody]]),
      ),
    ).toEqual({
      createOrder: ['known', 'anyone'],
      getOrder: ['known', undefined],
      listProducts: ['anyone', undefined],
      updateOrder: ['known', undefined],
    });
  });

  it.each<[string, string, string | undefined, Record<Who, number>]>([
    ['GET /products', '/products', undefined, { anonymous: 200, own: 200, other: 200, operator: 200, service: 200 }],
    ['GET /orders/{id}', '/orders/$ORDER', undefined, { anonymous: 401, own: 200, other: 404, operator: 200, service: 200 }],
    [
      'POST /create_order',
      '/create_order',
      '{"customerId":"CUST-own","items":[{"sku":"MUG","quantity":1}]}',
      { anonymous: 401, own: 201, other: 403, operator: 201, service: 201 },
    ],
    [
      'PATCH /orders/{id}',
      '/orders/$ORDER',
      // Nobody's order is of this version: who may ask is told so.
      '{"items":[{"sku":"MUG","quantity":2}],"expectedVersion":99}',
      { anonymous: 401, own: 409, other: 404, operator: 409, service: 409 },
    ],
  ])('%s', async (name, path, body, expected) => {
    const [method] = name.split(' ');
    const found = await Promise.all(
      everybody.map(async (who) => [who, (await call(who, path.replace('$ORDER', known.ORDER!), body, method))[0]] as const),
    );
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it('challenges who shows no token, says whose role will not do, and tells nothing of the orders of others', async () => {
    const body = '{"customerId":"CUST-own","items":[{"sku":"MUG","quantity":1}]}';
    expect((await call('anonymous', '/create_order', body))[1]).toBe('Bearer realm="holdfast"');
    expect((await call('other', '/create_order', body))[1]).toBe('Bearer realm="holdfast", error="insufficient_scope"');
    const about = async (id: string) =>
      (await call('other', `/orders/${id}`))[2].replaceAll(id, 'ID').replace(/"requestId":"[^"]+"/, '');
    expect(await about(known.ORDER!)).toBe(await about('ORD-nobody'));
  });
});

describe('gRPC (S2.21, S0.8)', () => {
  let orders: Client;
  let inventory: Client;
  const clientOf = (service: string) =>
    new (makeGenericClientConstructor(grpcServices()[service]!, service))(house.grpcTarget!, credentials.createInsecure());
  beforeAll(() => {
    orders = clientOf('holdfast.v1.Orders');
    inventory = clientOf('holdfast.v1.Inventory');
  });
  afterAll(() => [orders, inventory].forEach((client) => client.close()));

  type Methods = Record<
    string,
    (message: object, metadata: Metadata, answer?: (error: ServiceError | null) => void) => NodeJS.EventEmitter
  >;
  const metadataOf = async (who: Who) => {
    const metadata = new Metadata();
    const { authorization } = await headersOf(who);
    if (authorization) metadata.set('authorization', authorization);
    return metadata;
  };
  const ask = (client: Client, name: string, message: object, metadata: Metadata) =>
    new Promise<string>((resolve) => {
      const methods = client as unknown as Methods;
      const settle = (error: ServiceError | null) => resolve(error ? `${codes[error.code]} ${error.details}` : 'OK');
      if (name !== 'WatchOrder') return void methods[name]!(message, metadata, settle);
      const stream = methods[name]!(message, metadata) as NodeJS.EventEmitter & { cancel(): void };
      stream.on('data', () => (resolve('OK'), stream.cancel())).on('error', settle as (error: Error) => void);
    });
  const call = async (who: Who, name: string, message: object) =>
    ask(name.includes('Product') ? inventory : orders, name, message, await metadataOf(who));

  it('every method carries a rule', () => {
    const methods = [...orderMethods(house as never), ...productMethods(house as never)];
    expect(Object.fromEntries(methods.map(({ name, access }) => [name, access]))).toEqual({
      ...{ PlaceOrder: 'known', UpdateOrder: 'known', CancelOrder: 'known', GetOrder: 'known', WatchOrder: 'known' },
      ...{ GetProduct: 'anyone', ListProducts: 'anyone' },
    });
  });

  const place = { customerId: 'CUST-own', items: [{ sku: 'MUG', quantity: 1 }] };
  it.each<[string, () => object, Record<Who, string>]>([
    ['GetProduct', () => ({ sku: 'MUG' }), { anonymous: 'OK', own: 'OK', other: 'OK', operator: 'OK', service: 'OK' }],
    ['ListProducts', () => ({}), { anonymous: 'OK', own: 'OK', other: 'OK', operator: 'OK', service: 'OK' }],
    [
      'PlaceOrder',
      () => place,
      { anonymous: 'UNAUTHENTICATED', own: 'OK', other: 'PERMISSION_DENIED', operator: 'OK', service: 'OK' },
    ],
    ...(['GetOrder', 'WatchOrder'] as const).map(
      (name) =>
        [
          name,
          () => ({ orderId: known.ORDER }),
          { anonymous: 'UNAUTHENTICATED', own: 'OK', other: 'NOT_FOUND', operator: 'OK', service: 'OK' },
        ] as [string, () => object, Record<Who, string>],
    ),
  ])('%s', async (name, message, expected) => {
    const found = await Promise.all(
      everybody.map(async (who) => [who, (await call(who, name, message())).split(' ')[0]] as const),
    );
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it("another's order is answered like one that does not exist, watch streams included", async () => {
    const items = [{ sku: 'MUG', quantity: 2 }];
    for (const name of ['GetOrder', 'WatchOrder', 'CancelOrder', 'UpdateOrder']) {
      const about = async (orderId: string) => (await call('other', name, { orderId, items })).replaceAll(orderId, 'ID');
      expect([name, await about(known.ORDER!)]).toEqual([name, await about('ORD-nobody')]);
      expect([name, (await call('anonymous', name, { orderId: known.ORDER, items })).split(' ')[0]]).toEqual([
        name,
        'UNAUTHENTICATED',
      ]);
    }
  });

  it.each(['garbage', `x${'y'.repeat(8_000)}`])('a token that is not good is refused: %.10s', async (token) => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    expect(await ask(inventory, 'ListProducts', {}, metadata)).toMatch(/^UNAUTHENTICATED The token/);
  });

  it('metadata of 100 KB is refused, and the server goes on', async () => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${'x'.repeat(100_000)}`);
    expect(await ask(inventory, 'ListProducts', {}, metadata)).not.toBe('OK');
    expect(await call('anonymous', 'ListProducts', {})).toBe('OK');
  });
});

it('docs/identity.md says the same of every field, address and method', () => {
  const page = readFileSync(join(__dirname, '../../docs/identity.md'), 'utf8');
  const table = /<!-- rules -->([\s\S]*)<!-- \/rules -->/.exec(page)![1]!;
  const said = [...table.matchAll(/^\| `(\w+)` .*\| (`.*`) +\|$/gm)].map(
    ([, rule, names]) => [rule!, [...names!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!).sort()] as const,
  );
  const all: [string, Access][] = [
    ...rows.map(([field, rule]) => [field, rule] as [string, Access]),
    ...[...orderEndpoints(house as never), ...productEndpoints(house as never)].map(
      ({ method, path, access }) => [`${method} ${path}`, access] as [string, Access],
    ),
    ...[...orderMethods(house as never), ...productMethods(house as never)].map(
      ({ service, name, access }) => [`${service.replace('holdfast.v1.', '')}.${name}`, access] as [string, Access],
    ),
  ];
  const isSaid = Object.keys(accessRules).map((rule) => [
    rule,
    all
      .filter(([, of]) => of === rule)
      .map(([name]) => name)
      .sort(),
  ]);
  expect(Object.fromEntries(said)).toEqual(Object.fromEntries(isSaid));
});
