import { type Database } from '../database';
import { type Outbox } from '../messaging';
import { checkBalanceUseCase } from './checkBalance';
import { depositUseCase } from './deposit';
import { paymentHandlers } from './handlers';
import { findAccount, listEntries } from './readAccounts';
import { accountsRpc } from './rpc';

export interface AccountsOptions {
  database: Database;
  outbox: Outbox;
  currency: string;
  newId: () => string;
}

/** The accounts context: its use cases, and what it does about messages. */
export type AccountsContext = ReturnType<typeof createAccounts>;

export function createAccounts(options: AccountsOptions) {
  const { database, newId } = options;
  return {
    deposit: depositUseCase(options),
    account: (customerId: string) => findAccount(database, customerId),
    entries: (customerId: string, first: number, after?: bigint) => listEntries(database, customerId, first, after),
    /** What accounts does about the payments of orders, by queue. */
    handlers: paymentHandlers(newId),
    /** What accounts answers over the broker. */
    rpc: accountsRpc({ checkBalance: checkBalanceUseCase(options) }),
  };
}
