import { Field, ObjectType } from 'type-graphql';

import { decimalOf } from '../contracts';
import { SafeInt } from './scalars';

@ObjectType({ description: 'An amount of money: whole minor units, never a float.' })
export class Money {
  @Field(() => SafeInt, { description: 'The amount in minor units, such as cents.' })
  minorUnits!: number;

  @Field(() => String, { description: 'ISO 4217 code, such as EUR.' })
  currency!: string;

  @Field(() => String, { description: 'The amount in major units as text, such as "19.99": for showing, not for counting.' })
  decimal!: string;

  static of(minorUnits: number, currency: string): Money {
    return Object.assign(new Money(), { minorUnits, currency, decimal: decimalOf(minorUnits, currency) });
  }
}
