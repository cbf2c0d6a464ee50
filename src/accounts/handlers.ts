import { queues } from '../contracts';
import { type Handlers } from '../messaging';
import { capturePayments } from './capturePayments';
import { refundPayments, voidPayments } from './closePayments';
import { processPayments } from './processPayments';

/** What accounts does about the payments of orders, queue by queue. */
export function paymentHandlers(newId: () => string): Record<string, Handlers> {
  return {
    [queues.orderReserved]: { OrderReserved: capturePayments(newId) },
    [queues.paymentClosings]: { VoidPayment: voidPayments(newId), RefundPayment: refundPayments(newId) },
    [queues.paymentCommands]: { PaymentRequested: processPayments(newId) },
  };
}
