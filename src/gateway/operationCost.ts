import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  getNullableType,
  type GraphQLField,
  type GraphQLNamedType,
  GraphQLError,
  type GraphQLSchema,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
  type ValueNode,
} from 'graphql';
import { type ShapeLimits } from './operationShape';

/**
 * Gives the cost of an operation, or throws what refuses it. A document of a few kilobytes can ask for a million rows, or for five
 * hundred transactions one after the other, and everyone else would wait for it. The cost is an estimate: a point for each value of
 * the answer, taking a page to hold as many as its `first` says, and more for each trip to the database.
 */
export function costWithin({ costMax }: OperationLimits, operation: CostedOperation): number {
  const cost = costOf(operation);
  if (cost > costMax) throw tooMuch();
  return cost;
}

/** How much one operation may ask for. */
export interface OperationLimits extends ShapeLimits {
  costMax: number;
}

/**
 * A page of 100 orders with lines and timeline costs 9,300, a bulk call of 100 orders 14,000; what tools ask a schema about itself
 * is 15 deep.
 */
export const operationLimits: OperationLimits = { costMax: 25_000, depthMax: 20, aliasesMax: 30, repeatsMax: 60 };

/** Words and signs of a document: so many take some ten milliseconds to read and validate. */
export const DOCUMENT_TOKENS_MAX = 2_000;

/** Of a document that does not fit the schema: to find each takes time, and nobody mends more at once. */
export const FAULTS_TOLD_MAX = 20;

/** Of a field that is looked up by its arguments. */
export const LOOKUP_COST = 50;
/** Mutations run one after the other, each with a commit of its own. */
export const MUTATION_COST = 4_000;
/** Of each entry of a list that is sent. */
export const ENTRY_COST = 100;
/** What a list is taken to hold that does not say, such as the lines of an order. */
const LIST_LENGTH = 5;
/** Longer pages are refused by their fields, and so cost nothing more. */
const PAGE_MAX = 100;

export interface CostedOperation {
  schema: GraphQLSchema;
  document: DocumentNode;
  operation: OperationDefinitionNode;
  variables: Record<string, unknown>;
}

export function costOf(operation: CostedOperation): number {
  return new Estimate(operation).total();
}

function tooMuch(): GraphQLError {
  const message =
    'This operation asks for too much at once: ask for shorter lists, fewer fields or fewer mutations, or send several requests.';
  return refusal(message);
}

/** Of a document or an operation that is too much. */
export function refusal(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } });
}

class Estimate {
  private readonly fragments: Map<string, FragmentDefinitionNode>;
  /** Each is reckoned once per length of the list around it: the paths through fragments can double at every step. */
  private readonly fragmentCosts = new Map<string, number>();

  constructor(private readonly asked: CostedOperation) {
    const definitions = asked.document.definitions.filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION);
    this.fragments = new Map(definitions.map((definition) => [definition.name.value, definition]));
  }

  total(): number {
    const { schema, operation } = this.asked;
    return this.selections(operation.selectionSet, schema.getRootType(operation.operation) ?? undefined, LIST_LENGTH);
  }

  /** `listLength`: what lists hold that stand right here; within a page, its length. */
  private selections({ selections }: SelectionSetNode, parent: GraphQLNamedType | undefined, listLength: number): number {
    let cost = 0;
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) cost += this.field(selection, parent, listLength);
      else if (selection.kind === Kind.FRAGMENT_SPREAD) cost += this.fragment(selection.name.value, listLength);
      else cost += this.selections(selection.selectionSet, this.typeNamed(selection.typeCondition) ?? parent, listLength);
    }
    return cost;
  }

  private fragment(name: string, listLength: number): number {
    const key = `${name} ${listLength}`;
    const known = this.fragmentCosts.get(key);
    const definition = this.fragments.get(name);
    if (known !== undefined || !definition) return known ?? 0;
    const cost = this.selections(definition.selectionSet, this.typeNamed(definition.typeCondition), listLength);
    this.fragmentCosts.set(key, cost);
    return cost;
  }

  private field(node: FieldNode, parent: GraphQLNamedType | undefined, listLength: number): number {
    const field = definitionOf(node.name.value, parent);
    if (!field) return 1;
    const own = 1 + this.tripCost(field, parent) + this.entriesSent(node) * ENTRY_COST;
    if (!node.selectionSet) return own;
    const inside = this.selections(node.selectionSet, getNamedType(field.type), this.pageLength(field, node) ?? LIST_LENGTH);
    return own + inside * (isListType(getNullableType(field.type)) ? listLength : 1);
  }

  private tripCost(field: GraphQLField<unknown, unknown>, parent: GraphQLNamedType | undefined): number {
    if (parent === this.asked.schema.getRootType(OperationTypeNode.MUTATION)) return MUTATION_COST;
    return field.args.length > 0 && !parent?.name.startsWith('__') ? LOOKUP_COST : 0;
  }

  private pageLength(field: GraphQLField<unknown, unknown>, { arguments: given = [] }: FieldNode): number | undefined {
    const declared = field.args.find(({ name }) => name === 'first');
    if (!declared) return undefined;
    const argument = given.find(({ name }) => name.value === 'first');
    const first = (argument && this.valueOf(argument.value)) ?? declared.defaultValue;
    return Math.min(PAGE_MAX, Math.max(1, Number(first) || PAGE_MAX));
  }

  private entriesSent({ arguments: given = [] }: FieldNode): number {
    const lengths = given.map(({ value }) => this.valueOf(value)).map((value) => (Array.isArray(value) ? value.length : 0));
    return lengths.reduce((sum, length) => sum + length, 0);
  }

  /** A number or a list, as far as it can be read without the types; anything else is undefined. */
  private valueOf(node: ValueNode): unknown {
    switch (node.kind) {
      case Kind.INT:
        return Number(node.value);
      case Kind.LIST:
        return node.values;
      case Kind.VARIABLE: {
        const { variables, operation } = this.asked;
        const name = node.name.value;
        if (Object.hasOwn(variables, name)) return variables[name];
        const declared = operation.variableDefinitions?.find(({ variable }) => variable.name.value === name)?.defaultValue;
        return declared && this.valueOf(declared);
      }
      default:
        return undefined;
    }
  }

  private typeNamed(condition: { name: { value: string } } | undefined): GraphQLNamedType | undefined {
    return condition && this.asked.schema.getType(condition.name.value);
  }
}

function definitionOf(name: string, parent: GraphQLNamedType | undefined): GraphQLField<unknown, unknown> | undefined {
  if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
  if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  return isObjectType(parent) || isInterfaceType(parent) ? parent.getFields()[name] : undefined;
}
