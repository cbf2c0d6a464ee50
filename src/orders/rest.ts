import { z } from 'zod';

import { cancellationCode, paymentMethod } from '../contracts';
import { demandOwn, ownerOf } from '../identity';
import { refusedInput, Refused, type Endpoint, type RestAnswer } from '../rest';
import { type OrdersContext } from './context';
import { type CreateOrderResult } from './createOrder';
import { type OrderWish } from './nameProducts';
import { refusalOf, refusals, type RefusedResult } from './refusals';
import { Order, OrderStatus } from './schema';
import { type UpdateOrderInput, type UpdateOrderResult } from './updateOrder';

/** The REST door of the orders context. `sample`: what a POST without a body orders; without it every order needs a body. */
export function orderEndpoints(orders: OrdersContext, sample?: () => Promise<OrderWish | undefined>): Endpoint[] {
  return [createOrderEndpoint(orders, sample), orderEndpoint(orders), updateOrderEndpoint(orders)];
}

const aProduct = {
  productId: z.int().nullish().describe('The product by its id; this or the sku.'),
  sku: z.string().nullish().describe('The product by its sku; this or the id.'),
};
const newOrder = z.strictObject({
  customerId: z.string().describe('Who orders: your id of the customer, 1 to 100 characters.'),
  items: z
    .array(z.strictObject({ ...aProduct, quantity: z.int().describe('Units, at least one.') }))
    .describe('What is ordered; the same product twice is added up.'),
  payment: paymentMethod
    .nullish()
    .describe("BALANCE to have it paid from the customer's balance before it is confirmed; NONE unless given."),
  idempotencyKey: z
    .string()
    .nullish()
    .describe('The same key again gets the same order; goes before the header Idempotency-Key.'),
});

const newQuantities = z.strictObject({
  items: z
    .array(
      z.strictObject({
        ...aProduct,
        quantity: z
          .int()
          .describe(
            'Units from now on; 0 takes the product off the order, and changes nothing where it is not on it. Units that are added to a line come at the price of the line.',
          ),
      }),
    )
    .describe('What changes, each product once; the others stay as they are.'),
  expectedVersion: z.int().nullish().describe('Change nothing unless the order is at this version.'),
});

const money = z.object({ minorUnits: z.int(), currency: z.string(), decimal: z.string() });
const order = z.object({
  id: z.string(),
  customerId: z.string(),
  status: z.enum(OrderStatus),
  message: z.string().describe('The status in words.'),
  payment: paymentMethod,
  version: z.int().describe('Counts the changes of the order.'),
  items: z.array(
    z.object({ productId: z.int(), quantity: z.int(), unitPrice: money.nullable().describe('Null until stock was reserved.') }),
  ),
  total: money.nullable().describe('Null until stock was reserved.'),
  reason: z
    .object({
      code: cancellationCode,
      message: z.string(),
      lines: z.array(z.object({ productId: z.int(), requested: z.int(), available: z.int(), code: z.string() })),
    })
    .nullable()
    .describe('Why it was cancelled.'),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

function createOrderEndpoint(orders: OrdersContext, sample?: () => Promise<OrderWish | undefined>): Endpoint<object, OrderWish> {
  const placed = z.object({ message: z.string(), order });
  const headers = { location: 'Where the order is read.' };
  return {
    method: 'POST',
    path: '/create_order',
    access: 'known',
    // The sample is for whoever looks at Holdfast for the first time, and belongs to no customer.
    accessWithoutBody: sample && 'anyone',
    operationId: 'createOrder',
    summary: 'Places an order.',
    description:
      'The order is PENDING and safe when this answers; it is CONFIRMED or CANCELLED moments later.' +
      (sample ? ' Without a body it orders one unit of the first product for sale, which production refuses.' : ''),
    body: { schema: newOrder, required: sample === undefined, takesIdempotencyKey: true },
    answers: {
      201: { description: 'The order as received.', schema: placed, headers },
      200: { description: 'The order that this idempotency key placed before, as it is now.', schema: placed, headers },
    },
    refusals: {
      422: 'The input breaks a rule, or the idempotency key was used before for other lines or another payment; nothing was ordered.',
      503: 'Come back later; with the code BUSY because too many orders wait to be decided. Nothing was ordered.',
    },
    async answer({ body, context }) {
      if (body) demandOwn(context.caller, body.customerId);
      const wish = body ?? (await sample?.());
      if (!wish) throw new Refused(422, 'VALIDATION_FAILED', 'There is no product for sale: say in a body what to order.');
      const withKey = { ...wish, idempotencyKey: wish.idempotencyKey ?? context.idempotencyKey };
      const [result] = await orders.place([withKey], context.correlationId);
      return toAnswer(result!);
    },
  };
}

function toAnswer(result: CreateOrderResult): RestAnswer {
  switch (result.type) {
    case 'placed': {
      const message = result.repeated ? 'Order was created before.' : 'Order created and message sent!';
      const headers = { location: `/orders/${encodeURIComponent(result.order.id)}` };
      return { status: result.repeated ? 200 : 201, body: { message, order: Order.of(result.order) }, headers };
    }
    case 'invalid':
      throw refusedInput(result.fields);
    case 'key-conflict':
      throw refused(422, result);
    case 'busy': {
      const { retryAfterSeconds } = result;
      throw new Refused(503, 'BUSY', refusals.busy(retryAfterSeconds), { retryAfterSeconds });
    }
    default:
      return result satisfies never;
  }
}

function orderEndpoint(orders: OrdersContext): Endpoint<{ id: string }> {
  return {
    method: 'GET',
    path: '/orders/{id}',
    access: 'known',
    operationId: 'getOrder',
    summary: 'An order by its id.',
    parameters: z.object({ id: z.string().describe('The id of the order.') }),
    answers: { 200: { description: 'The order as it is now.', schema: order } },
    refusals: { 404: 'There is no such order.' },
    async answer({ parameters: { id }, context }) {
      const [view] = await orders.find([id], ownerOf(context.caller));
      if (!view) throw unknownOrder(id);
      return { status: 200, body: Order.of(view) };
    },
  };
}

function unknownOrder(orderId: string): Refused {
  return refused(404, { type: 'unknown-order', orderId });
}

function updateOrderEndpoint(orders: OrdersContext): Endpoint<{ id: string }, Omit<UpdateOrderInput, 'orderId'>> {
  return {
    method: 'PATCH',
    path: '/orders/{id}',
    access: 'known',
    operationId: 'updateOrder',
    summary: 'Changes the quantities of an order.',
    description:
      'Of a CONFIRMED order without a payment. Only the difference of stock moves, all of it or nothing. Waits a few seconds for inventory. Repeating it is safe.',
    parameters: z.object({ id: z.string().describe('The id of the order.') }),
    body: { schema: newQuantities, required: true },
    answers: {
      200: { description: 'The order with these quantities.', schema: order },
      202: { description: 'The order as it was: the change is safe, and inventory decides it later.', schema: order },
    },
    refusals: {
      404: 'There is no such order.',
      409: 'The order keeps its quantities: its status, its version, its payment, another change under way or the stock does not allow these.',
      422: 'The input breaks a rule; nothing was changed.',
    },
    async answer({ parameters: { id: orderId }, body, context }) {
      return toUpdated(await orders.update({ orderId, ...body! }, context.correlationId, undefined, ownerOf(context.caller)));
    },
  };
}

function toUpdated(result: UpdateOrderResult): RestAnswer {
  switch (result.type) {
    case 'updated':
      return { status: 200, body: Order.of(result.order) };
    case 'under-way':
      return { status: 202, body: Order.of(result.order) };
    case 'invalid':
      throw refusedInput(result.fields);
    case 'unknown-order':
      throw unknownOrder(result.orderId);
    default:
      throw refused(409, result);
  }
}

function refused(httpStatus: number, result: RefusedResult): Refused {
  const { code, message, orderId, status: orderStatus, version, lines } = refusalOf(result);
  const short = lines?.map(({ product_id: productId, ...line }) => ({ productId, ...line }));
  return new Refused(httpStatus, code, message, { orderId, orderStatus, version, lines: short });
}
