import { z } from 'zod';

import { orderStatus, paymentMethod } from './orderStatus';

/** The largest whole number that Postgres' integer and GraphQL's Int both hold. */
export const INT_MAX = 2_147_483_647;

/** Any string that Postgres can store: NUL is the one character it cannot, and a lone surrogate is no text. */
export const text = (maxLength: number) =>
  z
    .string()
    .min(1, 'must not be empty')
    .max(maxLength, `must be at most ${maxLength} characters`)
    .refine((value) => !value.includes('\u0000') && value.isWellFormed(), 'must not contain NUL or broken characters');

export const orderId = text(200).describe('The order, in the words of the service that placed it; ours begin with ORD-');
export const productId = z.int().min(1).max(INT_MAX).describe('The product');
export const quantity = z.int().min(1).max(INT_MAX).describe('Units, at least one');
export const minorUnits = z.int().min(0).describe('Money in minor units (cents) of the shop currency');

/** A line as ordered. */
export const orderLine = z.looseObject({ product_id: productId, quantity });
/**
 * What a client asks for in its own words. It is published as it should be sent, and read as it comes: what is wrong with it the use
 * case says, and so the client is told.
 */
const asked = (schema: z.ZodType, description: string) => {
  const published = z.toJSONSchema(schema, { io: 'input' });
  delete published.$schema;
  return z
    .unknown()
    .optional()
    .meta({ ...published, description });
};
const requestedLine = z.looseObject({
  product_id: z.int().optional(),
  sku: z.string().max(1_000).optional(),
  name: z.string().max(1_000).optional(),
  quantity: z.int(),
});
/** An order as a client requests it. */
export const requestedOrder = {
  order: asked(
    z.array(requestedLine).min(1).max(1_000),
    'Its lines: each product by its id, its sku or its name, and how many. Lines that cannot be ordered are refused, and answered',
  ),
  payment: asked(
    z.string().max(1_000),
    "BALANCE to have it paid from the customer's balance; what is not known is refused, and answered",
  ),
};
/** A line as reserved, with the price that was taken. */
export const reservedLine = z.looseObject({ product_id: productId, quantity, unit_price: minorUnits });
/** Why one line could not be reserved. */
export const rejectionCode = z.enum(['INSUFFICIENT_STOCK', 'UNKNOWN_PRODUCT', 'PRODUCT_INACTIVE', 'PURCHASE_LIMIT']);
export const rejectedLine = z.looseObject({
  product_id: productId,
  requested: z.int().min(1),
  available: z.int().min(0),
  code: rejectionCode,
});
/** Why an order was cancelled; the last three are not inventory's to say. */
export const cancellationCode = z.enum([...rejectionCode.options, 'PAYMENT_DECLINED', 'EXPIRED', 'REQUESTED']);
/** Why a payment was not taken. EXPIRED: the order's time was over before it was. */
export const declineCode = z.enum(['INSUFFICIENT_FUNDS', 'NO_ACCOUNT', 'OTHER_CURRENCY', 'EXPIRED']);

/** Why inventory refused to change a reservation; beside what can be wrong with a line: it came too late, nothing is held, a later change was made. */
export const amendmentRefusal = z.enum([...rejectionCode.options, 'EXPIRED', 'NOT_HELD', 'OVERTAKEN']);
const amendment = z
  .int()
  .min(1)
  .max(INT_MAX)
  .describe("Counts the changes of one order that were asked for: with the order's id it names one of them, for ever");

const lines = z.array(orderLine).min(1).max(1_000);
/** Words of whatever program sent them: what no database can store, NUL and halves of characters, is taken out of them and refuses nothing. */
export const freeText = z.string().transform((text) => text.toWellFormed().replaceAll('\u0000', ''));
const currency = z.string().length(3).describe('ISO 4217, such as EUR');
const customerId = text(100).describe('The customer');
/** In messages that are told and not asked: any text will do. */
const anyCustomerId = freeText.describe('The customer');
const version = z
  .int()
  .describe('Counts the changes of the order: of two of its events the one with the greater version is the later');
/** What both questions about a payment that is to end are about. */
const payment = { order_id: orderId, customer_id: customerId };
const product = {
  product_id: productId,
  sku: z.string(),
  name: z.string(),
  price: minorUnits,
  currency,
  active: z.boolean().describe('Whether it can be ordered'),
};

/**
 * Every event, once. Objects are loose: a newer version with more fields is understood, and what is not known is kept.
 * `version` counts the changes of an order, so that a subscriber can tell which of two events is the later one.
 * The descriptions are published: docs/asyncapi.json is made from them.
 */
export const events = {
  OrderCreated: z
    .looseObject({
      event: z.literal('OrderCreated'),
      order_id: orderId,
      items: lines,
      customer_id: text(100)
        .optional()
        .catch(undefined)
        .describe(
          'Whose order it is: limits per customer go by it. Without it, or where it is no such text, the order is counted alone',
        ),
    })
    .describe('An order was placed, by our order service or another: inventory reserves all of its lines or none, and answers.'),
  OrderRequested: z
    .looseObject({
      event: z.literal('OrderRequested'),
      order_id: orderId.describe("The client's own name for it: the same again is the same order"),
      user_id: text(100).describe('The customer'),
      ...requestedOrder,
    })
    .describe(
      'An order placed by message. A client of any make sends it bare, without `event`, to a queue that takes nothing else.',
    ),
  OrderChangeRequested: z
    .looseObject({
      event: z.literal('OrderChangeRequested'),
      order_id: orderId,
      status: z.enum(['CANCELLED', 'FULFILLED']),
      reason: freeText.optional().describe('Why, for people; its first 500 characters are kept'),
    })
    .describe('An order to be cancelled or fulfilled, asked for by message; bare as well.'),
  PaymentRequested: z
    .looseObject({ event: z.literal('PaymentRequested'), order_id: orderId })
    .describe("An order to be paid now, asked for by message; bare as well. Its price is not the asker's to say."),
  OrderRefused: z
    .looseObject({
      event: z.literal('OrderRefused'),
      order_id: orderId.describe("The client's own name for it: there is no order of ours"),
      customer_id: anyCustomerId,
      code: z.enum(['VALIDATION_FAILED', 'IDEMPOTENCY_CONFLICT']),
      message: z.string(),
      fields: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })).optional(),
    })
    .describe('The answer to a request that became no order.'),
  OrderReserved: z
    .looseObject({
      event: z.literal('OrderReserved'),
      order_id: orderId,
      customer_id: customerId,
      version: version.optional(),
      payment: paymentMethod.optional(),
      items: z.array(reservedLine).optional(),
      total: minorUnits,
      currency,
    })
    .describe('Every line is held, and accounts is asked for the total. Only an order with a payment comes by here.'),
  OrderConfirmed: z
    .looseObject({
      event: z.literal('OrderConfirmed'),
      order_id: orderId,
      customer_id: anyCustomerId,
      version,
      items: z.array(reservedLine),
      total: minorUnits,
      currency,
    })
    .describe('Every line is held, and paid where the order is paid by us.'),
  OrderUpdated: z
    .looseObject({
      event: z.literal('OrderUpdated'),
      order_id: orderId,
      customer_id: anyCustomerId,
      version,
      items: z
        .array(orderLine.extend({ unit_price: minorUnits.optional() }))
        .min(1)
        .max(1_000)
        .describe('All lines as they are now. Ours carry their prices'),
      total: minorUnits.optional(),
      currency: currency.optional(),
    })
    .describe('A confirmed order has other quantities, which are held.'),
  OrderCancelled: z
    .looseObject({
      event: z.literal('OrderCancelled'),
      order_id: orderId,
      customer_id: anyCustomerId.optional(),
      version: version.optional(),
      code: cancellationCode.optional(),
      reason: freeText.optional(),
      items: z.array(rejectedLine).optional(),
    })
    .describe('The order is off, because it was rejected, not paid, too late or not wanted: inventory lets go what it holds.'),
  OrderFulfilled: z
    .looseObject({
      event: z.literal('OrderFulfilled'),
      order_id: orderId,
      customer_id: anyCustomerId.optional(),
      version: version.optional(),
    })
    .describe('The goods have left the house: inventory takes them out of stock.'),
  OrderStatusChanged: z
    .looseObject({
      event: z.literal('OrderStatusChanged'),
      order_id: orderId,
      customer_id: anyCustomerId,
      version,
      status: orderStatus,
      message: z.string().describe('The status in words'),
      reference: z.string().optional().describe("In the answer to an OrderRequested: the client's own name for the order"),
      code: cancellationCode.optional(),
      reason: freeText.optional(),
      items: z
        .array(orderLine.extend({ unit_price: minorUnits.optional() }))
        .optional()
        .describe('Where the quantities of a confirmed order were changed: all lines as they are now'),
      total: minorUnits.optional(),
      currency: currency.optional(),
    })
    .describe('What a customer is told; made from the events of orders, one for each version of an order.'),
  StockReserved: z
    .looseObject({ event: z.literal('StockReserved'), order_id: orderId, items: z.array(reservedLine).min(1) })
    .describe('Every line of the order is held.'),
  StockRejected: z
    .looseObject({
      event: z.literal('StockRejected'),
      order_id: orderId,
      reason: freeText,
      items: z.array(rejectedLine).optional().describe('Absent in the answers of a plainer inventory service than ours'),
    })
    .describe('No line of the order is held; `items` says which stood in the way.'),
  AmendReservation: z
    .looseObject({
      event: z.literal('AmendReservation'),
      order_id: orderId,
      amendment,
      items: lines,
      decide_before: z.iso.datetime().optional().describe('Heard later than this it is refused as EXPIRED. Left out: never'),
    })
    .describe(
      'A command to inventory: hold these lines for the order from now on, all of them, instead of what it holds. Answered by StockAmended or AmendmentRejected; the same amendment again gets the same answer.',
    ),
  StockAmended: z
    .looseObject({
      event: z.literal('StockAmended'),
      order_id: orderId,
      amendment,
      items: z.array(reservedLine).min(1),
    })
    .describe('The order holds these lines now, and no others.'),
  AmendmentRejected: z
    .looseObject({
      event: z.literal('AmendmentRejected'),
      order_id: orderId,
      amendment,
      code: amendmentRefusal,
      reason: z.string(),
      items: z.array(rejectedLine).optional(),
    })
    .describe('The order holds what it held before.'),
  StockReleased: z
    .looseObject({ event: z.literal('StockReleased'), order_id: orderId, items: z.array(orderLine) })
    .describe('The order holds nothing any more; `items` is what was let go this time.'),
  StockCommitted: z
    .looseObject({ event: z.literal('StockCommitted'), order_id: orderId, items: z.array(orderLine) })
    .describe('What the order held is out of stock; `items` is what left this time.'),
  VoidPayment: z
    .looseObject({ event: z.literal('VoidPayment'), ...payment })
    .describe('A command to accounts: take no payment for this order any more, unless it is taken already; and say which.'),
  RefundPayment: z
    .looseObject({ event: z.literal('RefundPayment'), ...payment })
    .describe('A command to accounts: the order is off. Give back what was taken for it, and take nothing any more.'),
  PaymentCaptured: z
    .looseObject({ event: z.literal('PaymentCaptured'), ...payment, amount: minorUnits, currency })
    .describe('The total of the order was taken.'),
  PaymentDeclined: z
    .looseObject({
      event: z.literal('PaymentDeclined'),
      order_id: orderId,
      customer_id: customerId.optional(),
      code: declineCode.optional().describe('Absent in the answers of a plainer accounts service than ours'),
      reason: text(1_000),
    })
    .describe('Nothing was taken for the order, and nothing will be.'),
  PaymentRefunded: z
    .looseObject({
      event: z.literal('PaymentRefunded'),
      order_id: orderId,
      customer_id: customerId.optional(),
      amount: minorUnits.describe('In minor units (cents); 0 when nothing had been taken'),
      currency: currency.optional(),
    })
    .describe('The answer to RefundPayment, each time it is told: what the customer has back.'),
  PaymentUnknown: z
    .looseObject({ event: z.literal('PaymentUnknown'), order_id: orderId })
    .describe(
      'The answer to PaymentRequested where accounts was never asked for the total. Whose order it is says OrderReserved again, if it waits.',
    ),
  StockChanged: z
    .looseObject({
      event: z.literal('StockChanged'),
      product_id: productId,
      sku: z.string(),
      on_hand: z.int().min(0),
      reserved: z.int().min(0),
      available: z.int().min(0),
    })
    .describe('Somebody changed the units on hand. Reservations are told by their own events.'),
  ProductCreated: z.looseObject({ event: z.literal('ProductCreated'), ...product }).describe('A product is new.'),
  ProductUpdated: z
    .looseObject({ event: z.literal('ProductUpdated'), ...product })
    .describe('A product has another name, price or state.'),
} as const;

/** Events that a client may send without `event`, to a queue that expects one of them. */
export const bareEvents: readonly EventType[] = ['OrderRequested', 'OrderChangeRequested', 'PaymentRequested'];

export type EventType = keyof typeof events;
export type EventOf<T extends EventType> = z.infer<(typeof events)[T]>;
/** Any event body: a union told apart by `event`. */
export type AnyEvent = { [T in EventType]: EventOf<T> }[EventType];
export type RejectedLine = z.infer<typeof rejectedLine>;
export type DeclineCode = z.infer<typeof declineCode>;
export type AmendmentRefusal = z.infer<typeof amendmentRefusal>;
export type CancellationCode = z.infer<typeof cancellationCode>;
