import { ArgsType, Field, ID, Int, ObjectType } from 'type-graphql';

import { newsCursor, Timestamp } from '../graphql';
import { type EventPositions, type Happening } from './followEvents';

@ObjectType({ description: 'Something that happened in the shop: a step of an order, or a movement of stock.' })
export class ShopEvent {
  @Field(() => String, { description: 'Give the last one as `after` to go on from here, at whichever gateway.' })
  cursor!: string;

  @Field(() => String, { description: 'What happened: the `event` of a step of an order, such as OrderCreated; or StockMoved.' })
  event!: string;

  @Field(() => ID, { nullable: true, description: 'The order it happened to, or that moved the stock.' })
  orderId!: string | null;

  @Field(() => String, { nullable: true, description: 'Whose order it is; null of a movement.' })
  customerId!: string | null;

  @Field(() => Int, { nullable: true, description: 'The version that the step made; null of a movement.' })
  version!: number | null;

  @Field(() => String, { nullable: true, description: 'The status of the order after the step; null of a movement.' })
  status!: string | null;

  @Field(() => Int, { nullable: true, description: 'The product whose stock moved; null of a step.' })
  productId!: number | null;

  @Field(() => String, { nullable: true, description: 'What moved the stock, such as RESERVE; null of a step.' })
  kind!: string | null;

  @Field(() => Int, { nullable: true, description: 'Change of `onHand`; null of a step.' })
  onHandDelta!: number | null;

  @Field(() => Int, { nullable: true, description: 'Change of `reserved`; null of a step.' })
  reservedDelta!: number | null;

  @Field(() => String, { nullable: true, description: 'More, for people.' })
  detail!: string | null;

  @Field(() => Timestamp, { description: "When, by the database's clock." })
  at!: Date;

  static of({ happening, positions: { step, movement } }: { happening: Happening; positions: EventPositions }): ShopEvent {
    const cursor = newsCursor('event', step, movement);
    return Object.assign(new ShopEvent(), nothingSaid, facts(happening), { cursor, at: happening.at });
  }
}

const nothingSaid = {
  ...{ orderId: null, customerId: null, version: null, status: null, detail: null },
  ...{ productId: null, kind: null, onHandDelta: null, reservedDelta: null },
};

function facts(happening: Happening): Partial<ShopEvent> {
  if (happening.type === 'movement') {
    const { orderId, productId, kind, onHandDelta, reservedDelta } = happening;
    return { event: 'StockMoved', orderId, productId, kind, onHandDelta, reservedDelta };
  }
  const { event, orderId, customerId, version, toStatus: status, detail } = happening;
  return { event, orderId, customerId, version, status, detail };
}

@ArgsType()
export class EventsArgs {
  @Field(() => [String], { nullable: true, description: 'Only these, by `event`.' })
  events?: string[] | null;

  @Field(() => ID, { nullable: true, description: 'Only of this order.' })
  orderId?: string | null;

  @Field(() => Int, { nullable: true, description: 'Only movements of this product.' })
  productId?: number | null;

  @Field(() => String, {
    nullable: true,
    description: 'The `cursor` that was had last: what came after it is told first. Without, from now.',
  })
  after?: string | null;
}
