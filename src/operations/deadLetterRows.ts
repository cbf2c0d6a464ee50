import { transaction, type Database, type Transaction } from '../database';
import { decideKeeping, type Arrival, type Keeping, type KnownLetter } from './deadLetter';

/**
 * Keeps what came off one queue, once each, and returns when it is committed. Keepers of one queue go one after the other (the
 * advisory lock), so that two copies of one letter that reach two of them at once are one row.
 */
export async function keepArrivals(database: Database, queue: string, arrivals: Arrival[]): Promise<Keeping> {
  return transaction(database, async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext(${`holdfast.dead_letters.${queue}`}))`;
    const keeping = decideKeeping(await findKnown(tx, queue, arrivals), arrivals);
    await insertLetters(tx, queue, keeping.fresh);
    await markDiedAgain(tx, keeping.again);
    return keeping;
  });
}

/** Locked in the order of their ids, as everyone locks them: somebody may be settling one this moment. */
async function findKnown(tx: Transaction, queue: string, arrivals: Arrival[]): Promise<KnownLetter[]> {
  const known = await tx.$queryRaw<KnownLetter[]>`
    SELECT id, message_id AS "messageId", body_digest AS "bodyDigest", death_id AS "deathId", state::text AS state
    FROM operations.dead_letters
    WHERE queue = ${queue} AND (
      id = ANY(${arrivals.flatMap(({ letterId }) => letterId ?? [])}::uuid[])
      OR message_id = ANY(${arrivals.flatMap(({ messageId }) => messageId ?? [])}::text[])
      AND body_digest = ANY(${arrivals.map(({ bodyDigest }) => bodyDigest)}::text[])
      OR message_id IS NULL AND death_id = ANY(${arrivals.flatMap(({ deathId }) => deathId ?? [])}::text[])
    )
    ORDER BY id FOR UPDATE`;
  const nameless = arrivals.filter(({ messageId, deathId }) => messageId === undefined && deathId === undefined);
  return nameless.length === 0 ? known : [...known, ...(await findByBody(tx, queue, nameless))];
}

/** For arrivals that only their body can tell apart: one waiting letter with that body is enough. */
async function findByBody(tx: Transaction, queue: string, arrivals: Arrival[]): Promise<KnownLetter[]> {
  return tx.$queryRaw<KnownLetter[]>`
    SELECT letter.* FROM unnest(${[...new Set(arrivals.map(({ bodyDigest }) => bodyDigest))]}::text[]) AS wanted(digest)
    CROSS JOIN LATERAL (
      SELECT id, message_id AS "messageId", body_digest AS "bodyDigest", death_id AS "deathId", state::text AS state
      FROM operations.dead_letters
      WHERE queue = ${queue} AND body_digest = wanted.digest AND message_id IS NULL AND state = 'WAITING' LIMIT 1
    ) AS letter`;
}

/** One statement for any number. Bodies travel as base64, for they are bytes of any kind. */
async function insertLetters(tx: Transaction, queue: string, letters: Arrival[]): Promise<void> {
  if (letters.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO operations.dead_letters (id, queue, exchange, routing_key, message_id, type, correlation_id, aggregate_id,
                                         body, body_size, body_digest, properties, reason, attempt, death_id)
    SELECT id::uuid, ${queue}, exchange, routing_key, message_id, type, correlation_id, aggregate_id,
           decode(body, 'base64'), body_size, body_digest, properties::json, reason, attempt, death_id
    FROM unnest(
      ${letters.map(({ id }) => id)}::text[],
      ${letters.map(({ exchange }) => exchange)}::text[],
      ${letters.map(({ routingKey }) => routingKey)}::text[],
      ${letters.map(({ messageId }) => messageId ?? null)}::text[],
      ${letters.map(({ type }) => type ?? null)}::text[],
      ${letters.map(({ correlationId }) => correlationId ?? null)}::text[],
      ${letters.map(({ aggregateId }) => aggregateId ?? null)}::text[],
      ${letters.map(({ body }) => body.toString('base64'))}::text[],
      ${letters.map(({ body }) => body.length)}::int[],
      ${letters.map(({ bodyDigest }) => bodyDigest)}::text[],
      ${letters.map(({ properties }) => properties)}::text[],
      ${letters.map(({ reason }) => reason)}::text[],
      ${letters.map(({ attempt }) => attempt)}::int[],
      ${letters.map(({ deathId }) => deathId ?? null)}::text[]
    ) AS letter(id, exchange, routing_key, message_id, type, correlation_id, aggregate_id, body, body_size, body_digest, properties,
                reason, attempt, death_id)`;
}

/** Back to those who wait, with its new reason; whoever was about to call it replayed finds his claim gone. */
async function markDiedAgain(tx: Transaction, again: Keeping['again']): Promise<void> {
  if (again.length === 0) return;
  await tx.$executeRaw`
    UPDATE operations.dead_letters AS letter
    SET state = 'WAITING', times_died = times_died + death.times, died_at = clock_timestamp(), reason = death.reason,
        attempt = death.attempt, death_id = death.death_id, replay_id = NULL, replaying_until = NULL,
        settled_by = NULL, settled_because = NULL, settled_at = NULL
    FROM (
      SELECT DISTINCT ON (id) id, reason, attempt, death_id, count(*) OVER (PARTITION BY id)::int AS times
      FROM unnest(
        ${again.map(({ letterId }) => letterId)}::text[],
        ${again.map(({ arrival }) => arrival.reason)}::text[],
        ${again.map(({ arrival }) => arrival.attempt)}::int[],
        ${again.map(({ arrival }) => arrival.deathId ?? null)}::text[]
      ) WITH ORDINALITY AS died(id, reason, attempt, death_id, place)
      ORDER BY id, place DESC
    ) AS death
    WHERE letter.id = death.id::uuid`;
}

/** How many wait in the table, by queue; queues where none does are left out. */
export async function waitingByQueue(database: Database): Promise<Map<string, number>> {
  const rows = await database.$queryRaw<{ queue: string; waiting: number }[]>`
    SELECT queue, count(*)::int AS waiting FROM operations.dead_letters WHERE state = 'WAITING' GROUP BY queue`;
  return new Map(rows.map(({ queue, waiting }) => [queue, waiting]));
}

/** True when `limit` or more of this queue wait. */
export async function areWaiting(database: Database, queue: string, limit: number): Promise<boolean> {
  const [row] = await database.$queryRaw<{ waiting: number }[]>`
    SELECT count(*)::int AS waiting FROM (
      SELECT 1 FROM operations.dead_letters WHERE queue = ${queue} AND state = 'WAITING' LIMIT ${limit}
    ) AS letter`;
  return (row?.waiting ?? 0) >= limit;
}
