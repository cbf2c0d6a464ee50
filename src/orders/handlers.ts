import { type CancellationCode, type EventOf } from '../contracts';
import { type Transaction } from '../database';
import { type Decide, type Handler, type Handlers, type IncomingMessage, type OutgoingMessage } from '../messaging';
import { changeOrders, changeOrdersAtOnce, type ChangeOptions, type ChangeOutcome } from './changeOrders';
import { forgetClosings } from './closingRows';
import { type OrderChange } from './order';

/**
 * What inventory answers: it decides an order, or says that it has heard of its closing. `onChanged` hears what became of each
 * order, for the metrics.
 */
export function stockReplyHandlers(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void): Handlers {
  return {
    StockReserved: ((tx, batch) => apply(tx, batch.map(reserved))) satisfies Handler<'StockReserved'>,
    StockRejected: ((tx, batch) => apply(tx, batch.map(rejected))) satisfies Handler<'StockRejected'>,
    StockReleased: ((tx, batch) => heard(tx, batch)) satisfies Handler<'StockReleased'>,
    StockCommitted: ((tx, batch) => heard(tx, batch)) satisfies Handler<'StockCommitted'>,
  };

  async function apply(tx: Transaction, changes: OrderChange[]): Promise<OutgoingMessage[]> {
    const outcomes = await changeOrders(tx, changes, changing);
    onChanged(outcomes);
    return outcomes.flatMap((outcome) => outcome.message ?? []);
  }
}

/** The short way for decisions; what says that a closing was heard goes the way of the handlers. */
export function stockRepliesAtOnce(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void): Decide {
  return async (database, batch) => {
    const changes = batch.flatMap((message) => decisionOf(message) ?? []);
    if (changes.length < batch.length) return undefined;
    const decided = await changeOrdersAtOnce(database, changes, changing);
    return decided && { write: decided.write, onWritten: () => onChanged(decided.outcomes) };
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
    batch.map(({ body }) => body.order_id),
  );
  return [];
}

function reserved({ id, body }: IncomingMessage<'StockReserved'>): OrderChange {
  const lines = body.items.map((line) => ({ productId: line.product_id, quantity: line.quantity, unitPrice: line.unit_price }));
  return { orderId: body.order_id, causationId: id, trigger: 'StockReserved', lines };
}

function rejected({ id, body }: IncomingMessage<'StockRejected'>): OrderChange {
  const reason = { code: codeOf(body), message: body.reason, lines: body.items ?? [] };
  return { orderId: body.order_id, causationId: id, trigger: 'StockRejected', reason };
}

/** The first line at fault names the code; a plainer inventory service that sends no lines can only mean a shortage. */
function codeOf(body: EventOf<'StockRejected'>): CancellationCode {
  return body.items?.[0]?.code ?? 'INSUFFICIENT_STOCK';
}
