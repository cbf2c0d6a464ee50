import { Field, ObjectType } from 'type-graphql';

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
    return Object.assign(new Money(), { minorUnits, currency, decimal: toDecimal(minorUnits, fractionDigits(currency)) });
  }
}

/** ISO 4217 gives each currency its digits: two for EUR, none for JPY, three for KWD. The runtime knows the list. */
function fractionDigits(currency: string): number {
  const known = digitsByCurrency.get(currency);
  if (known !== undefined) return known;
  const { maximumFractionDigits } = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions();
  digitsByCurrency.set(currency, maximumFractionDigits ?? 2);
  return maximumFractionDigits ?? 2;
}

const digitsByCurrency = new Map<string, number>();

function toDecimal(minorUnits: number, digits: number): string {
  if (digits === 0) return String(minorUnits);
  const text = String(minorUnits).padStart(digits + 1, '0');
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
