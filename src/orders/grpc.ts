import { statusInWords, type RejectedLine } from '../contracts';
import { demandOwn, ownerOf } from '../identity';
import { GrpcRefusal, invalidArgument, type GrpcMethod, type GrpcRequest, type GrpcStatus } from '../grpc';
import { type OrdersContext } from './context';
import { type CreateOrderResult } from './createOrder';
import { type WishedItem } from './nameProducts';
import { type OrderView } from './readOrders';
import { refusalOf, refusals } from './refusals';
import { type UpdateOrderResult } from './updateOrder';

/** The gRPC door of the orders context: proto/holdfast/v1/orders.proto. */
export function orderMethods(orders: OrdersContext): GrpcMethod[] {
  const of = { service: 'holdfast.v1.Orders', access: 'known', kind: 'unary' } as const;
  return [
    { ...of, name: 'PlaceOrder', answer: (request: GrpcRequest<PlaceOrder>) => place(orders, request) },
    { ...of, name: 'UpdateOrder', answer: (request: GrpcRequest<UpdateOrder>) => update(orders, request) },
    { ...of, name: 'CancelOrder', answer: (request: GrpcRequest<CancelOrder>) => cancel(orders, request) },
    { ...of, name: 'GetOrder', answer: (request: GrpcRequest<OneOrder>) => find(orders, request) },
    { ...of, name: 'WatchOrder', kind: 'stream', answers: (request: GrpcRequest<OneOrder>) => watch(orders, request) },
  ];
}

interface OneOrder {
  orderId: string;
}

interface PlaceOrder {
  customerId: string;
  items: WishedItem[];
  idempotencyKey?: string;
  payment?: string;
}

interface UpdateOrder extends OneOrder {
  items: WishedItem[];
  expectedVersion?: number;
}

interface CancelOrder extends OneOrder {
  message?: string;
}

async function place(orders: OrdersContext, { message, context }: GrpcRequest<PlaceOrder>): Promise<object> {
  const { customerId, items, idempotencyKey = context.idempotencyKey, payment } = message;
  demandOwn(context.caller, customerId);
  const [result] = await orders.place([{ customerId, items, idempotencyKey, payment }], context.correlationId);
  return toPlaced(result!);
}

function toPlaced(result: CreateOrderResult): object {
  switch (result.type) {
    case 'placed':
      return { order: toOrder(result.order), repeated: result.repeated };
    case 'invalid':
      throw invalidArgument(result.fields);
    case 'key-conflict':
      throw refused(result);
    case 'busy': {
      const { retryAfterSeconds } = result;
      throw new GrpcRefusal('UNAVAILABLE', 'BUSY', refusals.busy(retryAfterSeconds), { retryAfterSeconds });
    }
    default:
      return result satisfies never;
  }
}

async function update(orders: OrdersContext, { message, context, signal }: GrpcRequest<UpdateOrder>): Promise<object> {
  const { orderId, items, expectedVersion } = message;
  return toUpdated(
    await orders.update({ orderId, items, expectedVersion }, context.correlationId, signal, ownerOf(context.caller)),
  );
}

function toUpdated(result: UpdateOrderResult): object {
  switch (result.type) {
    case 'updated':
    case 'under-way':
      return { order: toOrder(result.order), underWay: result.type === 'under-way' };
    case 'invalid':
      throw invalidArgument(result.fields);
    default:
      throw refused(result);
  }
}

async function cancel(orders: OrdersContext, request: GrpcRequest<CancelOrder>): Promise<object> {
  const { orderId, message } = request.message;
  const result = await orders.cancel(orderId, message, ownerOf(request.context.caller));
  if (result.type !== 'done') throw refused(result, 'cancelled');
  return find(orders, request);
}

async function find(orders: OrdersContext, { message: { orderId }, context }: GrpcRequest<OneOrder>): Promise<object> {
  const [view] = await orders.find([orderId], ownerOf(context.caller));
  if (!view) throw unknownOrder(orderId);
  return toOrder(view);
}

async function* watch(
  orders: OrdersContext,
  { message: { orderId }, context, signal }: GrpcRequest<OneOrder>,
): AsyncGenerator<object> {
  let isKnown = false;
  for await (const view of orders.watch(orderId, signal, ownerOf(context.caller))) {
    isKnown = true;
    yield toOrder(view);
  }
  if (!isKnown && !signal.aborted) throw unknownOrder(orderId);
}

function unknownOrder(orderId: string): GrpcRefusal {
  return refused({ type: 'unknown-order', orderId });
}

function refused(...refusal: Parameters<typeof refusalOf>): GrpcRefusal {
  const { code, message, orderId, status, version, lines } = refusalOf(...refusal);
  const facts = { orderId, ...(status && { status }), ...(version !== undefined && { version: String(version) }) };
  return new GrpcRefusal(statuses[code] ?? 'FAILED_PRECONDITION', code, message, { facts, violations: lines?.map(toViolation) });
}

/** ABORTED: look again, and the same call or another may succeed. Else it is the order that does not allow it. */
const statuses: Record<string, GrpcStatus | undefined> = {
  UNKNOWN_ORDER: 'NOT_FOUND',
  IDEMPOTENCY_CONFLICT: 'ALREADY_EXISTS',
  ORDER_VERSION_CONFLICT: 'ABORTED',
  UPDATE_UNDER_WAY: 'ABORTED',
};

function toViolation({ code, product_id, requested, available }: RejectedLine) {
  return { type: code, subject: `product ${product_id}`, description: `${requested} requested, ${available} available` };
}

function toOrder({ currency, items, total, reason, createdAt, updatedAt, status, ...same }: OrderView): object {
  const money = (minorUnits: number | null) => (minorUnits === null ? null : { minorUnits, currency });
  return {
    ...same,
    ...{ status: `ORDER_STATUS_${status}`, message: statusInWords[status], total: money(total) },
    items: items.map((item) => ({ ...item, unitPrice: money(item.unitPrice) })),
    reason: reason && { ...reason, lines: reason.lines.map((line) => ({ ...line, productId: line.product_id })) },
    ...{ createdAt: toTimestamp(createdAt), updatedAt: toTimestamp(updatedAt) },
  };
}

function toTimestamp(date: Date) {
  const ms = date.getTime();
  return { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 };
}
