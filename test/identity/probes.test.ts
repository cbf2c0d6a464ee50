import fc from 'fast-check';
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql';

import { AccountResolver } from '../../src/accounts';
import { accessOf } from '../../src/graphql';
import { accessRules, type Caller, type Role } from '../../src/identity';
import { ProductResolver } from '../../src/inventory';
import { NotificationResolver } from '../../src/notifications';
import { DeadLetterResolver, EventResolver } from '../../src/operations';
import { OrderResolver } from '../../src/orders';
import { buildGraphqlSchema } from '../../src/roles';
import { aHouse, type House } from '../support/aHouse';

/**
 * Documents made up from the schema itself, whatever fields and arguments it has, asked by everybody: nothing is answered that the rules
 * do not allow, nobody hears of another customer's things, and strangers change nothing of them. `npm test` asks a few hundred,
 * `npm run test:long` 20,000.
 */
const probes = process.env.HOLDFAST_TESTS === 'long' ? 20_000 : 400;
const seed = Number(process.env.PROBES_SEED ?? 1);

/** The customer whose things nobody else may hear of: they all bear a mark that no probe mentions. */
const victim = 'CUST-victim';
const marks = ['mark-of-the-victim', '7777123'];
const callers: Record<string, Caller | undefined> = {
  anonymous: undefined,
  stranger: { role: 'customer', customerId: 'CUST-stranger' },
  operator: { role: 'operator', name: 'ann' },
  service: { role: 'service', name: 'front' },
};

let house: House;
let schema: GraphQLSchema;
let ids: string[];

beforeAll(async () => {
  // Who asks unions for everything they have needs more aliases than the house takes by itself.
  house = await aHouse({ config: { RATE_CUSTOMER_PER_MINUTE: '0', GRAPHQL_ALIASES_MAX: '200', GRAPHQL_REPEATS_MAX: '1000' } });
  schema = await buildGraphqlSchema(
    new OrderResolver({} as never),
    new ProductResolver({} as never),
    new AccountResolver({} as never),
    new DeadLetterResolver({} as never),
    new NotificationResolver({} as never),
    new EventResolver({} as never),
  );
  const answers = await house.ask<Record<string, { id: string }>>(`mutation {
    product: createProduct(input: { sku: "MUG", name: "Mug", price: 100, onHand: 100000 }) { ... on Product { id } }
    deposit(input: { customerId: "${victim}", amount: 7777123, reference: "mark-of-the-victim" }) { __typename }
    held: createOrder(input: { customerId: "${victim}", items: [{ sku: "MUG", quantity: 3 }] }, waitFor: 10000) { ... on Order { id } }
    gone: createOrder(input: { customerId: "${victim}", items: [{ sku: "MUG", quantity: 3 }] }, waitFor: 10000) { ... on Order { id } }
    told: subscribeToNotifications(input: { customerId: "${victim}", channel: EMAIL, target: "mark-of-the-victim@shop.example" }) {
      ... on NotificationSubscription { id }
      ... on ErrorResult { message }
    } }`);
  await house.ask(`mutation { cancelOrder(orderId: "${answers.gone!.id}", message: "mark-of-the-victim") { __typename } }`);
  ids = [answers.held!.id, answers.gone!.id, answers.told!.id, 'ORD-no-such-order'];
}, 60_000);
afterAll(() => house.drop());

interface Probe {
  field: GraphQLField<unknown, unknown>;
  query: string;
  variables: Record<string, unknown>;
}

/** A document that asks one root field for everything it has, with arguments of the right types. */
function probesOf(kind: 'query' | 'mutation'): fc.Arbitrary<Probe> {
  const root = kind === 'query' ? schema.getQueryType()! : schema.getMutationType()!;
  return fc.constantFrom(...fieldsOf(root)).chain((field) => {
    const args = Object.fromEntries(field.args.map(({ name, type }) => [name, valueOf(name, type)]));
    return fc.record(args).map((variables) => {
      const declared = field.args.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ');
      const given = field.args.map(({ name }) => `${name}: $${name}`).join(', ');
      const call = field.args.length > 0 ? `${field.name}(${given})` : field.name;
      return { field, variables, query: `${kind} ${declared && `(${declared})`} { it: ${call} ${selectionOf(field.type, 3)} }` };
    });
  });
}

function fieldsOf(type: GraphQLObjectType): GraphQLField<unknown, unknown>[] {
  return Object.values(type.getFields());
}

function valueOf(name: string, type: GraphQLInputType): fc.Arbitrary<unknown> {
  if (isNonNullType(type)) return presentValueOf(name, type.ofType);
  return fc.option(presentValueOf(name, type), { nil: undefined, freq: 3 });
}

function presentValueOf(name: string, type: GraphQLInputType): fc.Arbitrary<unknown> {
  if (isNonNullType(type)) return presentValueOf(name, type.ofType);
  if (isListType(type)) return fc.array(presentValueOf(name, type.ofType), { minLength: 1, maxLength: 3 });
  if (isEnumType(type)) return fc.constantFrom(...type.getValues().map((value) => value.name));
  if (isInputObjectType(type))
    return fc.record(
      Object.fromEntries(Object.values(type.getFields()).map((field) => [field.name, valueOf(field.name, field.type)])),
    );
  const scalars: Record<string, unknown[]> = {
    ...{ Int: [1, 2, 5], SafeInt: [1, 100], Boolean: [true, false] },
    DateTimeISO: ['2026-01-01T00:00:00.000Z', '2030-01-01T00:00:00.000Z'],
  };
  return fc.constantFrom(...(scalars[getNamedType(type).name] ?? textsFor(name)));
}

function textsFor(name: string): string[] {
  if (/customer/i.test(name)) return [victim, 'CUST-stranger', 'CUST-nobody'];
  if (/id$/i.test(name) || name === 'ids') return ids;
  if (/sku/i.test(name)) return ['MUG', 'NO-SUCH'];
  return ['probe', Buffer.from('k:1').toString('base64url'), ''];
}

function selectionOf(type: GraphQLOutputType, depth: number): string {
  const named = getNamedType(type);
  if (isLeafType(named)) return '';
  if (isUnionType(named)) {
    const parts = named.getTypes().map((part, index) => `... on ${part.name} ${selectedOf(part, depth, `_${index}`)}`);
    return `{ __typename ${parts.join(' ')} }`;
  }
  return isObjectType(named) ? selectedOf(named, depth, '') : '{ __typename }';
}

/** What a field within shows beyond its object has a rule of its own, and is asked for in the table of permissions. */
function selectedOf(type: GraphQLObjectType, depth: number, suffix: string): string {
  const parts = fieldsOf(type).flatMap((field) => {
    if (accessOf(field) !== undefined || field.args.some((arg) => isNonNullType(arg.type) && arg.defaultValue === undefined))
      return [];
    const isLeaf = isLeafType(getNamedType(field.type));
    if (!isLeaf && (depth === 0 || field.name === 'edges')) return [];
    return [`${field.name}${suffix}: ${field.name} ${selectionOf(field.type, depth - 1)}`];
  });
  return `{ ${['__typename', ...parts].join(' ')} }`;
}

interface Answer {
  data?: { it: unknown } | null;
  errors?: { message: string; extensions: { code: string } }[];
}

async function ask({ query, variables }: Probe, caller: Caller | undefined): Promise<Answer> {
  const headers = { 'content-type': 'application/json', ...(caller && (await house.as(caller))) };
  const response = await fetch(`${house.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  return (await response.json()) as Answer;
}

function mayAsk({ field }: Probe, caller: Caller | undefined): boolean {
  const access = accessOf(field)!;
  return access === 'anyone' || (accessRules[access] as readonly Role[]).includes(caller?.role as Role);
}

/** The answer, where something is wrong with it. */
function faultIn(probe: Probe, caller: Caller | undefined, answer: Answer): string | undefined {
  const codes = (answer.errors ?? []).map(({ extensions }) => extensions.code);
  const text = JSON.stringify(answer);
  const isBroken = codes.some((code) => code === 'INTERNAL_SERVER_ERROR' || code === 'GRAPHQL_VALIDATION_FAILED');
  const isRefused = answer.data?.it == null && codes.some((code) => code === 'UNAUTHENTICATED' || code === 'FORBIDDEN');
  const isStranger = caller === undefined || caller.role === 'customer';
  const isRight = mayAsk(probe, caller) ? isStranger || !isRefused : isRefused;
  const isTold = isStranger && marks.some((mark) => text.includes(mark));
  return isBroken || isTold || !isRight ? text : undefined;
}

async function attack(kinds: ('query' | 'mutation')[], who: string[], count: number) {
  const faults: unknown[] = [];
  const outcomes = { answered: 0, refused: 0 };
  const sampled = fc.sample(fc.tuple(fc.constantFrom(...kinds).chain(probesOf), fc.constantFrom(...who)), {
    numRuns: count,
    seed,
  });
  const one = async () => {
    for (let next = sampled.pop(); next !== undefined; next = sampled.pop()) {
      const [probe, name] = next;
      const answer = await ask(probe, callers[name]);
      outcomes[answer.errors ? 'refused' : 'answered']++;
      const fault = faultIn(probe, callers[name], answer);
      if (fault !== undefined) faults.push({ as: name, field: probe.field.name, variables: probe.variables, fault });
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
  return { faults: faults.slice(0, 3), outcomes };
}

/** Everything that belongs to the victim. */
async function thingsOfTheVictim() {
  const { database } = house;
  const where = { where: { customerId: victim } };
  const [orders, account, subscriptions] = await Promise.all([
    database.order.findMany({ ...where, include: { history: true, items: true }, orderBy: { id: 'asc' } }),
    database.account.findUnique({ ...where, include: { entries: true } }),
    database.notificationSubscription.findMany(where),
  ]);
  return { orders, account, subscriptions };
}

it(`strangers: ${probes / 2} probes hear nothing of another customer, and change nothing of it (S2.21)`, async () => {
  const before = await thingsOfTheVictim();
  const { faults, outcomes } = await attack(['query', 'mutation'], ['anonymous', 'stranger'], probes / 2);
  expect(faults).toEqual([]);
  expect(Math.min(outcomes.answered, outcomes.refused)).toBeGreaterThan(probes / 20);
  expect(await thingsOfTheVictim()).toEqual(before);
}, 600_000);

it(`the house: ${probes / 2} probes are answered where the rules say so, and nowhere else`, async () => {
  const { faults, outcomes } = await attack(['query', 'mutation'], ['operator', 'service'], probes / 2);
  expect(faults).toEqual([]);
  expect(outcomes.answered).toBeGreaterThan(probes / 20);
}, 600_000);
