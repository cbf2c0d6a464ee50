import { z } from 'zod';

import { declineCode, freeText, minorUnits, orderId, productId, quantity, rejectionCode, requestedOrder, text } from './events';
import { orderStatus } from './orderStatus';

/** A question and its answer. It is asked in a queue of its own; what else it takes to be answered stands in AMQP's `reply_to` and `correlation_id`. */
export interface Rpc<Request extends z.ZodType = z.ZodType, Reply extends z.ZodType = z.ZodType> {
  queue: string;
  request: Request;
  reply: Reply;
}
export type RequestOf<R extends Rpc> = z.infer<R['request']>;
export type ReplyOf<R extends Rpc> = z.infer<R['reply']>;

/** How an order stands, in the three words of those who ask by RPC: under way, good, or nothing came of it. */
export const outwardStatus = z.enum(['PROCESSING', 'SUCCESS', 'FAILED']);
export type OutwardStatus = z.infer<typeof outwardStatus>;

/** What is asked of orders is answered by how the order stands, or by why it could not be done. */
const orderReply = z.object({
  status: outwardStatus,
  order_id: z.string().describe('Our id of the order; the one that was asked for when there is none'),
  reference: z.string().optional().describe("The asker's own id of the order that it asked to place"),
  order_status: orderStatus.optional().describe('How it stands in our own words; absent when there is no order'),
  version: z.int().optional(),
  message: z.string(),
  code: z.string().optional().describe('Why it was cancelled, or not done'),
  fields: z.array(z.object({ path: z.string(), code: z.string(), message: z.string() })).optional(),
});

/** A line of a stock check; `code` says what stands in its way, and its absence that nothing does. */
const checkedLine = z.object({
  product_id: z.int(),
  requested: z.int(),
  available: z.int().min(0),
  code: rejectionCode.optional(),
});

export type CheckedLine = z.infer<typeof checkedLine>;

/** Every question that can be asked over AMQP, once. Fields that are not known are ignored, in questions and in answers. */
export const rpcs = {
  stockCheck: {
    queue: 'product_stock_check',
    request: z
      .looseObject({
        items: z
          .array(z.looseObject({ product_id: productId, quantity: quantity.optional() }))
          .min(1)
          .max(1_000),
      })
      .describe('Could these lines be had at this moment? Holds nothing: only an order does.'),
    reply: z.object({ status: outwardStatus.exclude(['PROCESSING']), items: z.array(checkedLine) }),
  },
  stockUpdate: {
    queue: 'product_stock_update',
    request: z
      .looseObject({
        product_id: productId,
        on_hand: z.int(),
        compare_on_hand: z.int(),
        reason: z.enum(['RECEIVED', 'RETURNED', 'CORRECTION', 'DAMAGED', 'LOST', 'OTHER']).default('OTHER'),
        reference: text(200).optional(),
      })
      .describe(
        'Sets the units on hand to a count, if they still are what the asker believed: so that asking twice changes them once.',
      ),
    reply: z.object({
      status: outwardStatus.exclude(['PROCESSING']),
      product_id: z.int(),
      on_hand: z.int().optional(),
      reserved: z.int().optional(),
      available: z.int().optional(),
      message: z.string(),
      code: z.string().optional(),
    }),
  },
  userCheck: {
    queue: 'user_check',
    request: z
      .looseObject({ user_id: text(100), amount: minorUnits.default(0) })
      .describe(
        'Is there an account of this customer, and could it pay `amount` at this moment? Takes nothing and holds nothing: only an order does.',
      ),
    reply: z.object({
      status: outwardStatus.exclude(['PROCESSING']),
      user_id: z.string(),
      balance: z.int().min(0).optional().describe('In minor units of `currency`; both are absent when there is no account'),
      currency: z.string().optional(),
      message: z.string(),
      code: declineCode.exclude(['EXPIRED']).optional(),
    }),
  },
  orderCreate: {
    queue: 'order_create',
    request: z
      .looseObject({ order_id: orderId, user_id: text(100), ...requestedOrder })
      .describe("Places an order; the asker's own id of it is its idempotency key, as in OrderRequested."),
    reply: orderReply,
  },
  orderStatus: {
    queue: 'order_status',
    request: z.looseObject({ order_id: orderId }).describe('How does an order stand?'),
    reply: orderReply,
  },
  orderStatusUpdate: {
    queue: 'order_status_update',
    request: z
      .looseObject({ order_id: orderId, status: z.enum(['CANCELLED', 'FULFILLED']), reason: freeText.optional() })
      .describe('Cancels or fulfils an order.'),
    reply: orderReply,
  },
} as const satisfies Record<string, Rpc>;

export const rpcRefusal = z
  .looseObject({ error: z.looseObject({ code: z.enum(['BAD_REQUEST', 'UNAVAILABLE', 'INTERNAL']), message: z.string() }) })
  .describe('The answer to what could not be answered. BAD_REQUEST: it never can be. The others: ask again later.');
export type RpcRefusalCode = z.infer<typeof rpcRefusal>['error']['code'];
