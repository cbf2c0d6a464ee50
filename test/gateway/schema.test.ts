import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
  parse,
  printSchema,
  validate,
} from 'graphql';

import { AccountResolver, type AccountsContext } from '../../src/accounts';
import { ErrorCode } from '../../src/graphql';
import { playgroundTabs } from '../../src/gateway/playgroundTabs';
import { ProductResolver, type InventoryContext } from '../../src/inventory';
import { NotificationResolver, type NotificationsContext } from '../../src/notifications';
import { DeadLetterResolver, EventResolver, type EventSources, type OperationsContext } from '../../src/operations';
import { OrderResolver, type OrdersContext } from '../../src/orders';
import { buildGraphqlSchema } from '../../src/roles';

const root = join(__dirname, '..', '..');
const file = join(root, 'schema.graphql');
let schema: GraphQLSchema;

beforeAll(async () => {
  schema = await buildGraphqlSchema(
    new OrderResolver({} as OrdersContext),
    new ProductResolver({} as InventoryContext),
    new AccountResolver({} as AccountsContext),
    new DeadLetterResolver({} as OperationsContext),
    new NotificationResolver({} as NotificationsContext),
    new EventResolver({} as EventSources),
  );
});

it('is committed as schema.graphql (S2.18); UPDATE_SCHEMA=1 writes it anew', () => {
  const printed = `${printSchema(schema)}\n`;
  if (process.env.UPDATE_SCHEMA) writeFileSync(file, printed);
  expect(existsSync(file) && readFileSync(file, 'utf8')).toBe(printed);
});

it('describes every type, field, argument and value', () => {
  const nameless: string[] = [];
  const check = (name: string, { description }: { description?: string | null }) => description || nameless.push(name);
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__') || isSpecifiedScalarType(type)) continue;
    if (![schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].includes(type as never))
      check(type.name, type);
    if (isEnumType(type)) for (const value of type.getValues()) check(`${type.name}.${value.name}`, value);
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) continue;
    for (const field of Object.values<GraphQLField<unknown, unknown> | GraphQLInputField>(type.getFields())) {
      check(`${type.name}.${field.name}`, field);
      if ('args' in field) for (const arg of field.args) check(`${type.name}.${field.name}(${arg.name})`, arg);
    }
  }
  expect(nameless).toEqual([]);
});

it('says every refusal through one interface with a code', () => {
  const errors = Object.values(schema.getTypeMap()).filter((type) => type.name.endsWith('Error') && isObjectType(type));
  expect(errors.length).toBeGreaterThan(5);
  for (const error of errors)
    expect(isObjectType(error) && error.getInterfaces().map((one) => one.name)).toEqual(['ErrorResult']);
  expect(Object.keys(ErrorCode)).toEqual(Object.values(ErrorCode));
});

/** Documents that people copy must run: those of the playground, and every graphql block of the pages. */
describe('documents that are shown to people', () => {
  const blocksOf = (page: string) => {
    const text = existsSync(join(root, page)) ? readFileSync(join(root, page), 'utf8') : '';
    return [...text.matchAll(/```graphql\n([\s\S]*?)```/g)].map((match, index) => [`${page} ${index + 1}`, match[1]!] as const);
  };
  const tabs = playgroundTabs.map((tab, index) => [`playground ${index + 1}`, tab.query] as const);
  it.each([
    ...tabs,
    ...blocksOf('README.md'),
    ...blocksOf('docs/api.md'),
    ...blocksOf('docs/quickstart.md'),
    ...blocksOf('docs/services.md'),
    ...blocksOf('docs/live.md'),
  ])('%s fits the schema', (_name, document) => {
    expect(validate(schema, parse(document)).map((error) => error.message)).toEqual([]);
  });
});
