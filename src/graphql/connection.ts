import { GraphQLError } from 'graphql';
import { ArgsType, type ClassType, Field, Int, ObjectType } from 'type-graphql';

/** Pages hold at most this many. */
export const PAGE_SIZE_MAX = 100;

@ObjectType({ description: 'Where a page ends and whether another follows.' })
export class PageInfo {
  @Field(() => Boolean, { description: 'True when there is more after `endCursor`.' })
  hasNextPage!: boolean;

  @Field(() => String, { nullable: true, description: 'Give it as `after` to get the next page; null on an empty page.' })
  endCursor!: string | null;
}

@ArgsType()
export class PageArgs {
  @Field(() => Int, { defaultValue: 20, description: `How many, 1 to ${PAGE_SIZE_MAX}.` })
  first!: number;

  @Field(() => String, { nullable: true, description: 'The `endCursor` of the page before; stable while new entries arrive.' })
  after?: string | null;
}

/** The class of a list's edges; call it with the node's class and decorate the result with `@ObjectType`. */
export function Edge<Node extends object>(node: ClassType<Node>) {
  @ObjectType()
  abstract class EdgeOf {
    @Field(() => node, { description: 'The entry.' })
    node!: Node;

    @Field(() => String, { description: 'Where this entry stands: a page can start after it.' })
    cursor!: string;
  }
  return EdgeOf;
}

/** The class of a list's pages, in the shape of Relay's connections, with `nodes` for those who need no cursors. */
export function Connection<Node extends object>(node: ClassType<Node>, edge: ClassType<{ node: Node; cursor: string }>) {
  @ObjectType()
  abstract class ConnectionOf {
    @Field(() => [edge], { description: 'The entries with their cursors.' })
    edges!: { node: Node; cursor: string }[];

    @Field(() => [node], { description: 'The entries alone.' })
    nodes!: Node[];

    @Field(() => PageInfo, { description: 'Whether there is more.' })
    pageInfo!: PageInfo;
  }
  return ConnectionOf;
}

/**
 * Reads one page: asks for one entry more than was wanted, which tells whether there is another page. Throws BAD_USER_INPUT for a
 * size out of range or a cursor that is not ours.
 */
export async function pageOf<Entry, Node>(
  args: PageArgs,
  read: (first: number, after: string | undefined) => Promise<Entry[]>,
  keyOf: (entry: Entry) => string,
  toNode: (entry: Entry) => Node,
): Promise<{ edges: { node: Node; cursor: string }[]; nodes: Node[]; pageInfo: PageInfo }> {
  const { first, after } = args;
  if (first < 1 || first > PAGE_SIZE_MAX) throw badInput('first', `first must be 1 to ${PAGE_SIZE_MAX}, not ${first}.`);
  const entries = await read(first + 1, after == null ? undefined : readCursor(after));
  const edges = entries.slice(0, first).map((entry) => ({ node: toNode(entry), cursor: cursorOf(keyOf(entry)) }));
  const pageInfo = { hasNextPage: entries.length > first, endCursor: edges.at(-1)?.cursor ?? null };
  return { edges, nodes: edges.map((edge) => edge.node), pageInfo };
}

/** Opaque on purpose: what stands in a cursor is ours to change. */
export function cursorOf(key: string): string {
  return Buffer.from(`k:${key}`).toString('base64url');
}

export function readCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  if (!text.startsWith('k:') || text.includes('\u0000'))
    throw badInput('after', `after is not a cursor: ${JSON.stringify(cursor.slice(0, 50))}. Give an endCursor, or leave it out.`);
  return text.slice(2);
}

/** The key of a cursor that counts down. One that was tampered with leads nowhere, not into an error of the database. */
export function cursorBigInt(key: string | undefined): bigint | undefined {
  return key === undefined ? undefined : BigInt(/^\d{1,18}$/.exec(key)?.[0] ?? 0);
}

/** The request cannot be understood as it stands; `field` says where. */
export function badInput(field: string, message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', field } });
}
