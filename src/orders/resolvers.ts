import DataLoader from 'dataloader';
import { Arg, Args, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root, Subscription } from 'type-graphql';

import { afterOf, Allow, badInput, followed, PageArgs, pageOf, resolverIn } from '../graphql';
import { demandOwn, ownerOf } from '../identity';
import { type RequestContext } from '../observability';
import { Amendment, UpdateOrderInput } from './amendmentSchema';
import { DECISION_WAIT_MAX_MS } from './awaitDecision';
import { type CloseOrderResult } from './closeOrder';
import { type OrdersContext } from './context';
import { ORDERS_PER_CALL_MAX } from './idempotencyKeys';
import { refusals } from './refusals';
import {
  CloseOrderResultUnion,
  CreateOrderInput,
  CreateOrderResultUnion,
  Order,
  OrderChange,
  OrderChangedArgs,
  OrderConnection,
  OrderFilterArgs,
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
  @Query(() => OrderConnection, { name: 'orders', description: 'Orders, newest first unless asked otherwise.' })
  listOrders(
    @Args(() => PageArgs) page: PageArgs,
    @Args(() => OrderFilterArgs) filter: OrderFilterArgs,
    @Ctx() { caller }: RequestContext,
  ): Promise<OrderConnection> {
    const owner = ownerOf(caller);
    const read = (first: number, after?: string) => this.orders.list({ ...filter, owner }, first, after);
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
    @Arg('waitFor', () => Int, {
      nullable: true,
      description: `For how many milliseconds to wait for the decision, up to ${DECISION_WAIT_MAX_MS}: then the answer is CONFIRMED or CANCELLED where it was decided in time, and PENDING or RESERVED otherwise. Nothing unless given.`,
    })
    waitFor?: number | null,
  ) {
    const waitMs = waitFor ?? 0;
    if (waitMs < 0 || waitMs > DECISION_WAIT_MAX_MS)
      throw badInput('waitFor', `waitFor is in milliseconds, 0 to ${DECISION_WAIT_MAX_MS}, not ${waitMs}.`);
    const withKey = { ...input, idempotencyKey: input.idempotencyKey ?? context.idempotencyKey };
    const [result] = await this.place([withKey], context);
    if (waitMs === 0 || result!.type !== 'placed') return toCreateOrderResult(result!);
    return toCreateOrderResult({ ...result!, order: await this.orders.awaitDecision(result!.order, waitMs) });
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
    // For the rate limits each is an order, however they come; the first is the request itself.
    if (inputs.length > 1) context.charge?.(inputs.length - 1);
    const { idempotencyKey: key } = context;
    const withKeys = inputs.map((input, index) => ({ ...input, ...(key !== undefined && { callKey: { key, index } }) }));
    return (await this.place(withKeys, context)).map(toCreateOrderResult);
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

  @Allow('known')
  @Subscription(() => OrderChange, {
    description:
      'Every step of an order, or of all orders that the caller may see, each once, as it happens and whichever process makes it.',
    subscribe: ({ args, context, info }) =>
      resolverIn(OrderResolver, info).follow(args as OrderChangedArgs, context as RequestContext),
  })
  orderChanged(
    @Args(() => OrderChangedArgs) { id }: OrderChangedArgs,
    @Root() change: OrderChange,
    @Ctx() { caller }: RequestContext,
  ): OrderChange {
    // Asked again of every event, whatever found it.
    demandOwn(caller, change.order.customerId);
    if (id != null && id !== change.order.id) throw new Error(`Who follows ${id} was told of ${change.order.id}.`);
    return change;
  }

  async *follow({ id, customerId, after }: OrderChangedArgs, { caller, signal }: RequestContext): AsyncGenerator<OrderChange> {
    const filter = { orderId: id, customerId, owner: ownerOf(caller) };
    const news = this.orders.follow(filter, { after: afterOf('step', after), signal: signal! });
    yield* followed(news, (one) => OrderChange.of(one));
    // What can be followed goes on until nobody listens any more.
    if (!signal!.aborted) throw badInput('id', refusals.unknownOrder(String(id)));
  }

  @FieldResolver(() => [TimelineStep], { description: 'What happened to it, step by step.' })
  async timeline(@Root() order: Order, @Ctx() context: RequestContext): Promise<TimelineStep[]> {
    const entries = (await this.timelines.of(context).load(order.id)) ?? [];
    return entries.map((entry) => TimelineStep.of(entry));
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
    return this.orders.place(inputs, correlationId);
  }

  private async closed(result: CloseOrderResult, verb: 'cancelled' | 'fulfilled') {
    if (result.type !== 'done') return toCloseOrderError(result, verb);
    const [view] = await this.orders.find([result.orderId]);
    return Order.of(view!);
  }

  private readonly timelines = perRequest((ids) => this.orders.timelines(ids));
  private readonly amendments = perRequest((ids) => this.orders.amendments(ids));
}

/** One query for all orders of a request, however many it lists, and for all who hear of a change together. */
function perRequest<Found>(read: (orderIds: string[]) => Promise<Map<string, Found>>) {
  const loaders = new WeakMap<object, DataLoader<string, Found | undefined>>();
  return {
    of(context: RequestContext): DataLoader<string, Found | undefined> {
      const key = context.together ?? context;
      const known = loaders.get(key);
      if (known) return known;
      const loader = new DataLoader<string, Found | undefined>(async (ids) => {
        const found = await read([...ids]);
        return ids.map((id) => found.get(id));
      });
      loaders.set(key, loader);
      return loader;
    },
  };
}
