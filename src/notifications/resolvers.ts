import DataLoader from 'dataloader';
import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';

import { Allow, PageArgs, pageOf } from '../graphql';
import { demandOwn, ownerOf } from '../identity';
import { type RequestContext } from '../observability';
import { type NotificationsContext } from './context';
import {
  NotificationAttempt,
  NotificationDelivery,
  NotificationDeliveryConnection,
  NotificationDeliveryFilterInput,
  NotificationSubscription,
  NotificationSubscriptionConnection,
  SubscribeInput,
  SubscribeResultUnion,
  toSubscribeResult,
  UnknownSubscriptionError,
  Unsubscribed,
  UnsubscribeResultUnion,
} from './schema';

/** The GraphQL door of the notifications context: each field parses, calls a use case and maps its outcome. */
@Resolver(() => NotificationDelivery)
export class NotificationResolver {
  constructor(private readonly notifications: NotificationsContext) {}

  @Allow('known')
  @Query(() => NotificationSubscriptionConnection, {
    description: 'How customers want to be told, newest first. Who is not in it is told in the log.',
  })
  notificationSubscriptions(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { caller }: RequestContext,
    @Arg('customerId', () => String, { nullable: true, description: 'Only of this customer.' }) customerId?: string | null,
  ): Promise<NotificationSubscriptionConnection> {
    const wanted = { customerId: customerId?.replaceAll('\u0000', ''), owner: ownerOf(caller) };
    return pageOf(
      page,
      (first, after) => this.notifications.subscriptions(wanted, first, after),
      (subscription) => subscription.id,
      (subscription) => NotificationSubscription.of(subscription),
    );
  }

  @Allow('known')
  @Query(() => NotificationDeliveryConnection, { description: 'What was sent or is to be sent, newest first.' })
  notificationDeliveries(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { caller }: RequestContext,
    @Arg('filter', () => NotificationDeliveryFilterInput, { nullable: true, description: 'Only those that fit.' })
    filter?: NotificationDeliveryFilterInput | null,
  ): Promise<NotificationDeliveryConnection> {
    const { customerId, orderId, ...same } = filter ?? {};
    const named = { customerId: customerId?.replaceAll('\u0000', ''), orderId: orderId?.replaceAll('\u0000', '') };
    const wanted = { ...same, ...named, owner: ownerOf(caller) };
    return pageOf(
      page,
      (first, after) => this.notifications.deliveries(wanted, first, after),
      (delivery) => delivery.id,
      (delivery) => NotificationDelivery.of(delivery),
    );
  }

  @Allow('known')
  @Mutation(() => SubscribeResultUnion, {
    description:
      'Says how a customer wants to be told, by one channel at one address. Said again for the same address, it changes what was said before.',
  })
  async subscribeToNotifications(
    @Arg('input', () => SubscribeInput, { description: 'Who, how, where and of what.' }) input: SubscribeInput,
    @Ctx() { caller }: RequestContext,
  ) {
    demandOwn(caller, input.customerId);
    return toSubscribeResult(await this.notifications.subscribe(input));
  }

  @Allow('known')
  @Mutation(() => UnsubscribeResultUnion, {
    description:
      'Takes a subscription back: its address is forgotten, and what still waits for it is not sent. Repeating it is safe.',
  })
  async unsubscribeFromNotifications(
    @Arg('subscriptionId', () => ID, { description: 'The subscription.' }) subscriptionId: string,
    @Ctx() { caller }: RequestContext,
  ) {
    const removed = await this.notifications.unsubscribe(subscriptionId, ownerOf(caller));
    return removed ? Unsubscribed.of(subscriptionId) : UnknownSubscriptionError.of(subscriptionId);
  }

  @FieldResolver(() => [NotificationAttempt], { description: 'What each attempt met with, in its order.' })
  attempts(@Root() delivery: NotificationDelivery, @Ctx() context: RequestContext): Promise<NotificationAttempt[]> {
    return this.attemptsOf(context).load(delivery.id);
  }

  /** One query for all attempts of a request, however many deliveries it lists. */
  private attemptsOf(context: RequestContext): DataLoader<string, NotificationAttempt[]> {
    let loader = this.loaders.get(context);
    if (!loader) {
      loader = new DataLoader(async (ids) => {
        const attempts = await this.notifications.attempts(ids);
        return ids.map((id) => (attempts.get(id) ?? []).map((row) => NotificationAttempt.of(row)));
      });
      this.loaders.set(context, loader);
    }
    return loader;
  }

  private readonly loaders = new WeakMap<RequestContext, DataLoader<string, NotificationAttempt[]>>();
}
