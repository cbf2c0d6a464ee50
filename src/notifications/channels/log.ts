import { type Logger } from '../../observability';
import { inOneLine, type OrderEvent } from '../notify';

/** Tells in our own log: of customers who have said nothing of how they want to be told, and of those who asked for this. */
export function logChannel(log: Logger): (event: OrderEvent) => void {
  return (event) => log.info({ orderId: event.order_id }, inOneLine(event));
}
