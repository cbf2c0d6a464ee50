import { transaction } from '../../../src/database/transaction';
import { aggregateOf, type OutgoingMessage } from '../../../src/messaging/message';
import type * as outboxRowsModule from '../../../src/messaging/outboxRows';
import { type OutboxRow, type OutboxSchema } from '../../../src/messaging/outboxRows';
import { substitute } from '../../substitute';
import { type OutboxRowWithLease } from '../books';
import { type Session, statement } from '../database';
import { activeScheduler } from '../virtualTime';

/** The statements of the outbox, on the books in memory. */
export function substituteOutboxRows(): void {
  substitute<typeof outboxRowsModule>('src/messaging/outboxRows', () => ({
    append: async (tx, schema, messages, leaseMs) =>
      messages.length === 0 ? [] : statement(tx, 'append', (session) => append(session, schema, messages, leaseMs)),
    claimDue: (database, wanted) =>
      transaction(database, (tx) => statement(tx, `claim ${wanted.schema}`, (session) => claimDue(session, wanted)), {
        random: activeScheduler()!.random,
      }),
    removePublished: (database, schema, positions) =>
      statement(database, 'remove published', (session) => removePublished(session, schema, positions)),
    postponeRefused: (database, refused) =>
      statement(database, 'postpone refused', (session) => postponeRefused(session, refused)),
    waitingAggregates: (tx, schema, ids) =>
      statement(tx, 'waiting aggregates', (session) => {
        const waiting = new Set(session.all(session.books.outbox[schema]).map((row) => row.aggregateId));
        return new Set(ids.filter((id) => waiting.has(id)));
      }),
  }));
}

/** Positions are given out as the rows are written, and rows may be committed in any order: a sequence waits for nobody. */
export async function append(
  session: Session,
  schema: OutboxSchema,
  messages: OutgoingMessage[],
  leaseMs: number,
): Promise<OutboxRow[]> {
  const { nowMs } = session.database;
  const rows = messages.map(
    (message): OutboxRowWithLease => ({
      ...{ id: message.id, type: message.body.event, aggregateId: aggregateOf(message.body) },
      ...{ json: JSON.stringify(message.body), correlationId: message.correlationId },
      ...{ causationId: message.causationId ?? null, traceparent: message.traceparent ?? null },
      ...{ position: session.database.nextPosition(), createdAt: new Date(nowMs), leaseUntilMs: nowMs + leaseMs },
    }),
  );
  for (const row of rows) {
    await session.lock(session.books.outbox[schema], String(row.position));
    session.put(session.books.outbox[schema], String(row.position), row);
  }
  return rows;
}

type Wanted = Parameters<typeof outboxRowsModule.claimDue>[1];

/** By the state of the rows, one claim at a time, and never past an older row of the same aggregate that is leased elsewhere. */
async function claimDue(session: Session, { schema, leaseMs, limit, held, everything, seen = 0n }: Wanted): Promise<OutboxRow[]> {
  await session.advisoryLock(`claim of ${schema}`);
  const { nowMs } = session.database;
  const table = session.books.outbox[schema];
  const isDue = (row: OutboxRowWithLease) => row.leaseUntilMs < nowMs || (everything && row.position > seen);
  const inHand = new Set(held);
  const leased = new Set<string>();
  const claimed: OutboxRow[] = [];
  for (const row of session.all(table).sort((a, b) => (a.position < b.position ? -1 : 1))) {
    if (row.leaseUntilMs >= nowMs && !everything) leased.add(row.aggregateId);
    if (!isDue(row) || inHand.has(row.position) || leased.has(row.aggregateId) || claimed.length === limit) continue;
    const free = session.lockIfFree(table, String(row.position));
    if (!free) continue;
    session.put(table, String(row.position), { ...free, leaseUntilMs: nowMs + leaseMs });
    claimed.push(free);
  }
  return claimed;
}

async function removePublished(session: Session, schema: OutboxSchema, positions: bigint[]): Promise<void> {
  const table = session.books.outbox[schema];
  for (const position of [...positions].sort((a, b) => (a < b ? -1 : 1))) {
    if (await session.lock(table, String(position))) session.put(table, String(position), undefined);
  }
}

type Refused = Parameters<typeof outboxRowsModule.postponeRefused>[1];

async function postponeRefused(session: Session, { schema, positions, leaseMs }: Refused): Promise<void> {
  const table = session.books.outbox[schema];
  const { nowMs } = session.database;
  for (const position of [...positions].sort((a, b) => (a < b ? -1 : 1))) {
    const row = await session.lock(table, String(position));
    const waitMs = row && Math.min(300_000, Math.max(leaseMs, nowMs - row.createdAt.getTime()));
    if (row) session.put(table, String(position), { ...row, leaseUntilMs: nowMs + waitMs! });
  }
}
