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
/** A line as a client requests it: the product by its id, its sku or its name. */
export const requestedLine = z.looseObject({
  product_id: z.int().optional(),
  sku: z.string().max(1_000).optional(),
  name: z.string().max(1_000).optional(),
  quantity: z.int(),
});
/** A line as reserved, with the price that was taken. */
export const reservedLine = z.looseObject({ product_id: productId, quantity, unit_price: minorUnits });
/** Why one line could not be reserved. */
export const rejectionCode = z.enum(['INSUFFICIENT_STOCK', 'UNKNOWN_PRODUCT', 'PRODUCT_INACTIVE']);
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
/** Counts the changes of one order that were asked for: with the order's id it names one of them, for ever. */
const amendment = z.int().min(1).max(INT_MAX);

const lines = z.array(orderLine).min(1).max(1_000);
/** Words of whatever program sent them: what no database can store, NUL and halves of characters, is taken out of them and refuses nothing. */
const freeText = z.string().transform((text) => text.toWellFormed().replaceAll('\u0000', ''));
const currency = z.string().length(3);
const customerId = text(100);
/** What both questions about a payment that is to end are about. */
const payment = { order_id: orderId, customer_id: customerId };
const product = {
  product_id: productId,
  sku: z.string(),
  name: z.string(),
  price: minorUnits,
  currency,
  active: z.boolean(),
};

/**
 * Every event, once. Objects are loose: a newer version with more fields is understood, and what is not known is kept.
 * `version` counts the changes of an order, so that a subscriber can tell which of two events is the later one.
 */
export const events = {
  OrderCreated: z.looseObject({ event: z.literal('OrderCreated'), order_id: orderId, items: lines }),
  /** An order placed by message: a client of any make sends it bare, without `event`, to the queue that takes nothing else. */
  OrderRequested: z.looseObject({
    event: z.literal('OrderRequested'),
    /** The client's own name for it: the same again is the same order. */
    order_id: orderId,
    /** The customer. */
    user_id: text(100),
    order: z.array(requestedLine).min(1).max(1_000),
    /** BALANCE to have it paid from the customer's balance. Any text: what is not known is refused, and answered. */
    payment: z.string().max(1_000).optional(),
  }),
  /** An order to be cancelled or fulfilled, asked for by message; bare as well. */
  OrderChangeRequested: z.looseObject({
    event: z.literal('OrderChangeRequested'),
    order_id: orderId,
    status: z.enum(['CANCELLED', 'FULFILLED']),
    reason: text(500).optional(),
  }),
  /** An order to be paid now, asked for by message; bare as well. Its price is not the asker's to say. */
  PaymentRequested: z.looseObject({ event: z.literal('PaymentRequested'), order_id: orderId }),
  /** The answer to a request that became no order. `order_id` is the client's. */
  OrderRefused: z.looseObject({
    event: z.literal('OrderRefused'),
    order_id: orderId,
    customer_id: freeText,
    code: z.enum(['VALIDATION_FAILED', 'IDEMPOTENCY_CONFLICT']),
    message: z.string(),
    fields: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })).optional(),
  }),
  /** Every line is held, and accounts is asked for the total. Only an order with a payment comes by here. */
  OrderReserved: z.looseObject({
    event: z.literal('OrderReserved'),
    order_id: orderId,
    customer_id: customerId,
    version: z.int().optional(),
    payment: paymentMethod.optional(),
    items: z.array(reservedLine).optional(),
    total: minorUnits,
    currency,
  }),
  OrderConfirmed: z.looseObject({
    event: z.literal('OrderConfirmed'),
    order_id: orderId,
    customer_id: freeText,
    version: z.int(),
    items: z.array(reservedLine),
    total: minorUnits,
    currency,
  }),
  OrderUpdated: z.looseObject({
    event: z.literal('OrderUpdated'),
    order_id: orderId,
    customer_id: freeText,
    version: z.int(),
    /** All lines as they are now. Ours carry their prices. */
    items: z
      .array(orderLine.extend({ unit_price: minorUnits.optional() }))
      .min(1)
      .max(1_000),
    total: minorUnits.optional(),
    currency: z.string().length(3).optional(),
  }),
  OrderCancelled: z.looseObject({
    event: z.literal('OrderCancelled'),
    order_id: orderId,
    customer_id: freeText.optional(),
    version: z.int().optional(),
    code: cancellationCode.optional(),
    reason: freeText.optional(),
    items: z.array(rejectedLine).optional(),
  }),
  OrderFulfilled: z.looseObject({
    event: z.literal('OrderFulfilled'),
    order_id: orderId,
    customer_id: freeText.optional(),
    version: z.int().optional(),
  }),
  /** What a customer is told; made from the events above, one per version of an order. */
  OrderStatusChanged: z.looseObject({
    event: z.literal('OrderStatusChanged'),
    order_id: orderId,
    customer_id: freeText,
    version: z.int(),
    status: orderStatus,
    /** The status in words. */
    message: z.string(),
    /** In the answer to an OrderRequested: the client's own name for the order. */
    reference: z.string().optional(),
    code: cancellationCode.optional(),
    reason: freeText.optional(),
    total: minorUnits.optional(),
    currency: currency.optional(),
  }),
  StockReserved: z.looseObject({ event: z.literal('StockReserved'), order_id: orderId, items: z.array(reservedLine).min(1) }),
  StockRejected: z.looseObject({
    event: z.literal('StockRejected'),
    order_id: orderId,
    reason: freeText,
    /** Absent in the answers of a plainer inventory service than ours. */
    items: z.array(rejectedLine).optional(),
  }),
  /**
   * A command to inventory: hold these lines for the order from now on, all of them, instead of what it holds. Answered by one of the
   * next two; the same amendment again gets the same answer.
   */
  AmendReservation: z.looseObject({
    event: z.literal('AmendReservation'),
    order_id: orderId,
    amendment,
    items: lines,
    /** Heard later than this it is refused as EXPIRED. Left out: never. */
    decide_before: z.iso.datetime().optional(),
  }),
  StockAmended: z.looseObject({
    event: z.literal('StockAmended'),
    order_id: orderId,
    amendment,
    items: z.array(reservedLine).min(1),
  }),
  AmendmentRejected: z.looseObject({
    event: z.literal('AmendmentRejected'),
    order_id: orderId,
    amendment,
    code: amendmentRefusal,
    reason: z.string(),
    items: z.array(rejectedLine).optional(),
  }),
  StockReleased: z.looseObject({ event: z.literal('StockReleased'), order_id: orderId, items: z.array(orderLine) }),
  StockCommitted: z.looseObject({ event: z.literal('StockCommitted'), order_id: orderId, items: z.array(orderLine) }),
  /** A command: take no payment for this order any more, unless it is taken already; and say which. */
  VoidPayment: z.looseObject({ event: z.literal('VoidPayment'), ...payment }),
  /** A command: the order is off. Give back what was taken for it, and take nothing any more. */
  RefundPayment: z.looseObject({ event: z.literal('RefundPayment'), ...payment }),
  PaymentCaptured: z.looseObject({ event: z.literal('PaymentCaptured'), ...payment, amount: minorUnits, currency }),
  PaymentDeclined: z.looseObject({
    event: z.literal('PaymentDeclined'),
    order_id: orderId,
    customer_id: customerId.optional(),
    /** Absent in the answers of a plainer accounts service than ours. */
    code: declineCode.optional(),
    reason: text(1_000),
  }),
  /** The answer to RefundPayment, each time it is told: what the customer has back. 0 when nothing had been taken. */
  PaymentRefunded: z.looseObject({
    event: z.literal('PaymentRefunded'),
    order_id: orderId,
    customer_id: customerId.optional(),
    amount: minorUnits,
    currency: currency.optional(),
  }),
  /** The answer to PaymentRequested where accounts was never asked for the total. Whose order it is says OrderReserved again, if it waits. */
  PaymentUnknown: z.looseObject({ event: z.literal('PaymentUnknown'), order_id: orderId }),
  StockChanged: z.looseObject({
    event: z.literal('StockChanged'),
    product_id: productId,
    sku: z.string(),
    on_hand: z.int().min(0),
    reserved: z.int().min(0),
    available: z.int().min(0),
  }),
  ProductCreated: z.looseObject({ event: z.literal('ProductCreated'), ...product }),
  ProductUpdated: z.looseObject({ event: z.literal('ProductUpdated'), ...product }),
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
