import { type Database, type EntryKind } from '../database';

/** An account as callers see it. Money in minor units of `currency`. */
export interface AccountView {
  customerId: string;
  balance: number;
  currency: string;
  createdAt: Date;
  /** When its balance changed last. */
  updatedAt: Date;
}

/** One change of a balance. */
export interface EntryView {
  id: bigint;
  kind: EntryKind;
  /** What came (positive) or went (negative). */
  amount: number;
  orderId: string | null;
  reference: string | null;
  at: Date;
}

export async function findAccount(database: Pick<Database, 'account'>, customerId: string): Promise<AccountView | null> {
  const row = await database.account.findUnique({ where: { customerId } });
  if (!row) return null;
  const { balanceMinor, ...same } = row;
  return { ...same, balance: Number(balanceMinor) };
}

/** What the deposit under this reference brought; undefined when there is none. */
export async function findDeposit(
  database: Pick<Database, 'entry'>,
  customerId: string,
  reference: string,
): Promise<number | undefined> {
  const row = await database.entry.findUnique({ where: { customerId_reference: { customerId, reference } } });
  return row ? Number(row.amountMinor) : undefined;
}

/** A page of an account's entries, newest first, after the entry with id `after`. */
export async function listEntries(database: Database, customerId: string, first: number, after?: bigint): Promise<EntryView[]> {
  const rows = await database.entry.findMany({
    where: { customerId, ...(after === undefined ? {} : { id: { lt: after } }) },
    orderBy: { id: 'desc' },
    take: first,
    omit: { customerId: true },
  });
  return rows.map(({ amountMinor, ...same }) => ({ ...same, amount: Number(amountMinor) }));
}
