import type * as orderRowsModule from '../../../src/orders/orderRows';
import { type LockedOrder, type SavedChange } from '../../../src/orders/orderRows';
import { type PricedLine } from '../../../src/orders/orderLines';
import type * as paymentRowsModule from '../../../src/orders/paymentRows';
import { type UnpaidOrder } from '../../../src/orders/paymentRows';
import type * as readOrdersModule from '../../../src/orders/readOrders';
import { type OrderView } from '../../../src/orders/readOrders';
import type * as saveOrdersModule from '../../../src/orders/saveOrders';
import { type NewOrder, type OrderTimes } from '../../../src/orders/saveOrders';
import type * as watchRowsModule from '../../../src/orders/watchRows';
import { aggregateOf } from '../../../src/messaging/message';
import { substitute } from '../../substitute';
import { type OrderRow } from '../books';
import { type Session, statement } from '../database';
import { sqlFault } from '../sqlFaults';
import { append } from './outbox';

/** The statements of the orders context, on the books in memory: each locks and reads what its SQL does, in the same order. */
export function substituteOrderRows(): void {
  substitute<typeof saveOrdersModule>('src/orders/saveOrders', () => ({
    saveOrders: (tx, orders, times) => statement(tx, 'save orders', (session) => saveOrders(session, orders, times)),
    saveOrdersAtOnce: ({ database, leaseMs }, orders, events, times) =>
      statement(database, 'save orders at once', async (session) => {
        const placed = await saveOrders(session, orders, times);
        const messages = events.filter((event) => placed.has(aggregateOf(event.body)));
        return { result: placed, rows: await append(session, 'orders', messages, leaseMs) };
      }),
    findByKeys: (tx, keys) => statement(tx, 'find keys', (session) => findByKeys(session, keys)),
  }));
  substitute<typeof readOrdersModule>('src/orders/readOrders', () => ({
    findOrders: async (tx, ids) => (ids.length === 0 ? [] : statement(tx, 'find orders', (session) => findOrders(session, ids))),
  }));
  substitute<typeof orderRowsModule>('src/orders/orderRows', () => ({
    lockOrders: (tx, ids) => statement(tx, 'lock orders', (session) => lockOrders(session, ids)),
    readLines: async (tx, ids) => (ids.length === 0 ? [] : statement(tx, 'read lines', (session) => readLines(session, ids))),
    readOrders: (database, ids) => statement(database, 'read orders', (session) => readOrders(session, ids)),
    saveChangesAtOnce: ({ database, leaseMs }, changes, events) =>
      statement(database, 'save changes at once', async (session) => {
        if (!(await areStillSo(session, changes))) return undefined;
        await saveChanges(session, changes);
        return append(session, 'orders', events, leaseMs);
      }),
    saveChanges: async (tx, changes) => {
      if (changes.length > 0) await statement(tx, 'save changes', (session) => saveChanges(session, changes));
    },
  }));
  substitute<typeof paymentRowsModule>('src/orders/paymentRows', () => ({
    takeUnpaid: (tx, limit, againAfterMs) => statement(tx, 'take unpaid', (session) => takeUnpaid(session, limit, againAfterMs)),
    findUnpaid: (tx, ids) => statement(tx, 'find unpaid', (session) => findUnpaid(session, ids)),
    readPricedLines: (tx, ids) => statement(tx, 'read priced lines', (session) => readPricedLines(session, ids)),
  }));
  substitute<typeof watchRowsModule>('src/orders/watchRows', () => ({
    lockOverdue: (tx, limit) => statement(tx, 'lock overdue', (session) => lockOverdue(session, limit)),
    anyLate: (tx) => statement(tx, 'any late', anyLate),
    takeLate: (tx, limit) => statement(tx, 'take late', (session) => takeLate(session, limit)),
  }));
}

async function saveOrders(session: Session, orders: NewOrder[], times: OrderTimes): Promise<Map<string, Date>> {
  const placed = new Map<string, Date>();
  for (const order of [...orders].sort(byKey)) {
    if (!(await takeKey(session, order))) continue;
    const row = pendingRow(order, session.database.nowMs, times);
    if (await session.lock(session.books.orders, order.id)) throw sqlFault('23505');
    session.put(session.books.orders, order.id, row);
    placed.set(order.id, new Date(row.createdAtMs));
  }
  return placed;
}

function byKey(a: NewOrder, b: NewOrder): number {
  return sortKeyOf(a) < sortKeyOf(b) ? -1 : 1;
}

function sortKeyOf({ customerId, idempotencyKey, id }: NewOrder): string {
  return JSON.stringify([customerId, idempotencyKey ?? '~', id]);
}

/** ON CONFLICT DO NOTHING: waits for whoever is inserting the same key, then tells whether it is still free. */
async function takeKey(session: Session, order: NewOrder): Promise<boolean> {
  if (order.idempotencyKey === null) return true;
  const key = keyOf(order.customerId, order.idempotencyKey);
  if ((await session.lock(session.books.orderKeys, key)) !== undefined) return false;
  session.put(session.books.orderKeys, key, order.id);
  return true;
}

function keyOf(customerId: string, idempotencyKey: string): string {
  return `${customerId} ${idempotencyKey}`;
}

function pendingRow(order: NewOrder, createdAtMs: number, times: OrderTimes): OrderRow {
  return {
    ...order,
    ...{ status: 'PENDING', version: 1, total: null, reason: null, createdAtMs },
    lines: order.lines.map((line) => ({ ...line, unitPrice: null })),
    history: [{ version: 1, event: 'OrderCreated', from: null, to: 'PENDING' }],
    deadlineAtMs: createdAtMs + times.deadlineMs,
    watchAtMs: createdAtMs + Math.min(times.republishAfterMs, times.deadlineMs),
  };
}

function findByKeys(session: Session, keys: { customerId: string; idempotencyKey: string }[]) {
  return keys.flatMap(({ customerId, idempotencyKey }) => {
    const id = session.get(session.books.orderKeys, keyOf(customerId, idempotencyKey));
    const row = id === undefined ? undefined : session.get(session.books.orders, id);
    return row ? [{ id: row.id, customerId, idempotencyKey, fingerprint: row.fingerprint! }] : [];
  });
}

function findOrders(session: Session, ids: string[]): OrderView[] {
  return ids.flatMap((id) => {
    const row = session.get(session.books.orders, id);
    return row ? [toView(row)] : [];
  });
}

function toView(row: OrderRow): OrderView {
  const { id, customerId, status, version, currency, payment, total, reason } = row;
  const createdAt = new Date(row.createdAtMs);
  const order = { id, customerId, status, version, currency, payment, total, reason };
  return { ...order, items: row.lines, createdAt, updatedAt: createdAt };
}

async function lockOrders(session: Session, ids: string[]): Promise<Map<string, LockedOrder>> {
  const locked = new Map<string, LockedOrder>();
  for (const id of [...ids].sort()) {
    const row = await session.lock(session.books.orders, id);
    if (row) locked.set(id, toLocked(row, session.database.nowMs));
  }
  return locked;
}

function readOrders(session: Session, ids: string[]): Map<string, LockedOrder> {
  const rows = ids.flatMap((id) => session.get(session.books.orders, id) ?? []);
  return new Map(rows.map((row) => [row.id, toLocked(row, session.database.nowMs)]));
}

/** Locks the orders by id; each must be of the version that its first change was decided on. */
async function areStillSo(session: Session, changes: SavedChange[]): Promise<boolean> {
  const decidedOn = new Map([...changes].reverse().map(({ order }) => [order.id, order.version - 1]));
  let isSo = true;
  for (const id of [...decidedOn.keys()].sort()) {
    const row = await session.lock(session.books.orders, id);
    isSo &&= row?.version === decidedOn.get(id);
  }
  return isSo;
}

function toLocked(row: OrderRow, nowMs: number): LockedOrder {
  const { id, customerId, status, version, correlationId, currency, payment } = row;
  const lines = row.lines.map(({ productId, quantity }) => ({ productId, quantity }));
  const order = { id, customerId, status, version, correlationId, currency, payment, lines };
  return { ...order, secondsOpen: (nowMs - row.createdAtMs) / 1_000 };
}

function readLines(session: Session, ids: string[]) {
  return [...ids].sort().flatMap((orderId) => {
    const lines = session.get(session.books.orders, orderId)?.lines ?? [];
    return lines.map(({ productId, quantity }) => ({ orderId, productId, quantity }));
  });
}

/** The primary key of the history refuses a second row of one version. */
async function saveChanges(session: Session, changes: SavedChange[]): Promise<void> {
  for (const { change, from, order } of changes) {
    const row = (await session.lock(session.books.orders, order.id))!;
    if (row.history.some((step) => step.version === order.version)) throw sqlFault('23505');
    session.put(session.books.orders, order.id, {
      ...row,
      ...{ status: order.status, version: order.version, reason: 'reason' in change ? change.reason : null },
      lines: change.trigger === 'StockReserved' || change.trigger === 'StockAmended' ? change.lines : row.lines,
      history: [...row.history, { version: order.version, event: change.trigger, from, to: order.status }],
    });
  }
}

function anyLate(session: Session) {
  const orders = session.all(session.books.orders);
  return { isUndecided: orders.some(isLate(session)), isUnpaid: orders.some(isUnpaid(session)) };
}

function takeUnpaid(session: Session, limit: number, againAfterMs: number): UnpaidOrder[] {
  const { nowMs } = session.database;
  const late = session.all(session.books.orders).filter(isUnpaid(session));
  return lockSome(session, late, limit, isUnpaid(session)).map((row) => {
    const isOverdue = row.deadlineAtMs <= nowMs;
    const watchAtMs = isOverdue ? nowMs + againAfterMs : Math.min(row.deadlineAtMs, 2 * nowMs - row.createdAtMs);
    session.put(session.books.orders, row.id, { ...row, watchAtMs });
    const { id, customerId, version, correlationId, currency, payment } = row;
    return { id, customerId, version, correlationId, currency, payment, isOverdue };
  });
}

function findUnpaid(session: Session, ids: string[]): Omit<UnpaidOrder, 'isOverdue'>[] {
  const rows = [...new Set(ids)].sort().flatMap((id) => session.get(session.books.orders, id) ?? []);
  const waiting = rows.filter((row) => row.status === 'RESERVED' && row.deadlineAtMs > session.database.nowMs);
  return waiting.map(({ id, customerId, version, correlationId, currency, payment }) => {
    return { id, customerId, version, correlationId, currency, payment };
  });
}

function readPricedLines(session: Session, ids: string[]): Map<string, PricedLine[]> {
  const rows = ids.flatMap((id) => session.get(session.books.orders, id) ?? []);
  const priced = (row: OrderRow) => row.lines.filter((line): line is PricedLine => line.unitPrice !== null);
  return new Map(rows.map((row): [string, PricedLine[]] => [row.id, priced(row)]));
}

function lockOverdue(session: Session, limit: number): string[] {
  const isOverdue = (row: OrderRow) => isWatched(row, session) && row.deadlineAtMs <= session.database.nowMs;
  return lockSome(session, session.all(session.books.orders).filter(isOverdue), limit, isOverdue).map((row) => row.id);
}

function takeLate(session: Session, limit: number): { id: string; customerId: string; correlationId: string }[] {
  const late = session.all(session.books.orders).filter(isLate(session));
  const taken = lockSome(session, late, limit, isLate(session));
  const { nowMs } = session.database;
  for (const row of taken) {
    const watchAtMs = Math.min(row.deadlineAtMs, 2 * nowMs - row.createdAtMs);
    session.put(session.books.orders, row.id, { ...row, watchAtMs });
  }
  return taken.map(({ id, customerId, correlationId }) => ({ id, customerId, correlationId }));
}

/** FOR UPDATE SKIP LOCKED: what another transaction has is left out. */
function lockSome(session: Session, rows: OrderRow[], limit: number, isWanted: (row: OrderRow) => boolean): OrderRow[] {
  const locked = rows.flatMap((row) => session.lockIfFree(session.books.orders, row.id) ?? []);
  return locked.filter(isWanted).slice(0, limit);
}

function isWatched(row: OrderRow, { database }: Session): boolean {
  return row.status === 'PENDING' && row.watchAtMs <= database.nowMs;
}

function isLate(session: Session): (row: OrderRow) => boolean {
  return (row) => isWatched(row, session) && row.deadlineAtMs > session.database.nowMs;
}

function isUnpaid({ database }: Session): (row: OrderRow) => boolean {
  return (row) => row.status === 'RESERVED' && row.watchAtMs <= database.nowMs;
}
