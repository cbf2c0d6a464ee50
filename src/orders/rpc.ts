import { inputRefusal, rpcs, statusInWords, type OutwardStatus, type ReplyOf } from '../contracts';
import { answering, type RpcService } from '../messaging';
import { Unavailable } from '../observability';
import { type CloseOrderResult } from './closeOrder';
import { type CreateOrderResult } from './createOrder';
import { inTheirWords, wishOf } from './newOrders';
import { type OrderStatus } from './order';
import { type PlaceOrders } from './placeOrders';
import { type OrderView } from './readOrders';
import { refusalOf, refusals } from './refusals';

export interface OrdersRpcOptions {
  place: PlaceOrders;
  find: (ids: string[]) => Promise<OrderView[]>;
  cancel: (orderId: string, message?: string) => Promise<CloseOrderResult>;
  fulfil: (orderId: string) => Promise<CloseOrderResult>;
}

/** What orders answer over the broker, by the use cases that the other doors call. */
export function ordersRpc({ place, find, cancel, fulfil }: OrdersRpcOptions): RpcService[] {
  const standing = async (orderId: string): Promise<OrderReply> => {
    const [order] = await find([orderId]);
    return order ? replyFor(order) : refused(orderId, { type: 'unknown-order', orderId });
  };
  return [
    answering(rpcs.orderCreate, async (request, correlationId) => {
      const [result] = await place([wishOf(request)], correlationId);
      return created(result!, request.order_id);
    }),
    answering(rpcs.orderStatus, ({ order_id: orderId }) => standing(orderId)),
    answering(rpcs.orderStatusUpdate, async ({ order_id: orderId, status, reason }) => {
      const result = status === 'CANCELLED' ? await cancel(orderId, reason) : await fulfil(orderId);
      if (result.type !== 'done') return refused(orderId, result, status === 'CANCELLED' ? 'cancelled' : 'fulfilled');
      // What was asked for is done, though a cancelled order is nothing that anybody would call a success.
      return { ...(await standing(orderId)), status: 'SUCCESS' as const };
    }),
  ];
}

type OrderReply = ReplyOf<typeof rpcs.orderStatus>;

/** Their three words for our statuses, at this door only. */
const outward: Record<OrderStatus, OutwardStatus> = {
  PENDING: 'PROCESSING',
  RESERVED: 'PROCESSING',
  CONFIRMED: 'SUCCESS',
  FULFILLED: 'SUCCESS',
  CANCELLED: 'FAILED',
};

function replyFor({ id, status, version, reason }: OrderView): OrderReply {
  const why = reason ? { code: reason.code, message: reason.message } : { message: statusInWords[status] };
  return { status: outward[status], order_id: id, order_status: status, version, ...why };
}

function created(result: CreateOrderResult, reference: string): OrderReply {
  switch (result.type) {
    case 'placed':
      return { ...replyFor(result.order), reference };
    case 'invalid': {
      const fields = result.fields.map((fault) => ({ ...fault, path: inTheirWords(fault.path) }));
      return { ...failed(reference), code: 'VALIDATION_FAILED', message: inputRefusal(fields), fields };
    }
    case 'key-conflict':
      return refused(reference, result);
    case 'busy':
      // Not FAILED, which is for ever: this passes.
      throw new Unavailable(refusals.busy(result.retryAfterSeconds), result);
    default:
      return result satisfies never;
  }
}

/** `orderId`: as the asker calls it. */
function refused(orderId: string, ...refusal: Parameters<typeof refusalOf>): OrderReply {
  const { code, message, status: order_status } = refusalOf(...refusal);
  return { ...failed(orderId), ...(order_status && { order_status }), code, message };
}

function failed(orderId: string) {
  return { status: 'FAILED' as const, order_id: orderId };
}
