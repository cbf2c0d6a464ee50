import { type Database } from '../database';

/** What one key has used since it was last told. */
export interface Used {
  key: string;
  points: number;
  /** How fast it is forgotten. */
  pointsPerSecond: number;
}

/**
 * Adds what this gateway has counted to what the others have, and gives the levels of the same keys, all in one statement. A level
 * falls with the database's clock, which all gateways share; one that is set back stands still and does not rise. Keys go in by
 * their order, so that two gateways with the same keys wait for one another and never deadlock.
 */
export async function settleLevels(database: Database, used: Used[]): Promise<Map<string, number>> {
  const rows = await database.$queryRaw<{ key: string; level: number }[]>`
    INSERT INTO gateway.rate_levels AS shared (key, level, points_per_second)
    SELECT key, points, points_per_second
    FROM unnest(
      ${used.map(({ key }) => key)}::text[],
      ${used.map(({ points }) => points)}::float8[],
      ${used.map(({ pointsPerSecond }) => pointsPerSecond)}::float8[]
    ) AS used(key, points, points_per_second)
    ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
      level = excluded.level
        + greatest(0, shared.level - greatest(0, extract(epoch FROM excluded.at - shared.at)) * excluded.points_per_second),
      points_per_second = excluded.points_per_second, at = excluded.at
    RETURNING key, level`;
  return new Map(rows.map(({ key, level }) => [key, level]));
}

/** Removes keys that have nothing left to forget, so many at most; returns how many these were. */
export function removeForgotten(database: Database, limit: number): Promise<number> {
  return database.$executeRaw`
    DELETE FROM gateway.rate_levels WHERE key IN (
      SELECT key FROM gateway.rate_levels
      WHERE level <= points_per_second * extract(epoch FROM clock_timestamp() - at) LIMIT ${limit} FOR UPDATE SKIP LOCKED)`;
}
