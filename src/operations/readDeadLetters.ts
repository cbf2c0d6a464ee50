import { type Database, type DeadLetterActionModel, type DeadLetterModel, type Prisma } from '../database';
import { isLetterId } from './deadLetter';

/** A kept letter without its body, which may be large. */
export type DeadLetterView = Omit<DeadLetterModel, 'body'>;
export type DeadLetterState = DeadLetterView['state'];

export interface DeadLetterFilter {
  queue?: string | null;
  state?: DeadLetterState | null;
  type?: string | null;
  /** What it is about: an order, or `product:1`. */
  aggregateId?: string | null;
  /** Part of the reason, in any case. */
  reason?: string | null;
}

/** How a queue's letters stand. */
export interface DeadLetterCount {
  queue: string;
  waiting: number;
  replayed: number;
  discarded: number;
  /** When the first of those that wait died. */
  oldestWaiting: Date | null;
}

/** A page of letters, newest first, after the letter with id `after`. */
export async function listDeadLetters(
  database: Database,
  filter: DeadLetterFilter,
  first: number,
  after?: string,
): Promise<DeadLetterView[]> {
  if (after !== undefined && !isLetterId(after)) return [];
  const where = { ...conditionOf(filter), ...(after === undefined ? {} : { id: { lt: after } }) };
  return database.deadLetter.findMany({ where, orderBy: { id: 'desc' }, take: first, omit: { body: true } });
}

/** The letters that wait, oldest first: in the order in which they are replayed. */
export async function listWaiting(
  database: Database,
  filter: Omit<DeadLetterFilter, 'state'>,
  first: number,
  after?: string,
): Promise<DeadLetterView[]> {
  const where = { ...conditionOf({ ...filter, state: 'WAITING' }), ...(after === undefined ? {} : { id: { gt: after } }) };
  return database.deadLetter.findMany({ where, orderBy: { id: 'asc' }, take: first, omit: { body: true } });
}

/** The letters with these ids, oldest first; unknown ones are left out. */
export async function findDeadLetters(database: Database, ids: readonly string[]): Promise<DeadLetterView[]> {
  const known = ids.filter(isLetterId);
  if (known.length === 0) return [];
  return database.deadLetter.findMany({ where: { id: { in: known } }, orderBy: { id: 'asc' }, omit: { body: true } });
}

/**
 * The bodies of these letters as far as they are together no larger than `bytesMax`; the first one always. Whoever asks for many
 * large ones at once gets the rest one by one.
 */
export async function readBodies(
  database: Database,
  letters: readonly Pick<DeadLetterView, 'id' | 'bodySize'>[],
  bytesMax: number,
): Promise<Map<string, Buffer>> {
  let bytes = 0;
  const ids = letters.filter(({ bodySize }, index) => (bytes += bodySize) <= bytesMax || index === 0).map(({ id }) => id);
  const rows = await database.deadLetter.findMany({ where: { id: { in: ids } }, select: { id: true, body: true } });
  return new Map(rows.map(({ id, body }) => [id, Buffer.from(body)]));
}

/** What was done about these letters, by whom and why, each in its order. */
export async function readActions(database: Database, ids: readonly string[]): Promise<Map<string, DeadLetterActionModel[]>> {
  const rows = await database.deadLetterAction.findMany({ where: { deadLetterId: { in: [...ids] } }, orderBy: { id: 'asc' } });
  const actions = new Map<string, DeadLetterActionModel[]>(ids.map((id) => [id, []]));
  for (const row of rows) actions.get(row.deadLetterId)?.push(row);
  return actions;
}

export async function countDeadLetters(database: Database): Promise<DeadLetterCount[]> {
  return database.$queryRaw<DeadLetterCount[]>`
    SELECT queue, count(*) FILTER (WHERE state = 'WAITING')::int AS waiting,
           count(*) FILTER (WHERE state = 'REPLAYED')::int AS replayed,
           count(*) FILTER (WHERE state = 'DISCARDED')::int AS discarded,
           min(died_at) FILTER (WHERE state = 'WAITING') AS "oldestWaiting"
    FROM operations.dead_letters GROUP BY queue ORDER BY queue`;
}

function conditionOf({ queue, state, type, aggregateId, reason }: DeadLetterFilter): Prisma.DeadLetterWhereInput {
  return {
    ...(queue == null ? {} : { queue }),
    ...(state == null ? {} : { state }),
    ...(type == null ? {} : { type }),
    ...(aggregateId == null ? {} : { aggregateId }),
    ...(reason == null ? {} : { reason: { contains: reason.replace(/[\\%_]/g, '\\$&'), mode: 'insensitive' as const } }),
  };
}
