import { inputRefusal, rpcs, statusInWords, type OutwardStatus, type ReplyOf } from '../contracts';
import { answering, type RpcService } from '../messaging';
import { Unavailable } from '../observability';
import { type CloseOrderResult } from './closeOrder';
import { type CreateOrderResult } from './createOrder';
import { inTheirWords, wishOf } from './newOrders';
import { type OrderStatus } from './order';
import { type PlaceOrders } from './placeOrders';
import { type OrderView } from './readOrders';
import { refusals } from './refusals';

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
    return order ? replyFor(order) : unknown(orderId);
  };
  return [
    answering(rpcs.orderCreate, async (request, correlationId) => {
      const [result] = await place([wishOf(request)], correlationId);
      return created(result!, request.order_id);
    }),
    answering(rpcs.orderStatus, ({ order_id: orderId }) => standing(orderId)),
    answering(rpcs.orderStatusUpdate, async ({ order_id: orderId, status, reason }) => {
      const result = status === 'CANCELLED' ? await cancel(orderId, reason) : await fulfil(orderId);
      if (result.type !== 'refused') return standing(orderId);
      const message = refusals.wrongStatus(orderId, result.status, status.toLowerCase());
      return { ...failed(orderId), order_status: result.status, code: 'ORDER_STATE_CONFLICT', message };
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
    case 'key-conflict': {
      const message = refusals.keyConflict(result.orderId, reference);
      return { ...failed(reference), code: 'IDEMPOTENCY_CONFLICT', message };
    }
    case 'busy':
      // Not FAILED, which is for ever: this passes.
      throw new Unavailable(refusals.busy(result.retryAfterSeconds), result);
    default:
      return result satisfies never;
  }
}

function unknown(orderId: string): OrderReply {
  return { ...failed(orderId), code: 'UNKNOWN_ORDER', message: refusals.unknownOrder(orderId) };
}

function failed(orderId: string) {
  return { status: 'FAILED' as const, order_id: orderId };
}
