import { inputRefusal, statusInWords, type EventOf, type FieldFault } from '../contracts';
import { followUp, type Handler, type Handlers, type IncomingMessage } from '../messaging';
import { draftOrder, writeOrders, type CreateOrderOptions, type WrittenResult } from './createOrder';
import { orPlacedBefore } from './placedBefore';
import { nameProducts, type OrderWish, type ProductNames, type WishedItem } from './nameProducts';
import { refusalOf } from './refusals';

export interface NewOrdersOptions extends Pick<CreateOrderOptions, 'times' | 'limits' | 'currency' | 'newId'> {
  products: ProductNames;
}

/**
 * The door for orders placed by message. A batch is one transaction: the orders, what inventory is to hear of them, and the
 * answer to each client, on notification_exchange: PENDING, or why there is no order. The client's own id of the order is its
 * idempotency key, so that a message that comes twice is one order and is answered twice.
 */
export function newOrderHandlers(options: NewOrdersOptions): Handlers {
  const draft = draftOrder(options);
  return {
    OrderRequested: (async (tx, batch) => {
      const wishes = batch.map(({ body }) => wishOf(body));
      const named = await nameProducts(options, wishes);
      const drafts = named.map((wish, index) => (Array.isArray(wish) ? invalid(wish) : draft(wish, batch[index]!.correlationId)));
      const orders = drafts.flatMap((drafted) => (drafted.type === 'draft' ? [drafted.order] : []));
      const { result, messages } = await writeOrders(tx, options, orders);
      const written = result.values();
      const outcomes = drafts.map((drafted) => (drafted.type === 'draft' ? written.next().value! : drafted));
      const answers = await orPlacedBefore(tx, options, wishes, outcomes);
      const told = answers.map((answer, index) => followUp(batch[index]!, answerTo(batch[index]!, answer), options.newId));
      return [...messages, ...told];
    }) satisfies Handler<'OrderRequested'>,
  };
}

type Request = IncomingMessage<'OrderRequested'>;

type RequestedOrder = Pick<EventOf<'OrderRequested'>, 'order_id' | 'user_id' | 'order' | 'payment'>;

/** The order in our words, whatever stands in it; its sender's own id of it is the idempotency key. */
export function wishOf({ order_id: idempotencyKey, user_id: customerId, order, payment }: RequestedOrder): OrderWish {
  const items = (Array.isArray(order) ? order.map(itemOf) : order) as WishedItem[];
  return { customerId, idempotencyKey, items, payment: payment as string };
}

function itemOf(line: unknown): unknown {
  if (typeof line !== 'object' || line === null) return line;
  const { product_id: productId, sku, name, quantity } = line as Record<string, unknown>;
  return { productId, sku, name, quantity };
}

function invalid(fields: FieldFault[]) {
  return { type: 'invalid' as const, fields };
}

function answerTo({ body: request }: Request, outcome: WrittenResult): EventOf<'OrderStatusChanged' | 'OrderRefused'> {
  const { order_id, user_id: customer_id } = request;
  const refused = { event: 'OrderRefused' as const, order_id, customer_id };
  switch (outcome.type) {
    case 'placed': {
      const { id, version, status, total, currency, reason } = outcome.order;
      const told = { order_id: id, customer_id, version, status, message: statusInWords[status], reference: order_id };
      const price = total !== null && { total, currency };
      return { event: 'OrderStatusChanged', ...told, ...price, ...(reason && { code: reason.code, reason: reason.message }) };
    }
    case 'invalid': {
      const fields = outcome.fields.map((fault) => ({ ...fault, path: inTheirWords(fault.path) }));
      return { ...refused, code: 'VALIDATION_FAILED', message: inputRefusal(fields), fields };
    }
    case 'key-conflict':
      return { ...refused, code: 'IDEMPOTENCY_CONFLICT', message: refusalOf(outcome).message };
    default:
      return outcome satisfies never;
  }
}

/** Where a fault stands in the message, which calls some things otherwise than our own input does. */
export function inTheirWords(path: string): string {
  const words: Record<string, string> = {
    customerId: 'user_id',
    idempotencyKey: 'order_id',
    items: 'order',
    productId: 'product_id',
  };
  return path
    .split('.')
    .map((word) => words[word] ?? word)
    .join('.');
}
