import { PoisonMessage, type Handler, type Handlers, type IncomingMessage } from '../messaging';
import { changeOrders, type ChangeOptions, type ChangeOutcome } from './changeOrders';
import { cancellation } from './closeOrder';
import { type OrderChange } from './order';
import { refusals } from './refusals';

/**
 * The door for changes of orders asked for by message, by who does not wait for an answer. A batch is one transaction. What is so
 * already is no error; what cannot be is a dead letter with its reason, where an operator finds it.
 */
export function orderCommandHandlers(changing: ChangeOptions, onChanged: (outcomes: ChangeOutcome[]) => void): Handlers {
  return {
    OrderChangeRequested: (async (tx, batch, afterCommit) => {
      const outcomes = await changeOrders(tx, batch.map(changeOf), changing);
      outcomes.forEach(refuse);
      afterCommit(() => onChanged(outcomes));
      return outcomes.flatMap((outcome) => outcome.messages);
    }) satisfies Handler<'OrderChangeRequested'>,
  };
}

function changeOf({ id, body }: IncomingMessage<'OrderChangeRequested'>): OrderChange {
  const { order_id: orderId, status, reason } = body;
  const change = status === 'CANCELLED' ? cancellation(orderId, reason) : { orderId, trigger: 'FulfilOrder' as const };
  return { ...change, causationId: id };
}

function refuse(outcome: ChangeOutcome): void {
  const { orderId, trigger } = outcome.change;
  if (outcome.type === 'unknown') throw new PoisonMessage(refusals.unknownOrder(orderId));
  if (outcome.type !== 'refused') return;
  const { status } = outcome.order;
  const reason = refusals.wrongStatus(orderId, status, trigger === 'FulfilOrder' ? 'fulfilled' : 'cancelled');
  // An order that is being decided may be fulfilled a moment later: worth another try.
  throw status === 'PENDING' ? new Error(reason) : new PoisonMessage(reason);
}
