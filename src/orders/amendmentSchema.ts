import { Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';

import { ErrorResult, Timestamp } from '../graphql';
import { type AmendmentReason } from './order';
import { type AmendmentView } from './readAmendments';
import { RejectedLine, toRejectedLine } from './rejectionSchema';

export enum AmendmentStatus {
  PENDING = 'PENDING',
  APPLIED = 'APPLIED',
  REJECTED = 'REJECTED',
  OVERTAKEN = 'OVERTAKEN',
}

registerEnumType(AmendmentStatus, {
  name: 'AmendmentStatus',
  description: 'What became of an update of an order.',
  valuesConfig: {
    PENDING: { description: 'Written down and safe; inventory has not decided it yet.' },
    APPLIED: { description: 'The order has these lines since.' },
    REJECTED: { description: 'Inventory said no, and the order kept its lines; `reason` says why.' },
    OVERTAKEN: { description: 'The order was cancelled before it was decided.' },
  },
});

export enum AmendmentRefusal {
  INSUFFICIENT_STOCK = 'INSUFFICIENT_STOCK',
  UNKNOWN_PRODUCT = 'UNKNOWN_PRODUCT',
  PRODUCT_INACTIVE = 'PRODUCT_INACTIVE',
  PURCHASE_LIMIT = 'PURCHASE_LIMIT',
  EXPIRED = 'EXPIRED',
  NOT_HELD = 'NOT_HELD',
  OVERTAKEN = 'OVERTAKEN',
}

registerEnumType(AmendmentRefusal, {
  name: 'AmendmentRefusal',
  description: 'Why an update of an order was rejected.',
  valuesConfig: {
    INSUFFICIENT_STOCK: { description: 'A line was to grow by more than was available.' },
    UNKNOWN_PRODUCT: { description: 'A line named a product that does not exist.' },
    PRODUCT_INACTIVE: { description: 'A line of a product that is not for sale any more was to grow.' },
    PURCHASE_LIMIT: { description: 'The customer would have more of a product than one customer may.' },
    EXPIRED: { description: 'Inventory heard of it only after the deadline.' },
    NOT_HELD: { description: 'Nothing is reserved for the order any more.' },
    OVERTAKEN: { description: 'A later update was decided before.' },
  },
});

@ObjectType({ description: 'Why an update was rejected.' })
export class UpdateRejection {
  @Field(() => AmendmentRefusal, { description: 'What to decide by.' })
  code!: string;

  @Field(() => String, { description: 'The reason, for people.' })
  message!: string;

  @Field(() => [RejectedLine], { description: 'The lines at fault; `available` counts what the order holds already.' })
  lines!: RejectedLine[];

  static of({ code, message, lines }: AmendmentReason): UpdateRejection {
    return Object.assign(new UpdateRejection(), { code, message, lines: lines.map(toRejectedLine) });
  }
}

@ObjectType({ description: 'A line as an update would have it.' })
export class AmendedLine {
  @Field(() => Int, { description: 'The product.' })
  productId!: number;

  @Field(() => Int, { description: 'Units.' })
  quantity!: number;
}

@ObjectType({ description: 'An update of the quantities of an order.' })
export class Amendment {
  @Field(() => Int, { description: 'Counts the updates of this order; it stands in events, too.' })
  number!: number;

  @Field(() => AmendmentStatus, { description: 'What became of it.' })
  status!: string;

  @Field(() => [AmendedLine], { description: 'All lines as they were to be.' })
  lines!: AmendedLine[];

  @Field(() => UpdateRejection, { nullable: true, description: 'Why it was rejected; null unless it was.' })
  reason!: UpdateRejection | null;

  @Field(() => Timestamp, { description: 'When it was asked for.' })
  requestedAt!: Date;

  @Field(() => Timestamp, { nullable: true, description: 'When it was decided; null while it is PENDING.' })
  decidedAt!: Date | null;

  static of({ reason, ...same }: AmendmentView): Amendment {
    return Object.assign(new Amendment(), { ...same, reason: reason && UpdateRejection.of(reason) });
  }
}

@InputType({ description: 'A new quantity of a product, by id or by sku, exactly one of the two.' })
export class UpdateOrderItemInput {
  @Field(() => Int, { nullable: true, description: 'The product by id.' })
  productId?: number | null;

  @Field(() => String, { nullable: true, description: 'The product by sku.' })
  sku?: string | null;

  @Field(() => Int, {
    description:
      'Units the order is to have of it; 0 takes it off, and changes nothing where it is not on it. Units that are added to a line come at the price of the line.',
  })
  quantity!: number;
}

@InputType({ description: 'Other quantities for an order.' })
export class UpdateOrderInput {
  @Field(() => ID, { description: 'The order.' })
  orderId!: string;

  @Field(() => [UpdateOrderItemInput], {
    description: '1 to 100 products with their new quantities. A product that is not on the order is added; the others stay.',
  })
  items!: UpdateOrderItemInput[];

  @Field(() => Int, {
    nullable: true,
    description: 'Change nothing unless the order is at this version: nobody undoes what somebody else did meanwhile.',
  })
  expectedVersion?: number | null;
}

@ObjectType({ implements: ErrorResult, description: 'Inventory cannot hold the new quantities; the order keeps its lines.' })
export class UpdateRejectedError extends ErrorResult {
  @Field(() => ID, { description: 'The order.' })
  orderId!: string;

  @Field(() => UpdateRejection, { description: 'Why, line by line.' })
  reason!: UpdateRejection;
}
