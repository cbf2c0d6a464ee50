import { classifyDatabaseError, raw, sql, transaction, type Database, type Sql, type Transaction } from '../database';
import { type EventType } from '../contracts';
import { aggregateOf, type OutgoingMessage, type StoredMessage } from './message';

/** A committed event that waits for its publication. */
export interface OutboxRow extends StoredMessage {
  position: bigint;
}

/** The contexts that have an outbox; each keeps it in its own Postgres schema. */
export type OutboxSchema = 'orders' | 'inventory' | 'accounts' | 'notifications';

/** One statement for any number of messages: raw, because Prisma's createMany costs ten times as much and returns no rows. */
export async function append(
  tx: Transaction,
  schema: OutboxSchema,
  messages: OutgoingMessage[],
  leaseMs: number,
): Promise<OutboxRow[]> {
  if (messages.length === 0) return [];
  const appending = appendingTo(schema, messages, leaseMs);
  const written = await tx.$queryRaw<AppendedRow[]>`WITH ${appending.expression} SELECT id, position, created_at FROM outbox`;
  return appending.rows(written);
}

/** Messages on their way into the outbox, as a part of a statement that writes what they tell of as well. */
export interface Appending {
  /** A table expression named `outbox`, of the columns `id`, `position`, `created_at` and `aggregate_id`. */
  expression: Sql;
  /** The rows that were written, in the order of the messages. */
  rows(written: AppendedRow[]): OutboxRow[];
}

export interface AppendedRow {
  id: string;
  position: bigint;
  created_at: Date;
}

/**
 * `condition`: which of the messages are written, in words of SQL about `message.aggregate_id`. The rows travel as one JSON text:
 * Prisma and pg walk through arrays element by element, which costs more than the rest of the statement.
 */
export function appendingTo(
  schema: OutboxSchema,
  messages: OutgoingMessage[],
  leaseMs: number,
  condition: Sql = sql`TRUE`,
): Appending {
  const rows = messages.map(toRow);
  const expression = sql`outbox AS (
    INSERT INTO ${outboxTable(schema)} (id, aggregate_id, type, body, correlation_id, causation_id, traceparent, lease_until)
    SELECT id, aggregate_id, type, body, correlation_id, causation_id, traceparent,
           clock_timestamp() + ${leaseMs} * interval '1 millisecond'
    FROM ROWS FROM (json_to_recordset(${toJson(rows)}::json)
      AS (id uuid, aggregate_id text, type text, body json, correlation_id text, causation_id text, traceparent text)
    ) WITH ORDINALITY AS message(id, aggregate_id, type, body, correlation_id, causation_id, traceparent, place)
    WHERE ${condition}
    ORDER BY place
    RETURNING id, position, created_at, aggregate_id)`;
  return { expression, rows: (written) => withPositions(rows, written) };
}

function withPositions(rows: NewRow[], written: AppendedRow[]): OutboxRow[] {
  const byId = new Map(written.map((row) => [row.id, row]));
  return rows.flatMap((row) => {
    const appended = byId.get(row.id);
    return appended ? [{ ...row, position: appended.position, createdAt: appended.created_at }] : [];
  });
}

type NewRow = Omit<OutboxRow, 'position' | 'createdAt'>;

function toRow(message: OutgoingMessage): NewRow {
  return {
    id: message.id,
    type: message.body.event,
    aggregateId: aggregateOf(message.body),
    json: JSON.stringify(message.body),
    correlationId: message.correlationId,
    causationId: message.causationId ?? null,
    traceparent: message.traceparent ?? null,
  };
}

/** The bodies go in as they are, which is JSON already, and come out byte for byte. */
function toJson(rows: NewRow[]): string {
  const texts = rows.map(({ id, type, aggregateId, json, correlationId, causationId, traceparent }) => {
    const others = { id, type, aggregate_id: aggregateId, correlation_id: correlationId, causation_id: causationId, traceparent };
    return `${JSON.stringify(others).slice(0, -1)},"body":${json}}`;
  });
  return `[${texts.join(',')}]`;
}

/**
 * Takes over rows whose publisher did not publish them in time, oldest first, and leases them to this relay.
 * Claims by the state of the row and never by a cursor over ids, because ids are not committed in their order. One claim at a
 * time (the advisory lock), so that two relays cannot each take half of one order's events; a row waits while an older one of
 * its aggregate is leased elsewhere, so that a sweep keeps an order's events in their order. What is leased is gathered once and
 * joined: asked row by row it costs the square of a backlog, and a hundred thousand rows outlast the statement timeout.
 * `held`: what this relay has in hand already. `everything`: no other process can be publishing, so that leases count for nothing,
 * save for rows up to `seen`, which this relay has leased to itself.
 */
export async function claimDue(
  database: Database,
  {
    schema,
    leaseMs,
    limit,
    held,
    everything,
    seen = 0n,
  }: { schema: OutboxSchema; leaseMs: number; limit: number; held: bigint[]; everything: boolean; seen?: bigint },
): Promise<OutboxRow[]> {
  const table = outboxTable(schema);
  return transaction(database, async (tx) => {
    // An outbox grows from nothing faster than its statistics: on stale ones the planner would join row by row, and be quadratic.
    await tx.$executeRaw`
      SELECT pg_advisory_xact_lock(hashtext(${`holdfast.outbox.${schema}`})),
             set_config('enable_nestloop', 'off', true), set_config('enable_seqscan', 'on', true)`;
    const rows = await tx.$queryRaw<ClaimedRow[]>`
      WITH due AS (
        SELECT candidate.position FROM ${table} AS candidate
        LEFT JOIN (
          SELECT aggregate_id, min(position) AS position FROM ${table}
          WHERE lease_until >= clock_timestamp() AND NOT ${everything} GROUP BY aggregate_id
        ) AS leased ON leased.aggregate_id = candidate.aggregate_id AND leased.position < candidate.position
        WHERE (candidate.lease_until < clock_timestamp() OR (${everything} AND candidate.position > ${seen}))
          AND candidate.position <> ALL(${held}::bigint[]) AND leased.position IS NULL
        ORDER BY candidate.position LIMIT ${limit} FOR UPDATE OF candidate SKIP LOCKED
      )
      UPDATE ${table} AS claimed SET lease_until = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
      FROM due WHERE claimed.position = due.position
      RETURNING claimed.position, id, type, aggregate_id, body::text AS json, correlation_id, causation_id, traceparent, created_at`;
    return rows.map(fromClaimed).sort((a, b) => (a.position < b.position ? -1 : 1));
  });
}

/**
 * Published and confirmed: the rows have done their work. Returns when they are gone. Locking them in their order first would
 * write each row twice. Two relays that have published the same rows, which is rare, may so deadlock: one is told to try again, and
 * finds them gone.
 */
export async function removePublished(database: Database, schema: OutboxSchema, positions: bigint[]): Promise<void> {
  const remove = () => database.$executeRaw`DELETE FROM ${outboxTable(schema)} WHERE position = ANY(${positions}::bigint[])`;
  await remove().catch((error: unknown) => {
    if (classifyDatabaseError(error) !== 'retry') throw error;
    return remove();
  });
}

/**
 * No queue took these events, and trying at once again would only keep others from their turn: each waits as long as it is old,
 * so twice as long each time, from the lease up to five minutes. Locked in their order, as above.
 */
export async function postponeRefused(
  database: Database,
  { schema, positions, leaseMs }: { schema: OutboxSchema; positions: bigint[]; leaseMs: number },
): Promise<void> {
  const table = outboxTable(schema);
  await database.$executeRaw`
    WITH refused AS MATERIALIZED (
      SELECT position FROM ${table} WHERE position = ANY(${positions}::bigint[]) ORDER BY position FOR UPDATE
    )
    UPDATE ${table} AS row SET lease_until = clock_timestamp() + least(interval '5 minutes',
      greatest(${leaseMs} * interval '1 millisecond', clock_timestamp() - row.created_at))
    FROM refused WHERE row.position = refused.position`;
}

/** Which of these aggregates have an event in the outbox that still waits for its publication. */
export async function waitingAggregates(tx: Transaction, schema: OutboxSchema, aggregateIds: string[]): Promise<Set<string>> {
  if (aggregateIds.length === 0) return new Set();
  const rows = await tx.$queryRaw<{ id: string }[]>`
    SELECT DISTINCT aggregate_id AS id FROM ${outboxTable(schema)} WHERE aggregate_id = ANY(${aggregateIds}::text[])`;
  return new Set(rows.map((row) => row.id));
}

/** How many events wait, and for how many seconds the oldest has. */
export async function outboxLag(
  database: Database,
  schema: OutboxSchema,
): Promise<{ pending: number; oldestAgeSeconds: number }> {
  const [lag] = await database.$queryRaw<{ pending: number; age: number }[]>`
    SELECT count(*)::int AS pending, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age
    FROM ${outboxTable(schema)}`;
  return { pending: lag?.pending ?? 0, oldestAgeSeconds: lag?.age ?? 0 };
}

/** How many events wait, counted no further than `max`. */
export async function outboxDepth(database: Database, schema: OutboxSchema, max: number): Promise<number> {
  const [row] = await database.$queryRaw<{ depth: number }[]>`
    SELECT count(*)::int AS depth FROM (SELECT FROM ${outboxTable(schema)} LIMIT ${max}) AS waiting`;
  return row!.depth;
}

function outboxTable(schema: OutboxSchema) {
  return raw(`"${schema}"."outbox"`);
}

interface ClaimedRow {
  position: bigint;
  id: string;
  type: EventType;
  aggregate_id: string;
  json: string;
  correlation_id: string;
  causation_id: string | null;
  traceparent: string | null;
  created_at: Date;
}

function fromClaimed(row: ClaimedRow): OutboxRow {
  const {
    aggregate_id: aggregateId,
    correlation_id: correlationId,
    causation_id: causationId,
    created_at: createdAt,
    ...same
  } = row;
  return { ...same, aggregateId, correlationId, causationId, createdAt };
}
