import type * as inventoryRowsModule from '../../../src/inventory/amendmentRows';
import { type Held } from '../../../src/inventory/amendment';
import { type AmendmentName, type FoundAmendments, keyOf, type StoredAnswer } from '../../../src/inventory/amendmentRows';
import { type HeldLine } from '../../../src/inventory/stock';
import type * as orderRowsModule from '../../../src/orders/amendmentRows';
import { type AmendmentOutcome, type AmendmentTimes, type AmendmentUnderWay } from '../../../src/orders/amendmentRows';
import type * as markRowsModule from '../../../src/orders/markRows';
import { type OrderMark } from '../../../src/orders/markRows';
import { type PricedLine } from '../../../src/orders/orderLines';
import type * as readAmendmentsModule from '../../../src/orders/readAmendments';
import { substitute } from '../../substitute';
import { type AmendmentRow } from '../books';
import { type Session, statement } from '../database';

/** The statements about changes of orders, in orders and in inventory, on the books in memory. */
export function substituteAmendmentRows(): void {
  substitute<typeof orderRowsModule>('src/orders/amendmentRows', () => ({
    insertAmendment: (tx, wanted, times) => statement(tx, 'insert amendment', (session) => insert(session, wanted, times)),
    findUnderWay: (tx, ids) => statement(tx, 'find amendments', (session) => underWay(session, ids)),
    endAmendments: async (tx, outcomes) => {
      if (outcomes.length > 0) await statement(tx, 'end amendments', (session) => end(session, outcomes));
    },
    replaceLines: async (tx, orders) => {
      if (orders.length > 0) await statement(tx, 'replace lines', (session) => replace(session, orders));
    },
    takeUnansweredAmendments: (tx, limit, againMaxMs) =>
      statement(tx, 'take unanswered amendments', (session) => takeUnanswered(session, limit, againMaxMs)),
  }));
  substitute<typeof markRowsModule>('src/orders/markRows', () => ({
    readMarks: (database, ids) => statement(database, 'read marks', (session) => marks(session, ids)),
  }));
  substitute<typeof readAmendmentsModule>('src/orders/readAmendments', () => ({
    readAmendment: (database, orderId, number) =>
      statement(database, 'read amendment', ({ books }) => {
        const row = books.amendments.get(keyOf({ orderId, number }));
        return row && { ...row, requestedAt: new Date(row.requestedAtMs), decidedAt: null };
      }),
  }));
  substitute<typeof inventoryRowsModule>('src/inventory/amendmentRows', () => ({
    findAmendments: (tx, named) => statement(tx, 'find answers', (session) => findAnswers(session, named)),
    readHeld: (tx, reservations, lastNumbers) =>
      statement(tx, 'read held', (session) => heldBy(session, [...reservations.keys()], lastNumbers)),
    saveAnswers: (tx, answers) => statement(tx, 'save answers', (session) => saveAnswers(session, answers)),
    amendReservations: async (tx, amended) => {
      if (amended.length > 0) await statement(tx, 'amend reservations', (session) => amendReservations(session, amended));
    },
  }));
}

type Wanted = Omit<AmendmentUnderWay, 'number' | 'decideBefore'>;

async function insert(session: Session, wanted: Wanted, times: AmendmentTimes): Promise<AmendmentUnderWay> {
  const { amendments } = session.books;
  const { nowMs } = session.database;
  const number = 1 + session.all(amendments).filter(({ orderId }) => orderId === wanted.orderId).length;
  await session.lock(amendments, keyOf({ ...wanted, number }));
  const decideBefore = new Date(nowMs + times.deadlineMs);
  const row = { ...wanted, number, decideBefore, status: 'PENDING' as const, reason: null };
  session.put(amendments, keyOf(row), { ...row, requestedAtMs: nowMs, watchAtMs: nowMs + times.tellAgainAfterMs });
  return row;
}

function underWay(session: Session, orderIds: string[]): Map<string, AmendmentUnderWay> {
  const rows = session.all(session.books.amendments).filter(isPending);
  return new Map(rows.filter(({ orderId }) => orderIds.includes(orderId)).map((row) => [row.orderId, row]));
}

async function end(session: Session, outcomes: AmendmentOutcome[]): Promise<void> {
  const { amendments } = session.books;
  for (const outcome of [...outcomes].sort((a, b) => (a.orderId < b.orderId ? -1 : 1))) {
    const row = (await session.lock(amendments, keyOf(outcome)))!;
    const reason = outcome.status === 'REJECTED' ? outcome.reason : null;
    session.put(amendments, keyOf(outcome), { ...row, status: outcome.status, reason });
  }
}

async function replace(session: Session, orders: { orderId: string; lines: PricedLine[] }[]): Promise<void> {
  for (const { orderId, lines } of orders) {
    const row = (await session.lock(session.books.orders, orderId))!;
    session.put(session.books.orders, orderId, { ...row, lines });
  }
}

/** FOR UPDATE SKIP LOCKED. */
function takeUnanswered(session: Session, limit: number, againMaxMs: number): AmendmentUnderWay[] {
  const { amendments } = session.books;
  const { nowMs } = session.database;
  const isLate = (row: AmendmentRow) => isPending(row) && row.watchAtMs <= nowMs;
  const late = session.all(amendments).filter(isLate).slice(0, limit);
  const taken = late.flatMap((row) => session.lockIfFree(amendments, keyOf(row)) ?? []).filter(isLate);
  for (const row of taken) {
    const watchAtMs = nowMs + Math.min(nowMs - row.requestedAtMs, againMaxMs);
    session.put(amendments, keyOf(row), { ...row, watchAtMs });
  }
  return taken;
}

function isPending({ status }: AmendmentRow): boolean {
  return status === 'PENDING';
}

function marks(session: Session, ids: string[]): Map<string, OrderMark> {
  const amending = underWay(session, ids);
  return new Map(
    ids.flatMap((id) => {
      const row = session.get(session.books.orders, id);
      return row ? [[id, { version: row.version, underWay: amending.get(id)?.number ?? null }] as const] : [];
    }),
  );
}

function findAnswers(session: Session, named: AmendmentName[]): FoundAmendments {
  const stored = session.all(session.books.answers);
  const wanted = new Set(named.map(keyOf));
  const last = (id: string) => stored.reduce((most, row) => (row.orderId === id ? Math.max(most, row.number) : most), 0);
  return {
    answers: new Map(stored.filter((row) => wanted.has(keyOf(row))).map((row) => [keyOf(row), row.answer])),
    lastNumbers: new Map(named.map(({ orderId }) => [orderId, last(orderId)])),
    now: new Date(session.database.nowMs),
  };
}

function heldBy(session: Session, orderIds: string[], lastNumbers: Map<string, number>): Map<string, Held> {
  return new Map(
    orderIds.map((orderId): [string, Held] => {
      const { status, lines } = session.get(session.books.reservations, orderId)!;
      return [orderId, { isActive: status === 'ACTIVE', lines: lines as HeldLine[], lastNumber: lastNumbers.get(orderId) ?? 0 }];
    }),
  );
}

/** ON CONFLICT DO NOTHING. */
async function saveAnswers(session: Session, answers: StoredAnswer[]): Promise<number> {
  let saved = 0;
  for (const answer of [...answers].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    if (await session.lock(session.books.answers, keyOf(answer))) continue;
    session.put(session.books.answers, keyOf(answer), answer);
    saved++;
  }
  return saved;
}

async function amendReservations(session: Session, amended: { orderId: string; lines: HeldLine[] }[]): Promise<void> {
  for (const { orderId, lines } of amended) {
    const row = (await session.lock(session.books.reservations, orderId))!;
    const items = lines.map((line) => ({ product_id: line.productId, quantity: line.quantity, unit_price: line.unitPrice }));
    const answer = JSON.stringify({ event: 'StockReserved', order_id: orderId, items });
    session.put(session.books.reservations, orderId, { ...row, lines, answer });
  }
}
