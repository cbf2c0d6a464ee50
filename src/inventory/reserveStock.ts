import { type EventOf } from '../contracts';
import { RetryTransaction, type Transaction } from '../database';
import { failpoint } from '../faults';
import { followUp, type Decide, type Handler } from '../messaging';
import { readPurchases } from './purchaseRows';
import {
  findReservations,
  insertReservations,
  saveReservationsAtOnce,
  type Answer,
  type NewReservation,
} from './reservationRows';
import {
  decideReservations,
  isLimited,
  mergeWish,
  type HeldLine,
  type ReservationDecision,
  type Stock,
  type Wish,
} from './stock';
import { lockStock, move, readStock, type Movement } from './stockRows';

/**
 * Answers a batch of OrderCreated: reserves all lines of an order or none, first come first served. An order that was answered
 * before is answered again with what was stored then, and nothing else happens.
 */
export function reserveStock(newId: () => string): Handler<'OrderCreated'> {
  return async (tx, batch) => {
    const wishes = firstOfEach(batch.map(({ body }) => toWish(body)));
    const orderIds = wishes.map((wish) => wish.orderId);
    // Most batches hold news only, and then nothing but the decision is done under the locks: an order that is answered in between
    // makes the insert start over.
    const isRepeated = (await findReservations(tx, orderIds)).size > 0;
    const stock = await lockStock(
      tx,
      wishes.flatMap((wish) => wish.lines.map((line) => line.productId)),
    );
    // A repeated question is answered from what is read under the locks: by then the order may have been let go.
    const answers = isRepeated ? await findReservations(tx, orderIds) : new Map<string, Answer>();
    const news = wishes.filter((wish) => !answers.has(wish.orderId));
    const decisions = decideReservations(stock, news, await readPurchases(tx, stock, news.map(toBuyer)));
    for (const decision of decisions) answers.set(decision.orderId, answerOf(decision));
    await saveDecisions(tx, decisions, stock);
    return batch.map((message) => followUp(message, answers.get(message.body.order_id)!, newId));
  };
}

/**
 * The same without a transaction, for orders that are news: decided on what is read without a lock, written in one statement that
 * finds under the locks whether it still holds. What it cannot do it leaves to `reserveStock`.
 */
export function reserveStockAtOnce(newId: () => string): Decide {
  return async (database, batch) => {
    const wishes = firstOfEach(batch.flatMap(({ body }) => (body.event === 'OrderCreated' ? [toWish(body)] : [])));
    if (wishes.length < batch.length) return undefined;
    const stock = await readStock(
      database,
      wishes.flatMap((wish) => wish.lines.map((line) => line.productId)),
    );
    if ([...stock.values()].some(isLimited)) return undefined;
    const decisions = decideReservations(stock, wishes);
    const answers = decisions.map((decision, index) => followUp(batch[index]!, answerOf(decision), newId));
    return {
      write: (at) =>
        saveReservationsAtOnce(
          at,
          decisions.map((decision) => toReservation(decision, stock)),
          answers,
        ),
    };
  };
}

async function saveDecisions(tx: Transaction, decisions: ReservationDecision[], stock: Map<number, Stock>): Promise<void> {
  const inserted = await insertReservations(
    tx,
    decisions.map((decision) => toReservation(decision, stock)),
  );
  // Another worker has just answered one of these orders, or buried it: start over, and find that answer.
  if (inserted < decisions.length) throw new RetryTransaction('An order of this batch was answered by another worker meanwhile.');
  failpoint('reserveStock.inserted');
  // One statement moves all products, so no crash can come between two of them; these points are the nearest on either side.
  await move(tx, decisions.flatMap(movementsOf));
  failpoint('reserveStock.moved');
}

function toReservation(decision: ReservationDecision, stock: ReadonlyMap<number, Stock>): NewReservation {
  const { orderId, customerId } = decision;
  const answer = JSON.stringify(answerOf(decision));
  if (decision.type === 'rejected') return { orderId, customerId, status: 'REJECTED', answer, lines: [] };
  const lines = decision.lines.map((line) => (isLimited(stock.get(line.productId)) ? { ...line, customerId } : line));
  return { orderId, customerId, status: 'ACTIVE', answer, lines };
}

function movementsOf(decision: ReservationDecision): Movement[] {
  if (decision.type === 'rejected') return [];
  const { orderId } = decision;
  return decision.lines.map(({ productId, quantity }) => ({
    productId,
    kind: 'RESERVE',
    onHandDelta: 0,
    reservedDelta: quantity,
    orderId,
  }));
}

function answerOf(decision: ReservationDecision): Answer {
  const { orderId: order_id } = decision;
  if (decision.type === 'rejected') return { event: 'StockRejected', order_id, reason: decision.reason, items: decision.lines };
  return { event: 'StockReserved', order_id, items: decision.lines.map(toReservedLine) };
}

function toReservedLine({ productId, quantity, unitPrice }: HeldLine): EventOf<'StockReserved'>['items'][number] {
  return { product_id: productId, quantity, unit_price: unitPrice };
}

function toWish({ order_id: orderId, customer_id: customerId, items }: EventOf<'OrderCreated'>): Wish {
  const lines = items.map((line) => ({ productId: line.product_id, quantity: line.quantity }));
  return { ...mergeWish(orderId, lines), customerId };
}

function toBuyer({ customerId, lines }: Wish) {
  return { customerId, productIds: lines.map(({ productId }) => productId) };
}

/** Copies of one order in the same batch are one wish with several answers. */
function firstOfEach(wishes: Wish[]): Wish[] {
  const seen = new Set<string>();
  return wishes.filter(({ orderId }) => !seen.has(orderId) && seen.add(orderId));
}
