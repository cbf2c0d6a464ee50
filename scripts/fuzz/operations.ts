import {
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isUnionType,
  type GraphQLArgument,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';

import { below, pick, type Random } from '../random';
import { anInt, aText, chance, type KnownValues } from './values';

/** A request as GraphQL clients send it. */
export interface Operation {
  query: string;
  variables: Record<string, unknown>;
  operationName?: string;
}

export interface OperationOptions {
  schema: GraphQLSchema;
  known: KnownValues;
  random: Random;
}

/** An operation that the schema allows: any root field, any arguments of the right type, any selections below it. */
export function validOperation(options: OperationOptions): Operation {
  return new Composer(options).operation();
}

const DEPTH_MAX = 6;

/** Writes one operation and remembers what it has to declare: variables with their values, and fragments. */
class Composer {
  private readonly declarations: string[] = [];
  private readonly variables: Record<string, unknown> = {};
  private readonly fragments: string[] = [];
  private names = 0;

  constructor(private readonly options: OperationOptions) {}

  operation(): Operation {
    const { schema, random } = this.options;
    const isQuery = chance(0.6, random);
    const root = (isQuery ? schema.getQueryType() : schema.getMutationType())!;
    const count = chance(0.7, random) ? 1 : 2 + below(3, random);
    const fields = Array.from({ length: count }, () => this.field(pick(fieldsOf(root), random), 0));
    if (chance(0.1, random)) fields.push('__typename');
    const name = chance(0.5, random) ? 'Fuzz' : undefined;
    const isNamed = name !== undefined || this.declarations.length > 0;
    const head = isNamed || !isQuery ? `${isQuery ? 'query' : 'mutation'} ${name ?? ''}${this.declared()}` : '';
    const query = [`${head}{ ${fields.join(' ')} }`, ...this.fragments].join(' ');
    return { query, variables: this.variables, ...(name && chance(0.5, random) && { operationName: name }) };
  }

  private declared(): string {
    return this.declarations.length > 0 ? `(${this.declarations.join(', ')})` : '';
  }

  /** Always under a name of its own: two fields of one name must ask for the same, which random ones do not. */
  private field(field: GraphQLField<unknown, unknown>, depth: number): string {
    const given = field.args.map((argument) => this.argument(argument)).filter((text) => text !== undefined);
    const written = given.length > 0 ? `(${given.join(', ')})` : '';
    const type = getNamedType(field.type);
    const selection = isCompositeType(type) ? ` ${this.selection(type, depth + 1)}` : '';
    return `${this.newName('f')}: ${field.name}${written}${this.directive()}${selection}`;
  }

  private directive(): string {
    const { random } = this.options;
    if (!chance(0.05, random)) return '';
    const condition = chance(0.5, random) ? this.variable('Boolean!', chance(0.8, random)) : String(chance(0.8, random));
    return ` @${pick(['include', 'skip'], random)}(if: ${condition})`;
  }

  private selection(type: GraphQLCompositeType, depth: number): string {
    const { schema, random } = this.options;
    const parts = ['__typename'];
    if (isAbstractType(type)) {
      const objects = schema.getPossibleTypes(type).filter(() => chance(0.7, random));
      parts.push(...objects.map((object) => this.within(object, depth)));
    }
    if (!isUnionType(type)) parts.push(...this.someFields(type, depth));
    return `{ ${parts.join(' ')} }`;
  }

  /** A part of the selection for one type: in place, or in a fragment by name. */
  private within(object: GraphQLObjectType, depth: number): string {
    if (chance(0.7, this.options.random)) return `... on ${object.name} ${this.selection(object, depth)}`;
    const name = this.newName('F');
    this.fragments.push(`fragment ${name} on ${object.name} ${this.selection(object, depth)}`);
    return `...${name}`;
  }

  private someFields(type: Exclude<GraphQLCompositeType, { getTypes: unknown }>, depth: number): string[] {
    const { random } = this.options;
    const reachable = fieldsOf(type).filter((field) => depth < DEPTH_MAX || !isCompositeType(getNamedType(field.type)));
    const chosen = reachable.filter(() => chance(0.5, random)).map((field) => this.field(field, depth));
    if (isObjectType(type) && depth < DEPTH_MAX && chance(0.1, random)) chosen.push(this.within(type, depth + 1));
    return chosen;
  }

  private argument(argument: GraphQLArgument): string | undefined {
    const { random } = this.options;
    const isRequired = isNonNullType(argument.type) && argument.defaultValue === undefined;
    if (!isRequired && chance(0.4, random)) return undefined;
    const value = this.value(argument.type);
    const written = chance(0.5, random) ? this.variable(String(argument.type), value) : literal(value, argument.type);
    return `${argument.name}: ${written}`;
  }

  private variable(type: string, value: unknown): string {
    const name = this.newName('v');
    this.declarations.push(`$${name}: ${type}`);
    this.variables[name] = value;
    return `$${name}`;
  }

  private value(type: GraphQLInputType): unknown {
    if (isNonNullType(type)) return this.given(type.ofType);
    return chance(0.05, this.options.random) ? null : this.given(type);
  }

  private given(type: GraphQLInputType): unknown {
    const { known, random } = this.options;
    if (isListType(type)) {
      const size = chance(0.03, random) ? 101 : below(4, random);
      return Array.from({ length: size }, () => this.value(type.ofType));
    }
    if (isInputObjectType(type)) return this.inputObject(Object.values(type.getFields()));
    if (isEnumType(type)) return pick(type.getValues(), random).name;
    const name = getNamedType(type).name;
    if (name === 'Boolean') return chance(0.5, random);
    return name === 'Int' ? anInt(known, random) : aText(known, random);
  }

  private inputObject(fields: GraphQLInputField[]): Record<string, unknown> {
    const given = fields.filter((field) => isNonNullType(field.type) || chance(0.5, this.options.random));
    return Object.fromEntries(given.map((field) => [field.name, this.value(field.type)]));
  }

  private newName(stem: string): string {
    return `${stem}${++this.names}`;
  }
}

function fieldsOf(type: Exclude<GraphQLCompositeType, { getTypes: unknown }>): GraphQLField<unknown, unknown>[] {
  return Object.values(type.getFields());
}

/** A value as it is written in a document. */
function literal(value: unknown, type: GraphQLInputType): string {
  const named = getNullableType(type);
  if (value === null || value === undefined) return 'null';
  if (isListType(named)) return `[${(value as unknown[]).map((item) => literal(item, named.ofType)).join(', ')}]`;
  if (isInputObjectType(named)) {
    const fields = Object.entries(value as Record<string, unknown>);
    return `{ ${fields.map(([name, item]) => `${name}: ${literal(item, named.getFields()[name]!.type)}`).join(', ')} }`;
  }
  return isEnumType(named) ? (value as string) : JSON.stringify(value);
}
