import { statusInWords, type EventOf, type EventType } from '../contracts';

/** What happens to orders, and whoever listens may hear. */
export const orderEvents = [
  'OrderCreated',
  'OrderReserved',
  'OrderConfirmed',
  'OrderUpdated',
  'OrderCancelled',
  'OrderFulfilled',
] as const satisfies EventType[];
export type OrderEvent = EventOf<(typeof orderEvents)[number]>;

/** What the customer is told of an event; undefined when it says nothing of the status, or nobody knows whose order it is. */
export function statusChange(event: OrderEvent): EventOf<'OrderStatusChanged'> | undefined {
  switch (event.event) {
    case 'OrderReserved':
      return changed(event, 'RESERVED', { total: event.total, currency: event.currency });
    case 'OrderConfirmed':
      return changed(event, 'CONFIRMED', { total: event.total, currency: event.currency });
    case 'OrderCancelled':
      return changed(event, 'CANCELLED', { code: event.code, reason: event.reason });
    case 'OrderFulfilled':
      return changed(event, 'FULFILLED', {});
    case 'OrderUpdated': {
      const { items, total, currency } = event;
      return changed(event, 'CONFIRMED', { message: UPDATED_IN_WORDS, items, total, currency });
    }
    case 'OrderCreated':
      return undefined;
    default:
      return event satisfies never;
  }
}

/** It is confirmed as before; that alone would say nothing new. */
const UPDATED_IN_WORDS = 'Order changed. Every item is reserved.';

interface Head {
  order_id: string;
  customer_id?: string;
  version?: number;
}

type Change = EventOf<'OrderStatusChanged'>;

/** A foreign order service may leave out the customer or the version: then there is nobody to tell, or no way to tell news from repetition. */
function changed(
  { order_id, customer_id, version }: Head,
  status: Change['status'],
  more: Partial<Pick<Change, 'message' | 'items' | 'code' | 'reason' | 'total' | 'currency'>>,
): Change | undefined {
  if (customer_id === undefined || version === undefined) return undefined;
  return { event: 'OrderStatusChanged', order_id, customer_id, version, status, message: statusInWords[status], ...more };
}

/** One line for the log: what happened to which order. */
export function inOneLine(event: OrderEvent): string {
  switch (event.event) {
    case 'OrderCreated':
      return `order ${event.order_id} was placed: ${event.items.map((item) => `${item.quantity} × product ${item.product_id}`).join(', ')}`;
    case 'OrderReserved':
      return `order ${event.order_id} is reserved and waits for its payment`;
    case 'OrderConfirmed':
      return `order ${event.order_id} is confirmed`;
    case 'OrderUpdated':
      return `order ${event.order_id} was changed`;
    case 'OrderCancelled':
      return `order ${event.order_id} is cancelled: ${event.reason ?? 'no reason given'}`;
    case 'OrderFulfilled':
      return `order ${event.order_id} is fulfilled`;
    default:
      return event satisfies never;
  }
}
