import { ArgsType, createUnionType, Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';

import { statusInWords } from '../contracts';
import { Connection, Edge, ErrorCode, ErrorResult, Money, newsCursor, Timestamp, ValidationError } from '../graphql';
import { UpdateRejectedError, UpdateRejection } from './amendmentSchema';
import { type CloseOrderResult } from './closeOrder';
import { type CreateOrderResult } from './createOrder';
import { type OrderNews } from './followOrders';
import { type OrderView, type TimelineEntry } from './readOrders';
import { refusalOf, refusals, type OrderRefusal } from './refusals';
import { CancellationReason, toRejectedLine } from './rejectionSchema';
import { type UpdateOrderResult } from './updateOrder';

export enum OrderStatus {
  PENDING = 'PENDING',
  RESERVED = 'RESERVED',
  CONFIRMED = 'CONFIRMED',
  FULFILLED = 'FULFILLED',
  CANCELLED = 'CANCELLED',
}

registerEnumType(OrderStatus, {
  name: 'OrderStatus',
  description:
    'PENDING becomes CONFIRMED or CANCELLED, within the deadline, with a payment by way of RESERVED; CONFIRMED may become FULFILLED or CANCELLED.',
  valuesConfig: {
    PENDING: { description: 'Received and safe; inventory has not decided yet.' },
    RESERVED: { description: 'Every line is reserved; the payment is being taken.' },
    CONFIRMED: { description: 'Every line is reserved, and paid where a payment was asked for.' },
    FULFILLED: { description: 'The goods have left the house.' },
    CANCELLED: { description: 'Nothing is reserved; `reason` says why.' },
  },
});

export enum PaymentMethod {
  NONE = 'NONE',
  BALANCE = 'BALANCE',
}

registerEnumType(PaymentMethod, {
  name: 'PaymentMethod',
  description: 'How an order is paid through the shop.',
  valuesConfig: {
    NONE: { description: "Not at all: payment is somebody else's business." },
    BALANCE: {
      description: "From the customer's balance, before it is confirmed; it is given back when the order is cancelled.",
    },
  },
});

export enum OrderSort {
  NEWEST_FIRST = 'NEWEST_FIRST',
  OLDEST_FIRST = 'OLDEST_FIRST',
}

registerEnumType(OrderSort, {
  name: 'OrderSort',
  description: 'In what order orders are listed.',
  valuesConfig: {
    NEWEST_FIRST: { description: 'What was placed last comes first.' },
    OLDEST_FIRST: { description: 'What was placed first comes first.' },
  },
});

/** Which orders are listed, and how. */
@ArgsType()
export class OrderFilterArgs {
  @Field(() => String, { nullable: true, description: 'Only of this customer.' })
  customerId?: string | null;

  @Field(() => OrderStatus, { nullable: true, description: 'Only in this status.' })
  status?: OrderStatus | null;

  @Field(() => Timestamp, { nullable: true, description: 'Only those placed at this moment or later.' })
  createdFrom?: Date | null;

  @Field(() => Timestamp, { nullable: true, description: 'Only those placed before this moment.' })
  createdBefore?: Date | null;

  @Field(() => OrderSort, { defaultValue: OrderSort.NEWEST_FIRST, description: 'In what order.' })
  sort!: OrderSort;
}

@ObjectType({ description: 'One line of an order.' })
export class OrderItem {
  @Field(() => Int, { description: 'The product.' })
  productId!: number;

  @Field(() => Int, { description: 'Units ordered.' })
  quantity!: number;

  @Field(() => Money, { nullable: true, description: 'The price of one, as taken at reservation; null before.' })
  unitPrice!: Money | null;
}

@ObjectType({ description: 'One step of the life of an order.' })
export class TimelineStep {
  @Field(() => String, {
    description: 'Where it stands among the steps of all orders: give it as `after` to `orderChanged` to hear what came next.',
  })
  cursor!: string;

  @Field(() => Int, { description: 'The version of the order that this step made; the first is 1.' })
  version!: number;

  @Field(() => String, {
    description:
      'What happened: OrderCreated, StockReserved, StockRejected, StockAmended, PaymentCaptured, PaymentDeclined, PaymentRefunded, CancelOrder, ExpireOrder, FulfilOrder.',
  })
  event!: string;

  @Field(() => OrderStatus, { nullable: true, description: 'The status before; null for the first step.' })
  fromStatus!: string | null;

  @Field(() => OrderStatus, { description: 'The status after.' })
  toStatus!: string;

  @Field(() => String, { nullable: true, description: 'More, for people.' })
  detail!: string | null;

  @Field(() => Timestamp, { description: "When, by the database's clock." })
  at!: Date;

  static of({ position, ...same }: TimelineEntry): TimelineStep {
    return Object.assign(new TimelineStep(), same, { cursor: newsCursor('step', position) });
  }
}

@ObjectType({ description: 'An order. Once acknowledged it is never lost, and reaches a decision within its deadline.' })
export class Order {
  @Field(() => ID, { description: 'The id that also stands in events and logs.' })
  id!: string;

  @Field(() => String, { description: 'Whose order it is.' })
  customerId!: string;

  @Field(() => OrderStatus, { description: 'Where it stands.' })
  status!: string;

  @Field(() => PaymentMethod, { description: 'How it is paid.' })
  payment!: string;

  @Field(() => Int, { description: 'Counts the changes of this order.' })
  version!: number;

  @Field(() => [OrderItem], { description: 'The lines; a product ordered twice is one line.' })
  items!: OrderItem[];

  @Field(() => Money, { nullable: true, description: 'What it costs; null until its stock was reserved.' })
  total!: Money | null;

  @Field(() => CancellationReason, { nullable: true, description: 'Why it was cancelled; null unless it was.' })
  reason!: CancellationReason | null;

  @Field(() => String, { description: 'What to tell the customer, such as "Order received. Inventory check in progress."' })
  message!: string;

  @Field(() => Timestamp, { description: 'When it was placed.' })
  createdAt!: Date;

  @Field(() => Timestamp, { description: 'When it changed last.' })
  updatedAt!: Date;

  static of(view: OrderView): Order {
    const { currency, items, total, reason, ...same } = view;
    return Object.assign(new Order(), same, {
      items: items.map((item) => ({ ...item, unitPrice: moneyOrNull(item.unitPrice, currency) })),
      total: moneyOrNull(total, currency),
      reason: reason && {
        ...reason,
        lines: reason.lines.map(toRejectedLine),
      },
      message: statusInWords[view.status],
    });
  }
}

function moneyOrNull(minorUnits: number | null, currency: string): Money | null {
  return minorUnits === null ? null : Money.of(minorUnits, currency);
}

@ObjectType({ description: 'A step of the life of an order, told to who follows it.' })
export class OrderChange {
  @Field(() => String, { description: 'Give the last one as `after` to go on from here, at whichever gateway.' })
  cursor!: string;

  @Field(() => TimelineStep, { description: 'What happened. Each step is told once, and those of one order in their order.' })
  step!: TimelineStep;

  @Field(() => Order, {
    description: 'The order as it is by now: when steps follow one another fast, it may be further than `step`.',
  })
  order!: Order;

  /** What belongs to orders that are told of together is read together. */
  together!: WeakRef<object>;

  static of({ step, order, together }: OrderNews): OrderChange {
    const told = TimelineStep.of(step);
    return Object.assign(new OrderChange(), { cursor: told.cursor, step: told, order: Order.of(order), together });
  }
}

@ArgsType()
export class OrderChangedArgs {
  @Field(() => ID, { nullable: true, description: 'Only this order. Without `after` it begins with its latest step.' })
  id?: string | null;

  @Field(() => String, { nullable: true, description: 'Only of this customer; a customer hears of its own alone.' })
  customerId?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'The `cursor` that was had last: what came after it is told first. Without, from now.',
  })
  after?: string | null;
}

@InputType({ description: 'A line to order: a product by id or by sku, exactly one of the two, and how many.' })
export class OrderItemInput {
  @Field(() => Int, { nullable: true, description: 'The product by id.' })
  productId?: number | null;

  @Field(() => String, { nullable: true, description: 'The product by sku.' })
  sku?: string | null;

  @Field(() => Int, { description: 'Units, at least 1.' })
  quantity!: number;
}

@InputType({ description: 'An order to place.' })
export class CreateOrderInput {
  @Field(() => String, { description: 'Whose order it is, 1 to 100 characters.' })
  customerId!: string;

  @Field(() => [OrderItemInput], { description: '1 to 100 lines. All of them are reserved, or none.' })
  items!: OrderItemInput[];

  @Field(() => PaymentMethod, { nullable: true, description: 'How it is to be paid; NONE unless given.' })
  payment?: string | null;

  @Field(() => String, {
    nullable: true,
    description:
      'Makes repeating safe: the same key with the same lines and payment gets the same order, with others a conflict. Per customer, for ever, up to 200 characters. The header Idempotency-Key does the same.',
  })
  idempotencyKey?: string | null;
}

@ObjectType({
  implements: ErrorResult,
  description: 'The idempotency key was used before, for other lines or another payment; nothing was ordered.',
})
export class IdempotencyConflictError extends ErrorResult {
  @Field(() => ID, { description: 'The order that the key belongs to.' })
  orderId!: string;
}

@ObjectType({
  implements: ErrorResult,
  description:
    'Too many orders wait to be decided, so no more are taken for now; nothing was ordered. Try again, under the same key.',
})
export class BusyError extends ErrorResult {
  @Field(() => Int, { description: 'When to try again.' })
  retryAfterSeconds!: number;
}

@ObjectType({ implements: ErrorResult, description: 'There is no such order.' })
export class UnknownOrderError extends ErrorResult {
  @Field(() => ID, { description: 'The id that was asked for.' })
  orderId!: string;
}

@ObjectType({ implements: ErrorResult, description: "The order's status does not allow this; nothing was changed." })
export class OrderStateError extends ErrorResult {
  @Field(() => ID, { description: 'The order.' })
  orderId!: string;

  @Field(() => OrderStatus, { description: 'Where it stands.' })
  status!: string;
}

@ObjectType({ implements: ErrorResult, description: 'The order is not at the expected version; nothing was changed.' })
export class OrderVersionError extends ErrorResult {
  @Field(() => ID, { description: 'The order.' })
  orderId!: string;

  @Field(() => Int, { description: 'The version it is at.' })
  version!: number;
}

export const CreateOrderResultUnion = createUnionType({
  name: 'CreateOrderResult',
  description: 'The order as received (PENDING; inventory decides within moments), or why it was refused.',
  types: () => [Order, ValidationError, IdempotencyConflictError, BusyError] as const,
});

export const CloseOrderResultUnion = createUnionType({
  name: 'CloseOrderResult',
  description: 'The order as it is now, or why it was refused.',
  types: () => [Order, UnknownOrderError, OrderStateError] as const,
});

export const UpdateOrderResultUnion = createUnionType({
  name: 'UpdateOrderResult',
  description: 'The order with its new lines, or with an `amendment` that is still PENDING; or why it was refused.',
  types: () => [Order, ValidationError, UnknownOrderError, OrderStateError, OrderVersionError, UpdateRejectedError] as const,
});

@ObjectType({ description: 'An order in a list.' })
export class OrderEdge extends Edge(Order) {}

@ObjectType({ description: 'A page of orders, newest first.' })
export class OrderConnection extends Connection(Order, OrderEdge) {}

/** Outcomes of the use cases in the words of the schema. */
export function toCreateOrderResult(result: CreateOrderResult): typeof CreateOrderResultUnion {
  switch (result.type) {
    case 'placed':
      return Order.of(result.order);
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'key-conflict':
      return told(new IdempotencyConflictError(), refusalOf(result));
    case 'busy': {
      const { retryAfterSeconds } = result;
      const message = refusals.busy(retryAfterSeconds);
      return Object.assign(new BusyError(), { code: ErrorCode.BUSY, message, retryAfterSeconds });
    }
    default:
      return result satisfies never;
  }
}

export function toCloseOrderError(
  result: Exclude<CloseOrderResult, { type: 'done' }>,
  verb: 'cancelled' | 'fulfilled',
): UnknownOrderError | OrderStateError {
  const refusal = refusalOf(result, verb);
  return result.type === 'unknown-order' ? told(new UnknownOrderError(), refusal) : told(new OrderStateError(), refusal);
}

export function toUpdateOrderResult(result: UpdateOrderResult): typeof UpdateOrderResultUnion {
  switch (result.type) {
    case 'updated':
    case 'under-way':
      return Order.of(result.order);
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'unknown-order':
      return told(new UnknownOrderError(), refusalOf(result));
    case 'refused':
    case 'paid':
    case 'amending':
      return told(new OrderStateError(), refusalOf(result));
    case 'version-moved':
      return told(new OrderVersionError(), refusalOf(result));
    case 'rejected': {
      // The code of the other doors stands in `reason`, which has a type of its own here.
      const error = told(new UpdateRejectedError(), { ...refusalOf(result), code: ErrorCode.UPDATE_REJECTED });
      return Object.assign(error, { reason: UpdateRejection.of(result.reason) });
    }
    default:
      return result satisfies never;
  }
}

function told<Refusal extends ErrorResult>(error: Refusal, { code, message, orderId, status, version }: OrderRefusal): Refusal {
  const facts = { ...(status && { status }), ...(version !== undefined && { version }) };
  return Object.assign(error, { code: code as ErrorCode, message, orderId, ...facts });
}
