import { type Database } from '../database';
import { declineOf, type Decline } from './payment';
import { findAccount, type AccountView } from './readAccounts';

/** The account as it is, if there is one, and what stands in the way of paying from it. */
export interface BalanceCheck {
  account: AccountView | null;
  decline: Decline | undefined;
}

export type CheckBalance = (customerId: string, amount: number) => Promise<BalanceCheck>;

/** Could this customer pay so much at this moment, in minor units of the shop's currency? By the rules of a capture, and without one. */
export function checkBalanceUseCase({ database, currency }: { database: Database; currency: string }): CheckBalance {
  return async (customerId, total) => {
    const account = await findAccount(database, customerId);
    return { account, decline: declineOf({ total, currency }, account ?? undefined) };
  };
}
