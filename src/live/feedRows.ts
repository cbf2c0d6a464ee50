import { raw, type Database } from '../database';

/** A table whose rows carry a position from a sequence, each drawn under the lock of what the row tells of, and the moment, `at`. */
export interface PositionedTable {
  /** With its schema, as in `orders.order_history`. */
  table: string;
  /** The column of the position. */
  column: string;
}

/**
 * Who is writing rows of the table this moment. Whoever inserts holds this lock from before its first position is drawn until its end,
 * and is not found here once its rows can be seen. Asked of the locks of this one table, because the horizon of all transactions
 * (`pg_snapshot_xmin`) stands still while anybody anywhere builds an index.
 */
export async function writersOf(database: Database, { table }: PositionedTable): Promise<string[]> {
  const rows = await database.$queryRaw<{ writer: string }[]>`
    SELECT DISTINCT virtualtransaction AS writer FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation = ${table}::regclass
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  return rows.map(({ writer }) => writer);
}

/** The greatest position that can be seen; 0 of an empty table. */
export async function newestPosition(database: Database, { table, column }: PositionedTable): Promise<bigint> {
  const [row] = await database.$queryRaw<{ newest: bigint }[]>`
    SELECT coalesce(max(${raw(column)}), 0) AS newest FROM ${raw(table)}`;
  return row!.newest;
}

/** The last positions that can be seen, the greatest first; and whether a transaction of that time may still be under way. */
export async function latestPositions(
  database: Database,
  { table, column }: PositionedTable,
  limit: number,
): Promise<{ position: bigint; isRecent: boolean }[]> {
  return database.$queryRaw`
    SELECT ${raw(column)} AS position, at > clock_timestamp() - interval '30 seconds' AS "isRecent"
    FROM ${raw(table)} ORDER BY ${raw(column)} DESC LIMIT ${limit}`;
}
