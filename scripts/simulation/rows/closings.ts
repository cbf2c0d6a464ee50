import type * as closingRowsModule from '../../../src/orders/closingRows';
import { type UnansweredClosing } from '../../../src/orders/closingRows';
import { substitute } from '../../substitute';
import { type ClosingRow } from '../books';
import { type Session, statement } from '../database';

/** The statements about closings that inventory has not answered, on the books in memory. */
export function substituteClosingRows(): void {
  substitute<typeof closingRowsModule>('src/orders/closingRows', () => ({
    rememberClosings: async (tx, ids, afterMs) => {
      if (ids.length > 0) await statement(tx, 'remember closings', (session) => remember(session, ids, afterMs));
    },
    forgetClosings: (tx, ids) => statement(tx, 'forget closings', (session) => forget(session, ids)),
    takeUnanswered: (tx, limit) => statement(tx, 'take unanswered', (session) => takeUnanswered(session, limit)),
    giveUpClosings: (tx, afterMs, limit) => statement(tx, 'give up closings', (session) => giveUp(session, afterMs, limit)),
  }));
}

async function remember(session: Session, orderIds: string[], afterMs: number): Promise<void> {
  const { closings } = session.books;
  const { nowMs } = session.database;
  for (const orderId of [...new Set(orderIds)].sort()) {
    if (await session.lock(closings, orderId)) continue;
    session.put(closings, orderId, { orderId, closedAtMs: nowMs, watchAtMs: nowMs + afterMs });
  }
}

async function forget(session: Session, orderIds: string[]): Promise<void> {
  for (const orderId of [...new Set(orderIds)].sort()) {
    // A closing that is not committed yet is not seen, and not waited for.
    if (!session.get(session.books.closings, orderId)) continue;
    if (await session.lock(session.books.closings, orderId)) session.put(session.books.closings, orderId, undefined);
  }
}

function takeUnanswered(session: Session, limit: number): UnansweredClosing[] {
  const { closings, orders } = session.books;
  const { nowMs } = session.database;
  const isLate = ({ watchAtMs }: ClosingRow) => watchAtMs <= nowMs;
  const late = lockSome(session, isLate, limit);
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
  const old = lockSome(session, ({ closedAtMs }) => closedAtMs < session.database.nowMs - afterMs, limit);
  for (const { orderId } of old) session.put(session.books.closings, orderId, undefined);
  return old.length;
}

/** FOR UPDATE SKIP LOCKED. */
function lockSome(session: Session, isWanted: (row: ClosingRow) => boolean, limit: number): ClosingRow[] {
  const { closings } = session.books;
  const wanted = session.all(closings).filter(isWanted).slice(0, limit);
  return wanted.flatMap(({ orderId }) => session.lockIfFree(closings, orderId) ?? []);
}
