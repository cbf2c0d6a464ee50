import { followUp, type Handler } from '../messaging';
import { answerNow } from './payment';
import { findPayments } from './paymentRows';

/**
 * Answers a batch of PaymentRequested, by which anybody may ask to have an order paid now: with what became of its payment, each
 * time it is asked. No money is taken here, because whether an order waits for its payment, and what it costs, is known to its order
 * service alone: PaymentUnknown lets that say OrderReserved again, which is then captured like the first.
 */
export function processPayments(newId: () => string): Handler<'PaymentRequested'> {
  return async (tx, batch) => {
    const orderIds = batch.map(({ body }) => body.order_id);
    const payments = await findPayments(tx, orderIds);
    return batch.map((request) => {
      const { order_id } = request.body;
      const payment = payments.get(order_id);
      return followUp(request, payment ? answerNow(payment) : { event: 'PaymentUnknown', order_id }, newId);
    });
  };
}
