import { Args, Resolver, Root, Subscription } from 'type-graphql';

import { Allow, followed, positionsIn, resolverIn } from '../graphql';
import { type RequestContext } from '../observability';
import { EventsArgs, ShopEvent } from './eventSchema';
import { followEvents, type EventSources } from './followEvents';

/** What happens in the shop, for the people who run it. */
@Resolver()
export class EventResolver {
  constructor(private readonly sources: EventSources) {}

  @Allow('operators')
  @Subscription(() => ShopEvent, {
    description: 'Every step of every order and every movement of stock, each once, as it happens.',
    subscribe: ({ args, context, info }) => resolverIn(EventResolver, info).follow(args as EventsArgs, context as RequestContext),
  })
  events(@Args(() => EventsArgs) args: EventsArgs, @Root() event: ShopEvent): ShopEvent {
    if (!isAskedFor(event, args)) throw new Error(`Who follows other events was told of ${event.event}.`);
    return event;
  }

  async *follow(args: EventsArgs, { signal }: RequestContext): AsyncGenerator<ShopEvent> {
    const [step, movement] = positionsIn('event', args.after, 2) ?? [];
    const after = step === undefined || movement === undefined ? undefined : { step, movement };
    const happenings = followEvents(this.sources, { after, signal: signal! });
    for await (const event of followed(happenings, (one) => ShopEvent.of(one))) if (isAskedFor(event, args)) yield event;
  }
}

function isAskedFor(event: ShopEvent, { events, orderId, productId }: EventsArgs): boolean {
  return (
    (events == null || events.includes(event.event)) &&
    (orderId == null || event.orderId === orderId) &&
    (productId == null || event.productId === productId)
  );
}
