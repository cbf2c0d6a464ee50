import { type EventOf, type EventType } from './events';
import { type ReplyOf, type RequestOf, type rpcs } from './rpc';

const orderId = 'ORD-01JDK3W9T8Z5';
const customerId = 'CUST-1';
const ordered = { product_id: 1, quantity: 2 };
const reserved = { ...ordered, unit_price: 1_999 };
const short = { product_id: 1, requested: 2, available: 1, code: 'INSUFFICIENT_STOCK' } as const;
const paid = { order_id: orderId, customer_id: customerId };
const mug = { product_id: 1, sku: 'MUG-BLUE', name: 'Mug, blue', price: 1_999, currency: 'EUR', active: true };

/**
 * One good message of every event, as it goes out today: what the published documents show, what `holdfast events publish-sample`
 * sends, and what is kept for ever as that event's newest golden message.
 */
export const samples: { readonly [T in EventType]: EventOf<T> } = {
  OrderCreated: { event: 'OrderCreated', order_id: orderId, items: [ordered], customer_id: customerId },
  OrderRequested: {
    ...{ event: 'OrderRequested', order_id: '6f0c2a6e-3f0b-4c55-9f5e-0d3f6f1c7a10', user_id: customerId },
    order: [{ sku: 'MUG-BLUE', quantity: 2 }],
    payment: 'BALANCE',
  },
  OrderChangeRequested: {
    ...{ event: 'OrderChangeRequested', order_id: orderId, status: 'CANCELLED', reason: 'changed my mind' },
  },
  PaymentRequested: { event: 'PaymentRequested', order_id: orderId },
  OrderRefused: {
    ...{ event: 'OrderRefused', order_id: '6f0c2a6e-3f0b-4c55-9f5e-0d3f6f1c7a10', customer_id: customerId },
    ...{ code: 'VALIDATION_FAILED', message: 'The input was refused. order.0.name: there is no product "Kayboard".' },
    fields: [{ path: 'order.0.name', code: 'unknown_product', message: 'there is no product "Kayboard"' }],
  },
  OrderReserved: {
    ...{ event: 'OrderReserved', order_id: orderId, customer_id: customerId, version: 2, payment: 'BALANCE' },
    ...{ items: [reserved], total: 3_998, currency: 'EUR' },
  },
  OrderConfirmed: {
    ...{ event: 'OrderConfirmed', order_id: orderId, customer_id: customerId, version: 2 },
    ...{ items: [reserved], total: 3_998, currency: 'EUR' },
  },
  OrderUpdated: {
    ...{ event: 'OrderUpdated', order_id: orderId, customer_id: customerId, version: 3 },
    ...{ items: [{ ...reserved, quantity: 5 }], total: 9_995, currency: 'EUR' },
  },
  OrderCancelled: {
    ...{ event: 'OrderCancelled', order_id: orderId, customer_id: customerId, version: 2 },
    ...{ code: 'INSUFFICIENT_STOCK', reason: 'Insufficient stock', items: [short] },
  },
  OrderFulfilled: { event: 'OrderFulfilled', order_id: orderId, customer_id: customerId, version: 3 },
  OrderStatusChanged: {
    ...{ event: 'OrderStatusChanged', order_id: orderId, customer_id: customerId, version: 3 },
    ...{ status: 'CONFIRMED', message: 'Order changed. Every item is reserved.' },
    ...{ items: [{ ...reserved, quantity: 5 }], total: 9_995, currency: 'EUR' },
  },
  StockReserved: { event: 'StockReserved', order_id: orderId, items: [reserved] },
  StockRejected: { event: 'StockRejected', order_id: orderId, reason: 'Insufficient stock', items: [short] },
  AmendReservation: {
    ...{ event: 'AmendReservation', order_id: orderId, amendment: 1, items: [{ product_id: 1, quantity: 5 }] },
    decide_before: '2026-11-26T12:00:00.000Z',
  },
  StockAmended: { event: 'StockAmended', order_id: orderId, amendment: 1, items: [{ ...reserved, quantity: 5 }] },
  AmendmentRejected: {
    ...{ event: 'AmendmentRejected', order_id: orderId, amendment: 1 },
    ...{ code: 'INSUFFICIENT_STOCK', reason: 'Insufficient stock', items: [{ ...short, requested: 5 }] },
  },
  StockReleased: { event: 'StockReleased', order_id: orderId, items: [ordered] },
  StockCommitted: { event: 'StockCommitted', order_id: orderId, items: [ordered] },
  VoidPayment: { event: 'VoidPayment', ...paid },
  RefundPayment: { event: 'RefundPayment', ...paid },
  PaymentCaptured: { event: 'PaymentCaptured', ...paid, amount: 3_998, currency: 'EUR' },
  PaymentDeclined: {
    ...{
      event: 'PaymentDeclined',
      ...paid,
      code: 'INSUFFICIENT_FUNDS',
      reason: 'The balance is 10.00 EUR; 39.98 EUR are needed.',
    },
  },
  PaymentRefunded: { event: 'PaymentRefunded', ...paid, amount: 3_998, currency: 'EUR' },
  PaymentUnknown: { event: 'PaymentUnknown', order_id: orderId },
  StockChanged: { event: 'StockChanged', product_id: 1, sku: 'MUG-BLUE', on_hand: 9, reserved: 2, available: 7 },
  ProductCreated: { event: 'ProductCreated', ...mug },
  ProductUpdated: { event: 'ProductUpdated', ...mug, active: false },
};

type Rpcs = typeof rpcs;

const standing: ReplyOf<Rpcs['orderStatus']> = {
  ...{ status: 'PROCESSING', order_id: orderId, reference: '6f0c2a6e-3f0b-4c55-9f5e-0d3f6f1c7a10' },
  ...{ order_status: 'PENDING', version: 1, message: 'Order received. Inventory check in progress.' },
};

/** The same of every question and its answer. */
export const rpcSamples: { readonly [K in keyof Rpcs]: { request: RequestOf<Rpcs[K]>; reply: ReplyOf<Rpcs[K]> } } = {
  stockCheck: {
    request: { items: [ordered] },
    reply: { status: 'FAILED', items: [short] },
  },
  stockUpdate: {
    request: { product_id: 1, on_hand: 9, compare_on_hand: 5, reason: 'CORRECTION', reference: 'count of 26 November' },
    reply: { status: 'SUCCESS', product_id: 1, on_hand: 9, reserved: 0, available: 9, message: 'The stock is 9 units on hand.' },
  },
  userCheck: {
    request: { user_id: customerId, amount: 3_998 },
    reply: {
      ...{ status: 'FAILED', user_id: customerId, balance: 1_000, currency: 'EUR' },
      ...{ message: 'The balance is 10.00 EUR; 39.98 EUR are needed.', code: 'INSUFFICIENT_FUNDS' },
    },
  },
  orderCreate: {
    request: { order_id: '6f0c2a6e-3f0b-4c55-9f5e-0d3f6f1c7a10', user_id: customerId, order: [{ sku: 'MUG-BLUE', quantity: 2 }] },
    reply: standing,
  },
  orderStatus: { request: { order_id: orderId }, reply: standing },
  orderStatusUpdate: {
    request: { order_id: orderId, status: 'CANCELLED', reason: 'changed my mind' },
    reply: {
      ...{ status: 'SUCCESS', order_id: orderId, order_status: 'CANCELLED', version: 2 },
      ...{ message: 'Order cancelled.', code: 'REQUESTED' },
    },
  },
};
