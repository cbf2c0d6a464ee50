import { z } from 'zod';

/** Where an order stands, as callers and listeners are told. */
export const orderStatus = z.enum(['PENDING', 'RESERVED', 'CONFIRMED', 'FULFILLED', 'CANCELLED']);
export type OrderStatus = z.infer<typeof orderStatus>;

/** The same for people, at every door. */
export const statusInWords: Record<OrderStatus, string> = {
  PENDING: 'Order received. Inventory check in progress.',
  RESERVED: 'Every item is reserved. Payment in progress.',
  CONFIRMED: 'Order confirmed. Every item is reserved.',
  FULFILLED: 'Order fulfilled. The goods are on their way.',
  CANCELLED: 'Order cancelled.',
};

/** How an order is paid through the shop: not at all, or from its customer's balance before it is confirmed. */
export const paymentMethod = z.enum(['NONE', 'BALANCE']);
export type PaymentMethod = z.infer<typeof paymentMethod>;
