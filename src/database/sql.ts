import { Prisma } from '../generated/prisma/client';

export { Prisma };

/** Builds a statement whose values are bound, to be nested in another or given to `$queryRaw` / `$executeRaw`. */
export const sql = Prisma.sql;
/** `join([1, 2, 3])` is `1, 2, 3` with each value bound. Throws on an empty list. */
export const join = Prisma.join;
/** Text that is not bound: only for names that stand in the source. Never for anything that came from outside. */
export const raw = Prisma.raw;
/** A fragment that adds nothing, for the branch that has nothing to add. */
export const empty = Prisma.empty;

export type Sql = Prisma.Sql;
