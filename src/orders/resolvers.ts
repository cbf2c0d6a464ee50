import DataLoader from 'dataloader';
import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';

import { Allow, badInput, PageArgs, pageOf } from '../graphql';
import { demandOwn, ownerOf } from '../identity';
import { type RequestContext } from '../observability';
import { Amendment, UpdateOrderInput } from './amendmentSchema';
import { type CloseOrderResult } from './closeOrder';
import { type OrdersContext } from './context';
import { ORDERS_PER_CALL_MAX } from './idempotencyKeys';
import {
  CloseOrderResultUnion,
  CreateOrderInput,
  CreateOrderResultUnion,
  Order,
  OrderConnection,
  OrderStatus,
  TimelineStep,
  toCloseOrderError,
  toCreateOrderResult,
  toUpdateOrderResult,
  UpdateOrderResultUnion,
} from './schema';

/** The GraphQL door of the orders context: each field parses, calls a use case and maps its outcome. */
@Resolver(() => Order)
export class OrderResolver {
  constructor(private readonly orders: OrdersContext) {}

  @Allow('known')
  @Query(() => Order, { nullable: true, description: 'An order by its id; null when there is none.' })
  async order(
    @Arg('id', () => ID, { description: 'The id of the order.' }) id: string,
    @Ctx() { caller }: RequestContext,
  ): Promise<Order | null> {
    const [view] = await this.orders.find([id], ownerOf(caller));
    return view ? Order.of(view) : null;
  }

  @Allow('known')
  @Query(() => OrderConnection, { name: 'orders', description: 'Orders, newest first.' })
  listOrders(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { caller }: RequestContext,
    @Arg('customerId', () => String, { nullable: true, description: 'Only of this customer.' }) customerId?: string | null,
    @Arg('status', () => OrderStatus, { nullable: true, description: 'Only in this status.' }) status?: OrderStatus | null,
  ): Promise<OrderConnection> {
    const owner = ownerOf(caller);
    const read = (first: number, after?: string) => this.orders.list({ customerId, status, owner }, first, after);
    return pageOf(
      page,
      read,
      (order) => order.id,
      (order) => Order.of(order),
    );
  }

  @Allow('known')
  @Mutation(() => CreateOrderResultUnion, {
    description: 'Places an order. It is PENDING and safe when this answers; it is CONFIRMED or CANCELLED moments later.',
  })
  async createOrder(
    @Arg('input', () => CreateOrderInput, { description: 'What to order, and for whom.' }) input: CreateOrderInput,
    @Ctx() context: RequestContext,
  ) {
    const withKey = { ...input, idempotencyKey: input.idempotencyKey ?? context.idempotencyKey };
    const [result] = await this.place([withKey], context);
    return result!;
  }

  @Allow('known')
  @Mutation(() => [CreateOrderResultUnion], {
    description: `Places up to ${ORDERS_PER_CALL_MAX} orders; each is accepted or refused by itself, and answered in its place. With the header Idempotency-Key the whole call can be repeated.`,
  })
  async createOrders(
    @Arg('inputs', () => [CreateOrderInput], { description: 'The orders, each with a key of its own.' })
    inputs: CreateOrderInput[],
    @Ctx() context: RequestContext,
  ) {
    if (inputs.length > ORDERS_PER_CALL_MAX) {
      throw badInput('inputs', `inputs holds ${inputs.length} orders; at most ${ORDERS_PER_CALL_MAX} are taken at once.`);
    }
    const { idempotencyKey: key } = context;
    const withKeys = inputs.map((input, index) => ({ ...input, ...(key !== undefined && { callKey: { key, index } }) }));
    return this.place(withKeys, context);
  }

  @Allow('known')
  @Mutation(() => UpdateOrderResultUnion, {
    description:
      'Changes the quantities of a CONFIRMED order without a payment. Only the difference of stock moves, all of it or nothing. Waits a few seconds for inventory; an order that is answered with a PENDING `amendment` is decided later. Repeating it is safe.',
  })
  async updateOrder(
    @Arg('input', () => UpdateOrderInput, { description: 'Which order, and the new quantities.' }) input: UpdateOrderInput,
    @Ctx() { correlationId, caller }: RequestContext,
  ) {
    return toUpdateOrderResult(await this.orders.update(input, correlationId, undefined, ownerOf(caller)));
  }

  @Allow('known')
  @Mutation(() => CloseOrderResultUnion, {
    description:
      'Cancels an order that is PENDING, RESERVED or CONFIRMED, releases its stock and gives back its payment. Repeating it is safe.',
  })
  async cancelOrder(
    @Arg('orderId', () => ID, { description: 'The order.' }) orderId: string,
    @Ctx() { caller }: RequestContext,
    @Arg('message', () => String, { nullable: true, description: 'Why, for people; its first 500 characters are kept.' })
    message?: string | null,
  ) {
    return this.closed(await this.orders.cancel(orderId, message ?? undefined, ownerOf(caller)), 'cancelled');
  }

  @Allow('staff')
  @Mutation(() => CloseOrderResultUnion, {
    description: 'Marks a CONFIRMED order as FULFILLED: its goods have left the house. Repeating it is safe.',
  })
  async fulfilOrder(@Arg('orderId', () => ID, { description: 'The order.' }) orderId: string) {
    return this.closed(await this.orders.fulfil(orderId), 'fulfilled');
  }

  @FieldResolver(() => [TimelineStep], { description: 'What happened to it, step by step.' })
  async timeline(@Root() order: Order, @Ctx() context: RequestContext): Promise<TimelineStep[]> {
    return (await this.timelines.of(context).load(order.id)) ?? [];
  }

  @FieldResolver(() => Amendment, {
    nullable: true,
    description: 'The latest update of its quantities; null when there was none.',
  })
  async amendment(@Root() order: Order, @Ctx() context: RequestContext): Promise<Amendment | null> {
    const view = await this.amendments.of(context).load(order.id);
    return view ? Amendment.of(view) : null;
  }

  private async place(inputs: CreateOrderInput[], { correlationId, caller }: RequestContext) {
    for (const { customerId } of inputs) demandOwn(caller, customerId);
    const results = await this.orders.place(inputs, correlationId);
    return results.map(toCreateOrderResult);
  }

  private async closed(result: CloseOrderResult, verb: 'cancelled' | 'fulfilled') {
    if (result.type !== 'done') return toCloseOrderError(result, verb);
    const [view] = await this.orders.find([result.orderId]);
    return Order.of(view!);
  }

  private readonly timelines = perRequest((ids) => this.orders.timelines(ids));
  private readonly amendments = perRequest((ids) => this.orders.amendments(ids));
}

/** One query for all orders of a request, however many it lists. */
function perRequest<Found>(read: (orderIds: string[]) => Promise<Map<string, Found>>) {
  const loaders = new WeakMap<RequestContext, DataLoader<string, Found | undefined>>();
  return {
    of(context: RequestContext): DataLoader<string, Found | undefined> {
      const known = loaders.get(context);
      if (known) return known;
      const loader = new DataLoader<string, Found | undefined>(async (ids) => {
        const found = await read([...ids]);
        return ids.map((id) => found.get(id));
      });
      loaders.set(context, loader);
      return loader;
    },
  };
}
