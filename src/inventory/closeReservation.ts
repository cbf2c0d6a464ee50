import { RetryTransaction, type Transaction } from '../database';
import { failpoint } from '../faults';
import { followUp, PoisonMessage, type Handler, type IncomingMessage, type OutgoingMessage } from '../messaging';
import { lockHeld } from './lockHeld';
import { insertReservations, setReservationStatus, type LockedReservation } from './reservationRows';
import { move, type Movement } from './stockRows';

/**
 * Lets go of what cancelled orders hold. A cancel that comes before its order leaves a tombstone, a reservation that is RELEASED
 * from the start, so that the late order finds it and holds nothing. Repeated, it does nothing but answer again.
 */
export function releaseReservation(newId: () => string): Handler<'OrderCancelled'> {
  return async (tx, batch) => {
    const orderIds = batch.map((message) => message.body.order_id);
    const { reservations } = await lockHeld(tx, orderIds);
    await bury(
      tx,
      orderIds.filter((id) => !reservations.has(id)),
    );
    const released = await close(tx, reservations, orderIds, 'RELEASED');
    return answers('StockReleased', batch, released, newId);
  };
}

/** Takes what fulfilled orders hold out of the stock: the goods have left the house. Repeated, it does nothing but answer again. */
export function commitReservation(newId: () => string): Handler<'OrderFulfilled'> {
  return async (tx, batch) => {
    const orderIds = batch.map((message) => message.body.order_id);
    const { reservations } = await lockHeld(tx, orderIds);
    for (const orderId of orderIds) refuseUnlessHeld(orderId, reservations.get(orderId));
    const committed = await close(tx, reservations, orderIds, 'COMMITTED');
    return answers('StockCommitted', batch, committed, newId);
  };
}

/** Every closing is answered, each time it is told, with what moved for its sake this time: nothing, when it was done before. */
function answers(
  event: 'StockReleased' | 'StockCommitted',
  batch: IncomingMessage<'OrderCancelled' | 'OrderFulfilled'>[],
  closed: LockedReservation[],
  newId: () => string,
): OutgoingMessage[] {
  const causes = new Map(batch.map((message) => [message.body.order_id, message]));
  const moved = new Map(closed.map(({ orderId, lines }) => [orderId, lines]));
  return [...causes].map(([orderId, cause]) => {
    const lines = moved.get(orderId) ?? [];
    const items = lines.map((line) => ({ product_id: line.productId, quantity: line.quantity }));
    return followUp(cause, { event, order_id: orderId, items }, newId);
  });
}

async function bury(tx: Transaction, orderIds: string[]): Promise<void> {
  const tombstones = [...new Set(orderIds)].map((orderId) => ({ orderId, status: 'RELEASED' as const, answer: null, lines: [] }));
  const inserted = await insertReservations(tx, tombstones);
  if (inserted < tombstones.length) throw new RetryTransaction('An order was answered while it was being buried.');
}

/** Closes those that are ACTIVE, each once, and says which these were. */
async function close(
  tx: Transaction,
  reservations: Map<string, LockedReservation>,
  orderIds: string[],
  status: 'RELEASED' | 'COMMITTED',
): Promise<LockedReservation[]> {
  const active = [...new Set(orderIds)].flatMap((id) => reservations.get(id) ?? []).filter((held) => held.status === 'ACTIVE');
  await move(
    tx,
    active.flatMap((reservation) => closingMovements(reservation, status)),
  );
  failpoint('closeReservation.moved');
  await setReservationStatus(
    tx,
    active.map((reservation) => reservation.orderId),
    status,
  );
  return active;
}

function closingMovements({ orderId, lines }: LockedReservation, status: 'RELEASED' | 'COMMITTED'): Movement[] {
  return lines.map(({ productId, quantity }) =>
    status === 'COMMITTED'
      ? { productId, kind: 'COMMIT', onHandDelta: -quantity, reservedDelta: -quantity, orderId }
      : { productId, kind: 'RELEASE', onHandDelta: 0, reservedDelta: -quantity, orderId },
  );
}

function refuseUnlessHeld(orderId: string, reservation: LockedReservation | undefined) {
  if (reservation?.status === 'ACTIVE' || reservation?.status === 'COMMITTED') return;
  const state = reservation ? `is ${reservation.status}` : 'does not exist';
  throw new PoisonMessage(`OrderFulfilled for ${orderId}, but its reservation ${state}: nothing can leave the stock for it.`);
}
