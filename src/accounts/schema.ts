import { createUnionType, Field, ID, InputType, ObjectType, registerEnumType } from 'type-graphql';

import { Connection, Edge, ErrorCode, ErrorResult, Money, SafeInt, Timestamp, ValidationError } from '../graphql';
import { type DepositResult } from './deposit';
import { type AccountView, type EntryView } from './readAccounts';

export enum AccountEntryKind {
  DEPOSIT = 'DEPOSIT',
  CAPTURE = 'CAPTURE',
  REFUND = 'REFUND',
}

registerEnumType(AccountEntryKind, {
  name: 'AccountEntryKind',
  description: 'What changed a balance.',
  valuesConfig: {
    DEPOSIT: { description: 'Money paid in.' },
    CAPTURE: { description: 'The total of an order, taken.' },
    REFUND: { description: 'The total of an order, given back.' },
  },
});

@ObjectType({ description: "A customer's balance in the shop; never negative, and always the sum of its entries." })
export class Account {
  @Field(() => String, { description: 'Whose account it is.' })
  customerId!: string;

  @Field(() => Money, { description: 'What can be spent now.' })
  balance!: Money;

  /** For the entries, which are money of the same currency. */
  currency!: string;

  @Field(() => Timestamp, { description: 'When the first deposit opened it.' })
  createdAt!: Date;

  @Field(() => Timestamp, { description: 'When its balance changed last.' })
  updatedAt!: Date;

  static of({ balance, ...same }: AccountView): Account {
    return Object.assign(new Account(), same, { balance: Money.of(balance, same.currency) });
  }
}

@ObjectType({ description: 'One change of a balance; written once, never changed. Their sum is the balance.' })
export class AccountEntry {
  @Field(() => ID, { description: 'Rises with time.' })
  id!: string;

  @Field(() => AccountEntryKind, { description: 'What changed the balance.' })
  kind!: string;

  @Field(() => Money, { description: 'What came (positive) or went (negative).' })
  amount!: Money;

  @Field(() => ID, { nullable: true, description: 'The order it was for; null for a deposit.' })
  orderId!: string | null;

  @Field(() => String, { nullable: true, description: 'What the payer calls the deposit; null for the others.' })
  reference!: string | null;

  @Field(() => Timestamp, { description: "When, by the database's clock." })
  at!: Date;

  static of({ id, amount, ...same }: EntryView, currency: string): AccountEntry {
    return Object.assign(new AccountEntry(), same, { id: String(id), amount: Money.of(amount, currency) });
  }
}

@ObjectType({ description: 'An entry in a list.' })
export class AccountEntryEdge extends Edge(AccountEntry) {}

@ObjectType({ description: 'A page of entries, newest first.' })
export class AccountEntryConnection extends Connection(AccountEntry, AccountEntryEdge) {}

@InputType({ description: 'Money to pay in.' })
export class DepositInput {
  @Field(() => String, { description: 'To whose account, 1 to 100 characters; the first deposit opens it.' })
  customerId!: string;

  @Field(() => SafeInt, { description: "In minor units of the shop's currency, at least 1." })
  amount!: number;

  @Field(() => String, {
    description:
      'What the payer calls it, such as a transfer number, up to 200 characters. Makes repeating safe: the same reference with the same amount is the same deposit, with another amount a conflict. Per customer, for ever.',
  })
  reference!: string;
}

@ObjectType({
  implements: ErrorResult,
  description: 'The reference was used before, for another amount; nothing was paid in.',
})
export class DepositConflictError extends ErrorResult {
  @Field(() => String, { description: 'The reference.' })
  reference!: string;

  @Field(() => Money, { description: 'What was paid in under it.' })
  amount!: Money;
}

export const DepositResultUnion = createUnionType({
  name: 'DepositResult',
  description: 'The account with the money in it, or why it was refused.',
  types: () => [Account, ValidationError, DepositConflictError] as const,
});

/** The outcome of the use case in the words of the schema. */
export function toDepositResult(result: DepositResult): Account | ValidationError | DepositConflictError {
  switch (result.type) {
    case 'done':
      return Account.of(result.account);
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'reference-conflict':
      return conflict(result);
    default:
      return result satisfies never;
  }
}

function conflict({ reference, amount: minorUnits, currency }: DepositResult & { type: 'reference-conflict' }) {
  const amount = Money.of(minorUnits, currency);
  const message = `The reference ${JSON.stringify(reference)} belongs to a deposit of ${amount.decimal} ${currency}. Use a new reference for a new deposit.`;
  return Object.assign(new DepositConflictError(), { code: ErrorCode.IDEMPOTENCY_CONFLICT, message, reference, amount });
}
