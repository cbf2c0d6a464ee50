import { z } from 'zod';

import { faultsOf, text, type FieldFault } from '../contracts';
import { type Transaction } from '../database';
import { type Outbox } from '../messaging';
import { book, lockAccounts, openAccount } from './accountRows';
import { findAccount, findDeposit, type AccountView } from './readAccounts';

/** A billion in most currencies: no deposit is larger by intention. */
export const DEPOSIT_MAX = 100_000_000_000;
/** No account holds more, so that every balance stays within the whole numbers that are exact. */
const BALANCE_MAX = 1_000 * DEPOSIT_MAX;

export interface DepositInput {
  customerId: string;
  /** Minor units of the shop's currency. */
  amount: number;
  /** What the payer calls it: the same again is the same deposit. */
  reference: string;
}

export type DepositResult =
  /** `repeated` when the reference had brought it before. */
  | { type: 'done'; account: AccountView; repeated: boolean }
  | { type: 'invalid'; fields: FieldFault[] }
  /** The reference belongs to a deposit of another amount. */
  | { type: 'reference-conflict'; reference: string; amount: number; currency: string };

export interface DepositOptions {
  outbox: Outbox;
  currency: string;
}

/** Pays money in; the first deposit opens the account. Each reference of a customer counts once, for ever. */
export function depositUseCase({ outbox, currency }: DepositOptions) {
  return async (input: DepositInput): Promise<DepositResult> => {
    const parsed = inputSchema.safeParse(input);
    if (!parsed.success) return { type: 'invalid', fields: faultsOf(parsed.error) };
    return outbox.transaction(async (tx) => ({ result: await deposit(tx, parsed.data, currency), messages: [] }));
  };
}

async function deposit(
  tx: Transaction,
  { customerId, amount, reference }: DepositInput,
  currency: string,
): Promise<DepositResult> {
  await openAccount(tx, customerId, currency);
  const { balance, currency: held } = (await lockAccounts(tx, [customerId])).get(customerId)!;
  const before = await findDeposit(tx, customerId, reference);
  if (before !== undefined && before !== amount) return { type: 'reference-conflict', reference, amount: before, currency: held };
  if (before === undefined) {
    if (held !== currency) return refused('other_currency', `the account is kept in ${held}, the shop in ${currency}`);
    if (balance + amount > BALANCE_MAX) return refused('too_big', 'would bring the balance above what an account can hold');
    await book(tx, [{ customerId, kind: 'DEPOSIT', amount, reference }]);
  }
  return { type: 'done', account: (await findAccount(tx, customerId))!, repeated: before !== undefined };
}

function refused(code: string, message: string): DepositResult {
  return { type: 'invalid', fields: [{ path: 'amount', code, message }] };
}

const inputSchema = z.object({
  customerId: text(100),
  amount: z.int('must be a whole number of minor units').min(1, 'must be at least 1').max(DEPOSIT_MAX),
  reference: text(200),
});
