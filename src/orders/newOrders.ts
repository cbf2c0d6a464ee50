import { inputRefusal, statusInWords, type EventOf, type FieldFault } from '../contracts';
import { followUp, type Handler, type Handlers, type IncomingMessage } from '../messaging';
import { draftOrder, writeOrders, type CreateOrderInput, type CreateOrderOptions, type CreateOrderResult } from './createOrder';
import { type OrderWish } from './placeOrders';
import { refusals } from './refusals';

export interface NewOrdersOptions extends Pick<CreateOrderOptions, 'times' | 'limits' | 'currency' | 'newId'> {
  /** Names products by id, or says what is wrong with how they are named. */
  nameProducts: (wishes: OrderWish[]) => Promise<(CreateOrderInput | FieldFault[])[]>;
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
      const named = await options.nameProducts(batch.map(({ body }) => wishOf(body)));
      const drafts = named.map((wish, index) => (Array.isArray(wish) ? invalid(wish) : draft(wish, batch[index]!.correlationId)));
      const orders = drafts.flatMap((drafted) => (drafted.type === 'draft' ? [drafted.order] : []));
      const { result, messages } = await writeOrders(tx, options, orders);
      const written = result.values();
      const answers = batch.map((request, index) => {
        const drafted = drafts[index]!;
        const outcome = drafted.type === 'draft' ? written.next().value! : drafted;
        return followUp(request, answerTo(request, outcome), options.newId);
      });
      return [...messages, ...answers];
    }) satisfies Handler<'OrderRequested'>,
  };
}

type Request = IncomingMessage<'OrderRequested'>;

function wishOf({ order_id: idempotencyKey, user_id: customerId, order }: Request['body']): OrderWish {
  const items = order.map(({ product_id: productId, sku, name, quantity }) => ({ productId, sku, name, quantity }));
  return { customerId, idempotencyKey, items };
}

function invalid(fields: FieldFault[]) {
  return { type: 'invalid' as const, fields };
}

function answerTo({ body: request }: Request, outcome: CreateOrderResult): EventOf<'OrderStatusChanged' | 'OrderRefused'> {
  const { order_id, user_id: customer_id } = request;
  const refused = { event: 'OrderRefused' as const, order_id, customer_id };
  switch (outcome.type) {
    case 'placed': {
      const { id, version, status } = outcome.order;
      const told = { order_id: id, customer_id, version, status, message: statusInWords[status], reference: order_id };
      return { event: 'OrderStatusChanged', ...told };
    }
    case 'invalid': {
      const fields = outcome.fields.map((fault) => ({ ...fault, path: inTheirWords(fault.path) }));
      return { ...refused, code: 'VALIDATION_FAILED', message: inputRefusal(fields), fields };
    }
    case 'key-conflict':
      return { ...refused, code: 'IDEMPOTENCY_CONFLICT', message: refusals.keyConflict(outcome.orderId, order_id) };
    default:
      return outcome satisfies never;
  }
}

/** Where a fault stands in the message, which calls some things otherwise than our own input does. */
function inTheirWords(path: string): string {
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
