import { createUnionType, Ctx, Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';

import { type NotificationDeliveryAttemptModel, type NotificationSubscriptionModel } from '../database';
import { Connection, Edge, ErrorCode, ErrorResult, Timestamp, ValidationError } from '../graphql';
import { type RequestContext } from '../observability';
import { type DeliveryView } from './readNotifications';
import { type SetSubscriptionResult } from './setSubscription';
import { type SubscriptionInput, type TellableEvent } from './subscription';

export enum NotificationChannel {
  LOG = 'LOG',
  EMAIL = 'EMAIL',
  WEBHOOK = 'WEBHOOK',
}

registerEnumType(NotificationChannel, {
  name: 'NotificationChannel',
  description: 'A way to tell a customer. What is published for programs on notification_exchange is independent of it.',
  valuesConfig: {
    LOG: { description: 'A line in the log of the shop; what customers get who have chosen nothing.' },
    EMAIL: { description: 'A mail to `target`.' },
    WEBHOOK: { description: 'A POST to the URL `target`, signed after Standard Webhooks.' },
  },
});

export enum NotificationEvent {
  ORDER_CONFIRMED = 'OrderConfirmed',
  ORDER_CANCELLED = 'OrderCancelled',
  ORDER_FULFILLED = 'OrderFulfilled',
}

registerEnumType(NotificationEvent, {
  name: 'NotificationEvent',
  description: 'What a customer can be told of.',
  valuesConfig: {
    ORDER_CONFIRMED: { description: 'Every line is reserved.' },
    ORDER_CANCELLED: { description: 'The order is cancelled, with the reason; a rejection too.' },
    ORDER_FULFILLED: { description: 'The goods have left the house.' },
  },
});

export enum NotificationSubscriptionState {
  ACTIVE = 'ACTIVE',
  PAUSED = 'PAUSED',
  DISABLED = 'DISABLED',
}

registerEnumType(NotificationSubscriptionState, {
  name: 'NotificationSubscriptionState',
  description: 'Whether anything is sent.',
  valuesConfig: {
    ACTIVE: { description: 'What happens is sent.' },
    PAUSED: { description: 'Set with `enabled: false`: nothing is sent.' },
    DISABLED: { description: 'Given up: the receiver took nothing for too long. Set it again to begin anew.' },
  },
});

export enum NotificationDeliveryState {
  WAITING = 'WAITING',
  DELIVERED = 'DELIVERED',
  DEAD = 'DEAD',
}

registerEnumType(NotificationDeliveryState, {
  name: 'NotificationDeliveryState',
  description: 'WAITING becomes DELIVERED or DEAD.',
  valuesConfig: {
    WAITING: { description: 'To be sent, or to be sent again.' },
    DELIVERED: { description: 'The receiver has taken it.' },
    DEAD: { description: 'Given up; the last attempt says why.' },
  },
});

@ObjectType({ description: 'How a customer wants to be told, by one channel at one address.' })
export class NotificationSubscription {
  @Field(() => ID, { description: 'Its id.' })
  id!: string;

  @Field(() => String, { description: 'The customer.' })
  customerId!: string;

  @Field(() => NotificationChannel, { description: 'The channel.' })
  channel!: string;

  @Field(() => String, { nullable: true, description: 'The address or URL; null for LOG.' })
  target!: string | null;

  @Field(() => [NotificationEvent], { description: 'What it is told of.' })
  events!: string[];

  @Field(() => NotificationSubscriptionState, { description: 'Whether anything is sent.' })
  state!: string;

  @Field(() => String, {
    nullable: true,
    description: 'Why it was given up; null unless it is DISABLED. A customer is not told what was met with inside the house.',
  })
  disabledBecause(@Ctx() { caller }: RequestContext): string | null {
    return this.cause && isCustomer(caller) ? 'It could not be delivered.' : this.cause;
  }

  private readonly cause!: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Signs what a webhook is sent. Shown once, by the mutation that set it; null when read later.',
  })
  secret!: string | null;

  @Field(() => Timestamp, { description: 'When it was first set.' })
  createdAt!: Date;

  @Field(() => Timestamp, { description: 'When it was set last, or given up.' })
  updatedAt!: Date;

  static of(
    { target, disabledBecause: cause, ...row }: NotificationSubscriptionModel,
    secret?: string,
  ): NotificationSubscription {
    return Object.assign(new NotificationSubscription(), row, { cause, target: target || null, secret: secret ?? null });
  }
}

@ObjectType({ description: 'What one attempt to deliver met with.' })
export class NotificationAttempt {
  @Field(() => Int, { description: 'Which attempt, from 1.' })
  attempt!: number;

  @Field(() => Timestamp, { description: "When it began, by the database's clock." })
  startedAt!: Date;

  @Field(() => Int, { description: 'How long it took, in milliseconds.' })
  durationMs!: number;

  @Field(() => Int, { nullable: true, description: 'The HTTP status that a webhook answered; null without one.' })
  status!: number | null;

  @Field(() => String, {
    nullable: true,
    description:
      'What went wrong; null when it was delivered. A customer is told what its own server answered, and nothing of ours.',
  })
  error(@Ctx() { caller }: RequestContext): string | null {
    const isOurs = this.cause !== null && this.status === null;
    return isOurs && isCustomer(caller) ? 'It could not be delivered.' : this.cause;
  }

  private readonly cause!: string | null;

  @Field(() => Timestamp, { nullable: true, description: 'When it is tried again; null when it is not.' })
  nextAttemptAt!: Date | null;

  static of({ error: cause, ...row }: NotificationDeliveryAttemptModel): NotificationAttempt {
    return Object.assign(new NotificationAttempt(), row, { cause });
  }
}

/** Words of a mail server or of a name server tell how the house is built. */
function isCustomer(caller: RequestContext['caller']): boolean {
  return caller?.role === 'customer';
}

@ObjectType({ description: 'One event for one subscription: sent until it arrives or is given up.' })
export class NotificationDelivery {
  @Field(() => ID, { description: 'Its id.' })
  id!: string;

  @Field(() => ID, { description: 'The subscription.' })
  subscriptionId!: string;

  @Field(() => String, { description: 'The customer.' })
  customerId!: string;

  @Field(() => NotificationChannel, { description: 'The channel.' })
  channel!: string;

  @Field(() => String, { nullable: true, description: 'Where to; null once the subscription was removed.' })
  target!: string | null;

  @Field(() => ID, { description: 'The event: `webhook-id`, the same at every attempt.' })
  eventId!: string;

  @Field(() => ID, { description: 'The order.' })
  orderId!: string;

  @Field(() => String, { description: 'What is sent, as JSON: OrderStatusChanged.' })
  body!: string;

  @Field(() => NotificationDeliveryState, { description: 'Where it stands.' })
  state!: string;

  @Field(() => Timestamp, {
    nullable: true,
    description:
      'When it is next sent; while it is being sent, when it would be sent again should that process die. Null once it is finished.',
  })
  dueAt!: Date | null;

  @Field(() => Timestamp, { description: 'When the event came.' })
  createdAt!: Date;

  @Field(() => Timestamp, { nullable: true, description: 'When it arrived or was given up; null while it waits.' })
  finishedAt!: Date | null;

  static of({ subscription, body, dueAt, ...row }: DeliveryView): NotificationDelivery {
    const { channel, target } = subscription;
    return Object.assign(new NotificationDelivery(), {
      ...row,
      ...{ channel, target: target || null, body: JSON.stringify(body) },
      dueAt: row.state === 'WAITING' ? dueAt : null,
    });
  }
}

@ObjectType({ description: 'A subscription and where it stands in the list.' })
export class NotificationSubscriptionEdge extends Edge(NotificationSubscription) {}

@ObjectType({ description: 'A page of subscriptions.' })
export class NotificationSubscriptionConnection extends Connection(NotificationSubscription, NotificationSubscriptionEdge) {}

@ObjectType({ description: 'A delivery and where it stands in the list.' })
export class NotificationDeliveryEdge extends Edge(NotificationDelivery) {}

@ObjectType({ description: 'A page of deliveries.' })
export class NotificationDeliveryConnection extends Connection(NotificationDelivery, NotificationDeliveryEdge) {}

@InputType({ description: 'Which deliveries.' })
export class NotificationDeliveryFilterInput {
  @Field(() => String, { nullable: true, description: 'Only to this customer.' })
  customerId?: string | null;

  @Field(() => ID, { nullable: true, description: 'Only of this subscription.' })
  subscriptionId?: string | null;

  @Field(() => ID, { nullable: true, description: 'Only of this order.' })
  orderId?: string | null;

  @Field(() => NotificationDeliveryState, { nullable: true, description: 'Only in this state.' })
  state?: NotificationDeliveryState | null;
}

@InputType({ description: 'How a customer wants to be told, by one channel at one address.' })
export class SubscribeInput implements SubscriptionInput {
  @Field(() => String, { description: 'The customer; up to 100 characters.' })
  customerId!: string;

  @Field(() => NotificationChannel, { description: 'The channel.' })
  channel!: NotificationChannel;

  @Field(() => String, { nullable: true, description: 'The e-mail address, or the URL of the webhook; left out for LOG.' })
  target?: string | null;

  @Field(() => [NotificationEvent], { nullable: true, description: 'What to tell of; everything when left out.' })
  events?: TellableEvent[] | null;

  @Field(() => Boolean, { defaultValue: true, description: 'False keeps it, and sends nothing.' })
  enabled?: boolean | null;

  @Field(() => String, {
    nullable: true,
    description:
      'For a webhook: `whsec_` and 24 to 64 bytes in base64. Left out, a new one gets one made and one that is there keeps its own.',
  })
  secret?: string | null;
}

@ObjectType({ description: 'The subscription is taken back.' })
export class Unsubscribed {
  @Field(() => ID, { description: 'The subscription.' })
  subscriptionId!: string;

  static of(subscriptionId: string): Unsubscribed {
    return Object.assign(new Unsubscribed(), { subscriptionId });
  }
}

@ObjectType({
  implements: ErrorResult,
  description: 'The customer has as many subscriptions as are allowed; nothing was changed.',
})
export class SubscriptionLimitError extends ErrorResult {
  @Field(() => Int, { description: 'How many are allowed.' })
  max!: number;

  static of(max: number): SubscriptionLimitError {
    const message = `The customer has ${max} subscriptions already, which is as many as are allowed: take one back first.`;
    return Object.assign(new SubscriptionLimitError(), { code: ErrorCode.SUBSCRIPTION_LIMIT, message, max });
  }
}

@ObjectType({ implements: ErrorResult, description: 'There is no subscription with this id.' })
export class UnknownSubscriptionError extends ErrorResult {
  @Field(() => ID, { description: 'The id that was asked for.' })
  subscriptionId!: string;

  static of(subscriptionId: string): UnknownSubscriptionError {
    const message = `There is no subscription ${JSON.stringify(subscriptionId.slice(0, 100))}.`;
    return Object.assign(new UnknownSubscriptionError(), { code: ErrorCode.UNKNOWN_SUBSCRIPTION, message, subscriptionId });
  }
}

export const SubscribeResultUnion = createUnionType({
  name: 'SubscribeResult',
  description: 'The subscription as it is now, or why it was refused.',
  types: () => [NotificationSubscription, ValidationError, SubscriptionLimitError] as const,
});

export const UnsubscribeResultUnion = createUnionType({
  name: 'UnsubscribeResult',
  description: 'Done, or why not.',
  types: () => [Unsubscribed, UnknownSubscriptionError] as const,
});

export function toSubscribeResult(result: SetSubscriptionResult) {
  switch (result.type) {
    case 'done':
      return NotificationSubscription.of(result.subscription, result.secret);
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'too-many':
      return SubscriptionLimitError.of(result.max);
    default:
      return result satisfies never;
  }
}
