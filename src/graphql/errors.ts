import { Field, InterfaceType, ObjectType, registerEnumType } from 'type-graphql';

import { inputRefusal } from '../contracts';

/** Every refusal a mutation can answer with. Clients decide by these; messages are for people and may change. */
export enum ErrorCode {
  VALIDATION_FAILED = 'VALIDATION_FAILED',
  UNKNOWN_ORDER = 'UNKNOWN_ORDER',
  UNKNOWN_PRODUCT = 'UNKNOWN_PRODUCT',
  IDEMPOTENCY_CONFLICT = 'IDEMPOTENCY_CONFLICT',
  BUSY = 'BUSY',
  ORDER_STATE_CONFLICT = 'ORDER_STATE_CONFLICT',
  ORDER_VERSION_CONFLICT = 'ORDER_VERSION_CONFLICT',
  UPDATE_REJECTED = 'UPDATE_REJECTED',
  UPDATE_UNDER_WAY = 'UPDATE_UNDER_WAY',
  SKU_TAKEN = 'SKU_TAKEN',
  STOCK_BELOW_RESERVED = 'STOCK_BELOW_RESERVED',
  STOCK_MOVED = 'STOCK_MOVED',
  UNKNOWN_DEAD_LETTER = 'UNKNOWN_DEAD_LETTER',
  UNKNOWN_SUBSCRIPTION = 'UNKNOWN_SUBSCRIPTION',
  SUBSCRIPTION_LIMIT = 'SUBSCRIPTION_LIMIT',
}

registerEnumType(ErrorCode, {
  name: 'ErrorCode',
  description: 'Why a mutation was refused. Decide by the code; the message is for people and may change.',
  valuesConfig: {
    VALIDATION_FAILED: { description: 'The input breaks a rule; `fields` says which and where.' },
    UNKNOWN_ORDER: { description: 'There is no order with this id.' },
    UNKNOWN_PRODUCT: { description: 'There is no product with this id or sku.' },
    IDEMPOTENCY_CONFLICT: {
      description: 'The idempotency key was used before, for another order; or the reference, for another deposit.',
    },
    BUSY: { description: 'Too many orders wait to be decided; `retryAfterSeconds` says when to try again.' },
    ORDER_STATE_CONFLICT: { description: "The order's status does not allow this." },
    ORDER_VERSION_CONFLICT: { description: 'The order is not at `expectedVersion`: somebody changed it meanwhile.' },
    UPDATE_REJECTED: { description: 'Inventory cannot hold the new quantities; the order keeps its lines. `reason` says why.' },
    UPDATE_UNDER_WAY: { description: 'An update of the order is under way and must be decided first; try again in a moment.' },
    SKU_TAKEN: { description: 'Another product has this sku.' },
    STOCK_BELOW_RESERVED: { description: 'Units that are promised to orders cannot be taken away.' },
    STOCK_MOVED: { description: 'The stock is not what `compareOnHand` says: somebody changed it meanwhile.' },
    UNKNOWN_DEAD_LETTER: { description: 'There is no dead letter with this id.' },
    UNKNOWN_SUBSCRIPTION: { description: 'There is no notification subscription with this id.' },
    SUBSCRIPTION_LIMIT: { description: 'The customer has as many notification subscriptions as are allowed.' },
  },
});

@InterfaceType({ description: 'A refusal: an expected outcome, with a code to decide by and a message for people.' })
export abstract class ErrorResult {
  @Field(() => ErrorCode, { description: 'What to decide by.' })
  code!: ErrorCode;

  @Field(() => String, { description: 'What happened and what to do, for people.' })
  message!: string;
}

@ObjectType({ description: 'One thing that is wrong with the input.' })
export class FieldProblem {
  @Field(() => String, { description: 'Where in the input, such as `items.0.quantity`.' })
  path!: string;

  @Field(() => String, { description: 'The kind of problem, such as `too_small`.' })
  code!: string;

  @Field(() => String, { description: 'The problem, for people.' })
  message!: string;
}

@ObjectType({ implements: ErrorResult, description: 'The input breaks one or more rules; nothing was changed.' })
export class ValidationError extends ErrorResult {
  @Field(() => [FieldProblem], { description: 'What is wrong, problem by problem.' })
  fields!: FieldProblem[];

  static of(fields: FieldProblem[]): ValidationError {
    const message = inputRefusal(fields);
    return Object.assign(new ValidationError(), { code: ErrorCode.VALIDATION_FAILED, message, fields });
  }
}
