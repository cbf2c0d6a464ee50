import { v5 as uuidv5 } from 'uuid';

import { type AnyEvent } from '../contracts';
import { type Handler, type Handlers, type IncomingMessage, type OutgoingMessage } from '../messaging';
import { type Logger } from '../observability';
import { inOneLine, orderEvents, statusChange, type OrderEvent } from './notify';

/**
 * Two reactions that know nothing of each other, and of which the orders context knows nothing. The first hears every order event
 * and speaks of creations; the second hears creations and updates, and tells customers of each change of status.
 */
export function creationHandlers(log: Logger): Handlers {
  return tableOf((batch) => {
    for (const { body } of batch)
      if (body.event === 'OrderCreated') log.info({ orderId: body.order_id }, `new: ${inOneLine(body)}`);
    return [];
  });
}

export function updateHandlers(log: Logger): Handlers {
  return tableOf((batch) => {
    for (const { body } of batch) log.info({ orderId: body.order_id }, inOneLine(body));
    return eachOnce(batch.flatMap((message) => toCustomer(message) ?? []));
  });
}

/** Two copies of one event in a batch are one notice: an outbox keeps each id once. */
function eachOnce(notices: OutgoingMessage[]): OutgoingMessage[] {
  return [...new Map(notices.map((notice) => [notice.id, notice])).values()];
}

type Heard = Omit<IncomingMessage, 'body'> & { body: OrderEvent };

/** The same reaction to each order event; neither needs the transaction for more than what it returns. */
function tableOf(react: (batch: Heard[]) => OutgoingMessage[]): Handlers {
  const handler = ((_tx, batch) => Promise.resolve(react(batch as Heard[]))) satisfies Handler<OrderEvent['event']>;
  return Object.fromEntries(orderEvents.map((event) => [event, handler]));
}

function toCustomer({ id, body, correlationId, traceparent }: Heard): OutgoingMessage | undefined {
  const change = statusChange(body);
  return change && { id: changeId(change), body: change, correlationId, causationId: id, traceparent };
}

/** The same for every repetition of one change, however often the event behind it comes: a listener tells repetition from news. */
function changeId({ order_id, version }: AnyEvent & { event: 'OrderStatusChanged' }): string {
  return uuidv5(JSON.stringify([order_id, version]), NAMESPACE);
}

/** Any UUID would do, but it must never change. */
const NAMESPACE = '0d6f5a2e-7d1c-4f43-9b57-3f6f0c8f2a11';
