import { PoisonMessage, type Handler, type Handlers, type IncomingMessage } from '../messaging';
import { changeOrders, type ChangeOptions, type ChangeOutcome } from './changeOrders';
import { cancellation, closeResultOf } from './closeOrder';
import { type OrderChange } from './order';
import { refusalOf } from './refusals';

/**
 * The door for changes of orders asked for by message, by who does not wait for an answer. A batch is one transaction. What is so
 * already is no error. What may be possible a moment later is tried again; what cannot be is a dead letter with its reason, where an
 * operator finds it.
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
  const result = closeResultOf(outcome);
  if (result.type === 'done') return;
  const verb = outcome.change.trigger === 'FulfilOrder' ? 'fulfilled' : 'cancelled';
  const { message, isRetryable } = refusalOf(result, verb);
  throw isRetryable ? new Error(message) : new PoisonMessage(message);
}
