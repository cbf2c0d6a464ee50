import { sql, type Database, type Sql } from '../database';
import { type Settler } from './settling';

/**
 * Each of these is one statement, so that a letter changes together with the note of who changed it, or not at all. All lock the
 * rows in the order of their ids first, as the keepers do; who comes second sees what the first has made of them.
 */

/** Claims those that wait and nobody replays, for as long as a message may take to be settled; gives their ids. */
export function claimForReplay(database: Database, ids: string[], replayId: string, settler: Settler): Promise<Set<string>> {
  return changeNoted(
    database,
    'REPLAY',
    ids,
    settler,
    sql`
    replay_id = ${replayId}::uuid, replaying_until = clock_timestamp() + ${CLAIM_MS} * interval '1 millisecond'`,
  );
}

/** Those that wait and nobody replays; gives their ids. */
export function discardWaiting(database: Database, ids: string[], settler: Settler): Promise<Set<string>> {
  return changeNoted(
    database,
    'DISCARD',
    ids,
    settler,
    sql`
    state = 'DISCARDED', replay_id = NULL, replaying_until = NULL, ${settledBy(settler)}`,
  );
}

async function changeNoted(
  database: Database,
  action: 'REPLAY' | 'DISCARD',
  ids: string[],
  { actor, caller, reason }: Settler,
  change: Sql,
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await database.$queryRaw<{ id: string }[]>`
    WITH open AS MATERIALIZED (
      SELECT id FROM operations.dead_letters
      WHERE id = ANY(${ids}::uuid[]) AND state = 'WAITING' AND (replaying_until IS NULL OR replaying_until < clock_timestamp())
      ORDER BY id FOR UPDATE
    ), changed AS (
      UPDATE operations.dead_letters AS letter SET ${change} FROM open WHERE letter.id = open.id RETURNING letter.id
    ), noted AS (
      INSERT INTO operations.dead_letter_actions (dead_letter_id, action, actor, caller, reason)
      SELECT id, ${action}::operations.dead_letter_action_kind, ${actor}, ${caller ?? null}, ${reason} FROM changed
    )
    SELECT id FROM changed`;
  return new Set(rows.map(({ id }) => id));
}

/** Those that are still claimed by this replay: one that died again meanwhile is not, and goes on waiting. */
export async function markReplayed(database: Database, ids: string[], replayId: string, settler: Settler): Promise<void> {
  await changeClaimed(
    database,
    ids,
    replayId,
    sql`
    state = 'REPLAYED', replay_id = NULL, replaying_until = NULL, ${settledBy(settler)}`,
  );
}

/** The broker did not take them: they wait as before. */
export async function releaseClaims(database: Database, ids: string[], replayId: string): Promise<void> {
  await changeClaimed(database, ids, replayId, sql`replay_id = NULL, replaying_until = NULL`);
}

async function changeClaimed(database: Database, ids: string[], replayId: string, change: Sql): Promise<void> {
  if (ids.length === 0) return;
  await database.$executeRaw`
    WITH claimed AS MATERIALIZED (
      SELECT id FROM operations.dead_letters
      WHERE id = ANY(${ids}::uuid[]) AND replay_id = ${replayId}::uuid ORDER BY id FOR UPDATE
    )
    UPDATE operations.dead_letters AS letter SET ${change} FROM claimed WHERE letter.id = claimed.id`;
}

function settledBy({ actor, reason }: Settler): Sql {
  return sql`settled_by = ${actor}, settled_because = ${reason}, settled_at = clock_timestamp()`;
}

/** Longer than all attempts of one message together. */
const CLAIM_MS = 120_000;
