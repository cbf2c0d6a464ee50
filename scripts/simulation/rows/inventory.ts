import type * as readProductsModule from '../../../src/inventory/readProducts';
import type * as reservationRowsModule from '../../../src/inventory/reservationRows';
import { type Answer, type LockedReservation, type NewReservation } from '../../../src/inventory/reservationRows';
import { type Stock } from '../../../src/inventory/stock';
import type * as stockRowsModule from '../../../src/inventory/stockRows';
import { type Movement } from '../../../src/inventory/stockRows';
import { type ReservationStatus } from '../../../src/database';
import { substitute } from '../../substitute';
import { type StockRow } from '../books';
import { type Session, statement } from '../database';
import { sqlFault } from '../sqlFaults';
import { append } from './outbox';

/** The statements of the inventory context, on the books in memory: each locks and reads what its SQL does, in the same order. */
export function substituteInventoryRows(): void {
  substitute<typeof stockRowsModule>('src/inventory/stockRows', () => ({
    lockStock: (tx, productIds) => statement(tx, 'lock stock', (session) => lockStock(session, [...productIds])),
    readStock: (database, productIds) => statement(database, 'read stock', (session) => readStock(session, [...productIds])),
    move: async (tx, movements) => {
      if (movements.length > 0) await statement(tx, 'move', (session) => move(session, movements));
    },
  }));
  substitute<typeof reservationRowsModule>('src/inventory/reservationRows', () => ({
    findReservations: (tx, ids) => statement(tx, 'find reservations', (session) => findReservations(session, ids)),
    insertReservations: async (tx, reservations) =>
      reservations.length === 0
        ? 0
        : statement(tx, 'insert reservations', (session) => insertReservations(session, reservations)),
    saveReservationsAtOnce: ({ database, leaseMs }, reservations, answers) =>
      statement(database, 'save reservations at once', async (session) => {
        const movements = reservations.flatMap(reserving);
        if (!(await isStillSo(session, reservations, movements))) return undefined;
        if ((await insertReservations(session, reservations)) < reservations.length) throw sqlFault('23505');
        await move(session, movements);
        return append(session, 'inventory', answers, leaseMs);
      }),
    productsHeldBy: (tx, ids) => statement(tx, 'products held', (session) => productsHeldBy(session, ids)),
    lockReservations: (tx, ids) => statement(tx, 'lock reservations', (session) => lockReservations(session, ids)),
    setReservationStatus: async (tx, ids, status) => {
      if (ids.length > 0) await statement(tx, 'set reservations', (session) => setStatus(session, ids, status));
    },
  }));
  substitute<typeof readProductsModule>('src/inventory/readProducts', () => ({
    findProduct: (tx, key) =>
      statement(tx, 'find product', (session) => {
        const row = 'id' in key ? session.get(session.books.stock, String(key.id)) : undefined;
        return row ? toProduct(row) : null;
      }),
  }));
}

async function lockStock(session: Session, productIds: number[]): Promise<Map<number, Stock>> {
  const locked = new Map<number, Stock>();
  for (const productId of [...new Set(productIds)].sort((a, b) => a - b)) {
    const row = await session.lock(session.books.stock, String(productId));
    if (row) locked.set(productId, row);
  }
  return locked;
}

function readStock(session: Session, productIds: number[]): Map<number, Stock> {
  const rows = productIds.flatMap((id) => session.get(session.books.stock, String(id)) ?? []);
  return new Map(rows.map((row) => [row.productId, row]));
}

function reserving({ orderId, lines }: NewReservation): Movement[] {
  return lines.map(({ productId, quantity }) => ({
    ...{ productId, kind: 'RESERVE' as const, onHandDelta: 0, reservedDelta: quantity, orderId },
  }));
}

/** Under the locks there must be units enough, at the same price, and no answer yet. */
async function isStillSo(session: Session, reservations: NewReservation[], movements: Movement[]): Promise<boolean> {
  const stock = await lockStock(
    session,
    movements.map((movement) => movement.productId),
  );
  const wanted = new Map<number, number>();
  for (const { productId, reservedDelta } of movements) wanted.set(productId, (wanted.get(productId) ?? 0) + reservedDelta);
  const fits = [...wanted].every(([id, units]) => stock.get(id)!.onHand - stock.get(id)!.reserved >= units);
  const prices = reservations.flatMap(({ lines }) => lines);
  const isSame = prices.every(
    ({ productId, unitPrice }) => stock.get(productId)!.active && stock.get(productId)!.unitPrice === unitPrice,
  );
  return fits && isSame && reservations.every(({ orderId }) => !session.get(session.books.reservations, orderId));
}

/** The unique index refuses a second movement of its kind and amendment for an order line, the CHECK whatever would promise more than there is. */
async function move(session: Session, movements: Movement[]): Promise<void> {
  const { stock, movements: journal } = session.books;
  for (const { productId, kind, onHandDelta, reservedDelta, orderId, amendment = 0 } of movements) {
    const key = orderId === undefined ? `${session.database.nextPosition()}` : `${orderId} ${productId} ${kind} ${amendment}`;
    if (await session.lock(journal, key)) throw sqlFault('23505');
    session.put(journal, key, { productId, kind, onHandDelta, reservedDelta, orderId: orderId ?? null });
    const row = (await session.lock(stock, String(productId)))!;
    const moved = { ...row, onHand: row.onHand + onHandDelta, reserved: row.reserved + reservedDelta };
    session.put(stock, String(productId), moved);
  }
  for (const { productId } of movements) refuseImpossible(session.get(stock, String(productId))!);
}

function refuseImpossible({ onHand, reserved }: StockRow): void {
  if (reserved < 0 || reserved > onHand) throw sqlFault('23514');
}

function findReservations(session: Session, orderIds: string[]): Map<string, Answer> {
  const found = new Map<string, Answer>();
  for (const order_id of orderIds) {
    const row = session.get(session.books.reservations, order_id);
    if (row?.status === 'RELEASED') found.set(order_id, { event: 'StockReleased', order_id, items: [] });
    else if (row) found.set(order_id, JSON.parse(row.answer!) as Answer);
  }
  return found;
}

async function insertReservations(session: Session, reservations: NewReservation[]): Promise<number> {
  let inserted = 0;
  for (const reservation of [...reservations].sort((a, b) => (a.orderId < b.orderId ? -1 : 1))) {
    if (await session.lock(session.books.reservations, reservation.orderId)) continue;
    session.put(session.books.reservations, reservation.orderId, { ...reservation });
    inserted++;
  }
  return inserted;
}

function productsHeldBy(session: Session, orderIds: string[]): number[] {
  const lines = orderIds.flatMap((id) => session.get(session.books.reservations, id)?.lines ?? []);
  return [...new Set(lines.map((line) => line.productId))];
}

async function lockReservations(session: Session, orderIds: string[]): Promise<Map<string, LockedReservation>> {
  const locked = new Map<string, LockedReservation>();
  for (const orderId of [...new Set(orderIds)].sort()) {
    const row = await session.lock(session.books.reservations, orderId);
    if (row) locked.set(orderId, row);
  }
  return locked;
}

async function setStatus(session: Session, orderIds: string[], status: ReservationStatus): Promise<void> {
  for (const orderId of orderIds) {
    const row = await session.lock(session.books.reservations, orderId);
    if (row) session.put(session.books.reservations, orderId, { ...row, status });
  }
}

function toProduct({ productId: id, sku, unitPrice: price, active, onHand, reserved }: StockRow) {
  const createdAt = new Date(0);
  const stock = { onHand, reserved, available: onHand - reserved, maxPerCustomer: null };
  return { id, sku, name: sku, price, currency: 'EUR', active, ...stock, createdAt, updatedAt: createdAt };
}
