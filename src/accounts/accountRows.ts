import { type EntryKind, type Transaction } from '../database';
import { type Balance } from './payment';

/** One change of a balance. */
export interface NewEntry {
  customerId: string;
  kind: EntryKind;
  /** What comes (positive) or goes (negative), minor units. */
  amount: number;
  orderId?: string;
  /** Of a deposit. */
  reference?: string;
}

/**
 * Locks these customers' accounts in the order of their ids and reads them. Everyone who changes a balance or a payment comes
 * through here first, before any other lock: one order of locking for all, so that nobody waits in a circle. Customers without an
 * account are left out.
 */
export async function lockAccounts(tx: Transaction, customerIds: Iterable<string>): Promise<Map<string, Balance>> {
  const rows = await tx.$queryRaw<(Omit<Balance, 'balance'> & { balance: bigint })[]>`
    SELECT customer_id AS "customerId", balance_minor AS balance, currency
    FROM accounts.accounts WHERE customer_id = ANY(${[...new Set(customerIds)]}::text[])
    ORDER BY customer_id FOR UPDATE`;
  return new Map(rows.map((row) => [row.customerId, { ...row, balance: Number(row.balance) }]));
}

/**
 * Writes entries and applies their sums to the balances, in one statement, so that neither can be without the other. The caller
 * holds the locks. The CHECK on the balance refuses whatever would take more than is there.
 */
export async function book(tx: Transaction, entries: NewEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx.$executeRaw`
    WITH booked AS (
      INSERT INTO accounts.entries (customer_id, kind, amount_minor, order_id, reference)
      SELECT customer_id, kind::accounts.entry_kind, amount, order_id, reference
      FROM unnest(
        ${entries.map((entry) => entry.customerId)}::text[],
        ${entries.map((entry) => entry.kind)}::text[],
        ${entries.map((entry) => entry.amount)}::bigint[],
        ${entries.map((entry) => entry.orderId ?? null)}::text[],
        ${entries.map((entry) => entry.reference ?? null)}::text[]
      ) AS entry(customer_id, kind, amount, order_id, reference)
      RETURNING customer_id, amount_minor
    ), change AS (
      SELECT customer_id, sum(amount_minor)::bigint AS amount FROM booked GROUP BY customer_id
    )
    UPDATE accounts.accounts SET balance_minor = balance_minor + change.amount, updated_at = clock_timestamp()
    FROM change WHERE accounts.customer_id = change.customer_id`;
}

/** Opens the account that a first deposit goes to; does nothing when it is there. */
export async function openAccount(tx: Transaction, customerId: string, currency: string): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO accounts.accounts (customer_id, currency) VALUES (${customerId}, ${currency})
    ON CONFLICT (customer_id) DO NOTHING`;
}
