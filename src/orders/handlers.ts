import { type CancellationCode, type EventOf } from '../contracts';
import { type Transaction } from '../database';
import { type Handler, type Handlers, type IncomingMessage, type OutgoingMessage } from '../messaging';
import { changeOrders, type ChangeOutcome } from './changeOrders';
import { type OrderChange } from './order';

/** What decides an order: the answers of inventory. `onChanged` hears what became of each, for the metrics. */
export function stockReplyHandlers(newId: () => string, onChanged: (outcomes: ChangeOutcome[]) => void): Handlers {
  return {
    StockReserved: ((tx, batch) => apply(tx, batch.map(reserved))) satisfies Handler<'StockReserved'>,
    StockRejected: ((tx, batch) => apply(tx, batch.map(rejected))) satisfies Handler<'StockRejected'>,
  };

  async function apply(tx: Transaction, changes: OrderChange[]): Promise<OutgoingMessage[]> {
    const outcomes = await changeOrders(tx, changes, newId);
    onChanged(outcomes);
    return outcomes.flatMap((outcome) => outcome.message ?? []);
  }
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
