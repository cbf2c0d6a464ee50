import { inputRefusal, statusInWords, type EventOf, type FieldFault } from '../contracts';
import { type Transaction } from '../database';
import { followUp, type Handler, type Handlers, type IncomingMessage } from '../messaging';
import { draftOrder, writeOrders, type CreateOrderInput, type CreateOrderOptions, type CreateOrderResult } from './createOrder';
import { type OrderWish, type WishedItem } from './placeOrders';
import { findOrders } from './readOrders';
import { refusalOf } from './refusals';
import { findByKeys } from './saveOrders';

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
      const outcomes = drafts.map((drafted) => (drafted.type === 'draft' ? written.next().value! : drafted));
      const known = await placedBefore(
        tx,
        batch.filter((_request, index) => outcomes[index]!.type === 'invalid'),
      );
      const answers = batch.map((request, index) => answerTo(request, known.get(request) ?? outcomes[index]!));
      return [...messages, ...answers.map((answer, index) => followUp(batch[index]!, answer, options.newId))];
    }) satisfies Handler<'OrderRequested'>,
  };
}

/**
 * Orders that were placed under the ids of these requests. What is wrong with a request now was right when it came first: a product
 * was renamed or taken off sale since. Its client is told of the order, and not that there is none.
 */
async function placedBefore(tx: Transaction, requests: Request[]): Promise<Map<Request, CreateOrderResult>> {
  const keys = requests.map(({ body }) => ({ customerId: body.user_id, idempotencyKey: body.order_id }));
  const holders = await findByKeys(tx, keys);
  const orders = await findOrders(
    tx,
    holders.map((holder) => holder.id),
  );
  return new Map(
    requests.flatMap((request) => {
      const isIts = (key: { customerId: string; idempotencyKey: string }) =>
        key.customerId === request.body.user_id && key.idempotencyKey === request.body.order_id;
      const order = orders.find(({ id }) => id === holders.find(isIts)?.id);
      return order ? [[request, { type: 'placed', order, repeated: true }] as const] : [];
    }),
  );
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

function answerTo({ body: request }: Request, outcome: CreateOrderResult): EventOf<'OrderStatusChanged' | 'OrderRefused'> {
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
