import { RetryTransaction, type Transaction } from '../database';
import { failpoint } from '../faults';
import { followUp, type Handler, type IncomingMessage } from '../messaging';
import { decideAmendments, type Amendment, type AmendmentDecision, type Held } from './amendment';
import {
  amendReservations,
  findAmendments,
  keyOf,
  readHeld,
  saveAnswers,
  type AmendmentAnswer,
  type StoredAnswer,
} from './amendmentRows';
import { lockHeld } from './lockHeld';
import { readPurchases } from './purchaseRows';
import { isLimited, mergeWish, type Stock } from './stock';
import { move, type Movement } from './stockRows';

/**
 * Answers a batch of AmendReservation: an order holds other lines from now on, or stays as it is. An amendment that was answered
 * before is answered again with what was stored then, and nothing else happens.
 */
export function amendReservation(newId: () => string): Handler<'AmendReservation'> {
  return async (tx, batch) => {
    const asked = firstOfEach(batch);
    const orderIds = [...new Set(asked.map(({ body }) => body.order_id))];
    const { stock, reservations } = await lockHeld(tx, orderIds, asked.flatMap(productsOf));
    // Read under the locks: by then another worker may have answered.
    const { answers, lastNumbers, now } = await findAmendments(tx, asked.map(nameOf));
    const held = await readHeld(tx, reservations, lastNumbers);
    const news = asked.filter((message) => !answers.has(keyOf(nameOf(message))));
    const purchases = await readPurchases(
      tx,
      stock,
      news.map((message) => ({ customerId: held.get(message.body.order_id)?.customerId, productIds: productsOf(message) })),
    );
    const amendments = news.map((message) => toAmendment(message, now));
    const decisions = decideAmendments(stock, held, amendments, purchases);
    for (const decision of decisions) answers.set(keyOf(nameOf(decision)), answerOf(decision));
    await saveDecisions(tx, decisions, { stock, held });
    return batch.map((message) => followUp(message, answers.get(keyOf(nameOf(message)))!, newId));
  };
}

type Asked = IncomingMessage<'AmendReservation'>;

async function saveDecisions(tx: Transaction, decisions: AmendmentDecision[], { stock, held }: Known): Promise<void> {
  if (decisions.length === 0) return;
  const inserted = await saveAnswers(
    tx,
    decisions.map((decision): StoredAnswer => ({ ...nameOf(decision), answer: answerOf(decision) })),
  );
  // Of an order that holds nothing no row is locked, so two workers may have come here with the same amendment.
  if (inserted < decisions.length) throw new RetryTransaction('An amendment of this batch was answered by another worker.');
  failpoint('amendReservation.written');
  const amended = decisions.filter((decision) => decision.type === 'amended');
  await move(tx, amended.flatMap(movementsOf));
  const latest = [...new Map(amended.map((decision) => [decision.orderId, decision])).values()];
  const reservations = latest.map(({ orderId, lines }) => {
    const { customerId } = held.get(orderId)!;
    return { orderId, lines: lines.map((line) => (isLimited(stock.get(line.productId)) ? { ...line, customerId } : line)) };
  });
  await amendReservations(tx, reservations);
}

/** What was read under the locks. */
interface Known {
  stock: ReadonlyMap<number, Stock>;
  held: ReadonlyMap<string, Held>;
}

function movementsOf({ orderId, number, differences }: AmendmentDecision & { type: 'amended' }): Movement[] {
  return differences.map(({ productId, units }) => ({
    ...{ productId, kind: 'AMEND', onHandDelta: 0, reservedDelta: units },
    ...{ orderId, amendment: number },
  }));
}

function answerOf(decision: AmendmentDecision): AmendmentAnswer {
  const head = { order_id: decision.orderId, amendment: decision.number };
  if (decision.type === 'rejected') {
    const { code, reason, lines } = decision;
    return { event: 'AmendmentRejected', ...head, code, reason, ...(lines.length > 0 && { items: lines }) };
  }
  const items = decision.lines.map(({ productId, quantity, unitPrice }) => ({
    ...{ product_id: productId, quantity, unit_price: unitPrice },
  }));
  return { event: 'StockAmended', ...head, items };
}

function toAmendment({ body }: Asked, now: Date): Amendment {
  const lines = body.items.map((line) => ({ productId: line.product_id, quantity: line.quantity }));
  const isLate = body.decide_before !== undefined && Date.parse(body.decide_before) < now.getTime();
  return { ...mergeWish(body.order_id, lines), number: body.amendment, isLate };
}

function productsOf({ body }: Asked): number[] {
  return body.items.map((line) => line.product_id);
}

function nameOf(named: Asked | AmendmentDecision): { orderId: string; number: number } {
  return 'body' in named ? { orderId: named.body.order_id, number: named.body.amendment } : named;
}

/** Copies of one amendment in the same batch are one question with several answers. */
function firstOfEach(batch: Asked[]): Asked[] {
  const seen = new Set<string>();
  return batch.filter((message) => {
    const key = keyOf(nameOf(message));
    return !seen.has(key) && seen.add(key);
  });
}
