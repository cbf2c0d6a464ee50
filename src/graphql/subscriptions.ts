import { type GraphQLResolveInfo, type GraphQLSchema } from 'graphql';
import { type ClassType, type PubSub } from 'type-graphql';

import { CursorAhead } from '../live';
import { badInput, cursorOf, readCursor } from './connection';

/** A subscription is told by an async generator of its context; type-graphql's own way is not gone, and it wants one of these all the same. */
export const noPubSub: PubSub = {
  publish: () => undefined,
  subscribe: (topic) => {
    throw new Error(`Nothing is published here: ${topic} needs a \`subscribe\` of its own.`);
  },
};

const resolversKey = 'holdfast.resolvers';

/** Keeps the resolvers with the schema: type-graphql hands none to the function that a subscription begins with. */
export function withResolvers(schema: GraphQLSchema, resolvers: ReadonlyMap<unknown, object>): GraphQLSchema {
  schema.extensions = { ...schema.extensions, [resolversKey]: resolvers };
  return schema;
}

export function resolverIn<T extends object>(type: ClassType<T>, { schema }: GraphQLResolveInfo): T {
  const resolvers = schema.extensions[resolversKey] as ReadonlyMap<unknown, object> | undefined;
  const found = resolvers?.get(type);
  if (!(found instanceof type)) throw new Error(`The schema was built without ${type.name}.`);
  return found;
}

/** What a cursor of a subscription counts: the steps of orders, or the movements of stock, or `event`: both. */
export type Counted = 'step' | 'movement' | 'event';

export function newsCursor(counted: Counted, ...positions: bigint[]): string {
  return cursorOf([counted, ...positions].join(' '));
}

/** The position of a cursor that was given as `after`; one of something else is the caller's fault. */
export function afterOf(counted: Counted, cursor: string | null | undefined): bigint | undefined {
  return positionsIn(counted, cursor, 1)?.[0];
}

export function positionsIn(counted: Counted, cursor: string | null | undefined, count: number): bigint[] | undefined {
  if (cursor == null) return undefined;
  const [kind, ...positions] = readCursor(cursor).split(' ');
  if (kind !== counted || positions.length !== count || !positions.every((position) => /^\d{1,18}$/.test(position)))
    throw badInput('after', 'after is a cursor of something else: give one of this subscription, or leave it out.');
  return positions.map(BigInt);
}

/** Says in words of the schema what can be wrong with a cursor that looked good. */
export async function* followed<News, Told>(source: AsyncGenerator<News>, toTold: (news: News) => Told): AsyncGenerator<Told> {
  try {
    for await (const news of source) yield toTold(news);
  } catch (error) {
    if (error instanceof CursorAhead)
      throw badInput('after', 'after is a cursor of another database: leave it out to begin from now.');
    throw error;
  }
}
