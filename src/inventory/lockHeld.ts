import { RetryTransaction, type Transaction } from '../database';
import { lockReservations, productsHeldBy, type LockedReservation } from './reservationRows';
import { type Stock } from './stock';
import { lockStock } from './stockRows';

/**
 * Locks what these orders hold, for somebody who is about to change it: stock first, then reservations, the order of locking that
 * reserveStock follows too. `productIds`: whatever else is to be held from now on.
 */
export async function lockHeld(
  tx: Transaction,
  orderIds: string[],
  productIds: number[] = [],
): Promise<{ stock: Map<number, Stock>; reservations: Map<string, LockedReservation> }> {
  const stock = await lockStock(tx, [...(await productsHeldBy(tx, orderIds)), ...productIds]);
  const reservations = await lockReservations(tx, orderIds);
  const lines = [...reservations.values()].flatMap((reservation) => reservation.lines);
  const unlocked = lines.some((line) => !stock.has(line.productId));
  if (unlocked) throw new RetryTransaction('A reservation was made while its stock was being locked.');
  return { stock, reservations };
}
