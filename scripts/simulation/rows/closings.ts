import type * as closingRowsModule from '../../../src/orders/closingRows';
import { type ClosingTable, type UnansweredClosing } from '../../../src/orders/closingRows';
import { substitute } from '../../substitute';
import { type ClosingRow, type Table } from '../books';
import { type Session, statement } from '../database';

/** The statements about closings that inventory or accounts has not answered, on the books in memory. */
export function substituteClosingRows(): void {
  substitute<typeof closingRowsModule>('src/orders/closingRows', () => ({
    rememberClosings: async (tx, table, ids, afterMs) => {
      if (ids.length > 0) await statement(tx, `remember ${table}`, (session) => remember(session, table, ids, afterMs));
    },
    forgetClosings: (tx, table, ids) => statement(tx, `forget ${table}`, (session) => forget(session, table, ids)),
    takeUnanswered: (tx, table, limit) =>
      statement(tx, `take unanswered ${table}`, (session) => takeUnanswered(session, table, limit)),
    giveUpClosings: (tx, afterMs, limit) => statement(tx, 'give up closings', (session) => giveUp(session, afterMs, limit)),
  }));
}

async function remember(session: Session, table: ClosingTable, orderIds: string[], afterMs: number): Promise<void> {
  const closings = session.books[table];
  const { nowMs } = session.database;
  for (const orderId of [...new Set(orderIds)].sort()) {
    if (await session.lock(closings, orderId)) continue;
    session.put(closings, orderId, { orderId, closedAtMs: nowMs, watchAtMs: nowMs + afterMs });
  }
}

async function forget(session: Session, table: ClosingTable, orderIds: string[]): Promise<void> {
  const closings = session.books[table];
  for (const orderId of [...new Set(orderIds)].sort()) {
    // A closing that is not committed yet is not seen, and not waited for.
    if (!session.get(closings, orderId)) continue;
    if (await session.lock(closings, orderId)) session.put(closings, orderId, undefined);
  }
}

function takeUnanswered(session: Session, table: ClosingTable, limit: number): UnansweredClosing[] {
  const { [table]: closings, orders } = session.books;
  const { nowMs } = session.database;
  const isLate = ({ watchAtMs }: ClosingRow) => watchAtMs <= nowMs;
  const late = lockSome(session, closings, isLate, limit);
  for (const row of late) session.put(closings, row.orderId, { ...row, watchAtMs: 2 * nowMs - row.closedAtMs });
  return late.map(({ orderId }) => {
    const { customerId, correlationId, status, version, reason } = session.get(orders, orderId)!;
    const closed = status as UnansweredClosing['status'];
    return {
      orderId,
      customerId,
      correlationId,
      status: closed,
      version,
      code: reason?.code ?? null,
      reason: reason?.message ?? null,
    };
  });
}

function giveUp(session: Session, afterMs: number, limit: number): number {
  const { closings } = session.books;
  const old = lockSome(session, closings, ({ closedAtMs }) => closedAtMs < session.database.nowMs - afterMs, limit);
  for (const { orderId } of old) session.put(closings, orderId, undefined);
  return old.length;
}

/** FOR UPDATE SKIP LOCKED. */
function lockSome(
  session: Session,
  closings: Table<ClosingRow>,
  isWanted: (row: ClosingRow) => boolean,
  limit: number,
): ClosingRow[] {
  const wanted = session.all(closings).filter(isWanted).slice(0, limit);
  return wanted.flatMap(({ orderId }) => session.lockIfFree(closings, orderId) ?? []);
}
