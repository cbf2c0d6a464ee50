import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';

import { type RejectedLine as RejectedLineOnTheWire } from '../contracts';

export enum CancellationCode {
  INSUFFICIENT_STOCK = 'INSUFFICIENT_STOCK',
  UNKNOWN_PRODUCT = 'UNKNOWN_PRODUCT',
  PRODUCT_INACTIVE = 'PRODUCT_INACTIVE',
  PURCHASE_LIMIT = 'PURCHASE_LIMIT',
  PAYMENT_DECLINED = 'PAYMENT_DECLINED',
  EXPIRED = 'EXPIRED',
  REQUESTED = 'REQUESTED',
}

registerEnumType(CancellationCode, {
  name: 'CancellationCode',
  description: 'Why an order was cancelled.',
  valuesConfig: {
    INSUFFICIENT_STOCK: { description: 'A line asked for more than was available.' },
    UNKNOWN_PRODUCT: { description: 'A line named a product that does not exist.' },
    PRODUCT_INACTIVE: { description: 'A line named a product that is not for sale.' },
    PURCHASE_LIMIT: { description: 'With a line the customer would have more of a product than one customer may.' },
    PAYMENT_DECLINED: { description: 'The payment was declined; `message` says why.' },
    EXPIRED: { description: 'No decision came before the deadline.' },
    REQUESTED: { description: 'Somebody cancelled it.' },
  },
});

@ObjectType({ description: 'Why one line could not be reserved, with the figures at that moment.' })
export class RejectedLine {
  @Field(() => Int, { description: 'The product.' })
  productId!: number;

  @Field(() => Int, { description: 'Units asked for.' })
  requested!: number;

  @Field(() => Int, { description: 'Units that could be had.' })
  available!: number;

  @Field(() => CancellationCode, { description: 'Why this line failed.' })
  code!: string;
}

@ObjectType({ description: 'Why an order was cancelled.' })
export class CancellationReason {
  @Field(() => CancellationCode, { description: 'What to decide by.' })
  code!: string;

  @Field(() => String, { description: 'The reason, for people.' })
  message!: string;

  @Field(() => [RejectedLine], { description: 'The lines at fault; empty unless inventory refused.' })
  lines!: RejectedLine[];
}

export function toRejectedLine({ product_id: productId, requested, available, code }: RejectedLineOnTheWire): RejectedLine {
  return { productId, requested, available, code };
}
