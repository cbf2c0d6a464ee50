import { type CancellationCode, type EventOf } from '../contracts';
import { type Transaction } from '../database';
import {
  type AfterCommit,
  type Decide,
  type Handler,
  type Handlers,
  type IncomingMessage,
  type OutgoingMessage,
} from '../messaging';
import { changeOrders, changeOrdersAtOnce, type ChangeOptions, type ChangeOutcome } from './changeOrders';
import { forgetClosings } from './closingRows';
import { type OrderChange } from './order';
import { type PricedLine } from './orderLines';
import { findUnpaid, readPricedLines } from './paymentRows';
import { askForPayment } from './watchPayments';

/**
 * What inventory answers: it decides an order or a change of its lines, or says that it has heard of its closing. `onChanged` hears
 * what became of each order, for the metrics, once that is committed.
 */
export function stockReplyHandlers(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void): Handlers {
  const apply = applying(changing, onChanged);
  return {
    StockReserved: ((tx, batch, afterCommit) => apply(tx, batch.map(reserved), afterCommit)) satisfies Handler<'StockReserved'>,
    StockRejected: ((tx, batch, afterCommit) => apply(tx, batch.map(rejected), afterCommit)) satisfies Handler<'StockRejected'>,
    StockAmended: ((tx, batch, afterCommit) => apply(tx, batch.map(amended), afterCommit)) satisfies Handler<'StockAmended'>,
    AmendmentRejected: ((tx, batch, afterCommit) =>
      apply(tx, batch.map(unamended), afterCommit)) satisfies Handler<'AmendmentRejected'>,
    StockReleased: ((tx, batch) => heard(tx, batch)) satisfies Handler<'StockReleased'>,
    StockCommitted: ((tx, batch) => heard(tx, batch)) satisfies Handler<'StockCommitted'>,
  };
}

/**
 * What accounts answers: it decides an order that waits for its payment, says that the money is back where it came from, or that it
 * was never asked.
 */
export function paymentReplyHandlers(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void): Handlers {
  const apply = applying(changing, onChanged);
  return {
    PaymentCaptured: (async (tx, batch, afterCommit) => {
      const orderIds = batch.map(({ body }) => body.order_id);
      const lines = await readPricedLines(tx, orderIds);
      const changes = batch.map((message) => captured(message, lines.get(message.body.order_id) ?? []));
      return apply(tx, changes, afterCommit);
    }) satisfies Handler<'PaymentCaptured'>,
    PaymentDeclined: ((tx, batch, afterCommit) =>
      apply(tx, batch.map(declined), afterCommit)) satisfies Handler<'PaymentDeclined'>,
    PaymentRefunded: (async (tx, batch, afterCommit) => {
      const messages = await apply(tx, batch.map(refunded), afterCommit);
      // Where this made us ask for the money, the answer to that is still to come.
      const asked = new Set(messages.flatMap(({ body }) => (body.event === 'RefundPayment' ? [body.order_id] : [])));
      const orderIds = batch.map(({ body }) => body.order_id).filter((orderId) => !asked.has(orderId));
      await forgetClosings(tx, 'refunds', orderIds);
      return messages;
    }) satisfies Handler<'PaymentRefunded'>,
    PaymentUnknown: (async (tx, batch) => {
      const orderIds = batch.map(({ body }) => body.order_id);
      return askForPayment(tx, await findUnpaid(tx, orderIds), changing.newId);
    }) satisfies Handler<'PaymentUnknown'>,
  };
}

function applying(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void) {
  return async (tx: Transaction, changes: OrderChange[], afterCommit: AfterCommit): Promise<OutgoingMessage[]> => {
    const outcomes = await changeOrders(tx, changes, changing);
    afterCommit(() => onChanged(outcomes));
    return outcomes.flatMap(({ messages }) => messages);
  };
}

/** The short way for decisions; what says that a closing was heard goes the way of the handlers. */
export function stockRepliesAtOnce(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void): Decide {
  return async (database, batch) => {
    const changes = batch.flatMap((message) => decisionOf(message) ?? []);
    if (changes.length < batch.length) return undefined;
    const decided = await changeOrdersAtOnce(database, changes, changing);
    return decided && { write: decided.write, afterCommit: () => onChanged(decided.outcomes) };
  };
}

function decisionOf(message: IncomingMessage): OrderChange | undefined {
  if (message.body.event === 'StockReserved') return reserved(message);
  if (message.body.event === 'StockRejected') return rejected(message);
  return undefined;
}

async function heard(tx: Transaction, batch: IncomingMessage<'StockReleased' | 'StockCommitted'>[]): Promise<OutgoingMessage[]> {
  await forgetClosings(
    tx,
    'closings',
    batch.map(({ body }) => body.order_id),
  );
  return [];
}

function reserved({ id, body }: IncomingMessage<'StockReserved'>): OrderChange {
  return { orderId: body.order_id, causationId: id, trigger: 'StockReserved', lines: linesOf(body) };
}

function amended({ id, body }: IncomingMessage<'StockAmended'>): OrderChange {
  const { order_id: orderId, amendment } = body;
  return { orderId, causationId: id, trigger: 'StockAmended', amendment, lines: linesOf(body) };
}

function unamended({ id, body }: IncomingMessage<'AmendmentRejected'>): OrderChange {
  const { order_id: orderId, amendment, code, reason: message, items: lines = [] } = body;
  return { orderId, causationId: id, trigger: 'AmendmentRejected', amendment, reason: { code, message, lines } };
}

function linesOf({ items }: EventOf<'StockReserved' | 'StockAmended'>): PricedLine[] {
  return items.map((line) => ({ productId: line.product_id, quantity: line.quantity, unitPrice: line.unit_price }));
}

function rejected({ id, body }: IncomingMessage<'StockRejected'>): OrderChange {
  const reason = { code: codeOf(body), message: body.reason, lines: body.items ?? [] };
  return { orderId: body.order_id, causationId: id, trigger: 'StockRejected', reason };
}

/** The first line at fault names the code; a plainer inventory service that sends no lines can only mean a shortage. */
function codeOf(body: EventOf<'StockRejected'>): CancellationCode {
  return body.items?.[0]?.code ?? 'INSUFFICIENT_STOCK';
}

function captured({ id, body }: IncomingMessage<'PaymentCaptured'>, lines: PricedLine[]): OrderChange {
  return { orderId: body.order_id, causationId: id, trigger: 'PaymentCaptured', amount: body.amount, lines };
}

/** The one refusal that is not about money says that the deadline came first. */
function declined({ id, body }: IncomingMessage<'PaymentDeclined'>): OrderChange {
  const code = body.code === 'EXPIRED' ? 'EXPIRED' : 'PAYMENT_DECLINED';
  return {
    orderId: body.order_id,
    causationId: id,
    trigger: 'PaymentDeclined',
    reason: { code, message: body.reason, lines: [] },
  };
}

/** For an order that still waits for its payment it means that there will be none; for one that is paid, that it is so no more. */
function refunded({ id, body }: IncomingMessage<'PaymentRefunded'>): OrderChange {
  const reason = { code: 'PAYMENT_DECLINED' as const, message: 'The payment was given back', lines: [] };
  return { orderId: body.order_id, causationId: id, trigger: 'PaymentRefunded', reason };
}
