import type * as accountRowsModule from '../../../src/accounts/accountRows';
import { type NewEntry } from '../../../src/accounts/accountRows';
import { type Balance, type Payment } from '../../../src/accounts/payment';
import type * as paymentRowsModule from '../../../src/accounts/paymentRows';
import { substitute } from '../../substitute';
import { type Session, statement } from '../database';
import { sqlFault } from '../sqlFaults';

/** The statements of the accounts context, on the books in memory: each locks and reads what its SQL does, in the same order. */
export function substituteAccountRows(): void {
  substitute<typeof accountRowsModule>('src/accounts/accountRows', () => ({
    lockAccounts: (tx, customerIds) => statement(tx, 'lock accounts', (session) => lockAccounts(session, [...customerIds])),
    book: async (tx, entries) => {
      if (entries.length > 0) await statement(tx, 'book', (session) => book(session, entries));
    },
  }));
  substitute<typeof paymentRowsModule>('src/accounts/paymentRows', () => ({
    findPayments: (tx, ids) => statement(tx, 'find payments', (session) => findPayments(session, ids)),
    lockPayments: (tx, ids) => statement(tx, 'lock payments', (session) => lockPayments(session, ids)),
    insertPayments: async (tx, payments) =>
      payments.length === 0 ? 0 : statement(tx, 'insert payments', (session) => insertPayments(session, payments)),
    markRefunded: async (tx, ids) => {
      if (ids.length > 0) await statement(tx, 'mark refunded', (session) => markRefunded(session, ids));
    },
  }));
}

async function lockAccounts(session: Session, customerIds: string[]): Promise<Map<string, Balance>> {
  const locked = new Map<string, Balance>();
  for (const customerId of [...new Set(customerIds)].sort()) {
    // Who has no account has no row that could be locked.
    if (!session.get(session.books.accounts, customerId)) continue;
    const row = await session.lock(session.books.accounts, customerId);
    if (row) locked.set(customerId, row);
  }
  return locked;
}

/** The unique index refuses a second entry of its kind for an order, the CHECK whatever would take more than there is. */
async function book(session: Session, booked: NewEntry[]): Promise<void> {
  const { accounts, entries } = session.books;
  for (const { customerId, kind, amount, orderId = null } of booked) {
    const key = `${orderId} ${kind}`;
    if (await session.lock(entries, key)) throw sqlFault('23505');
    session.put(entries, key, { customerId, kind, amount, orderId });
    const row = (await session.lock(accounts, customerId))!;
    session.put(accounts, customerId, { ...row, balance: row.balance + amount });
  }
  for (const { customerId } of booked) if (session.get(accounts, customerId)!.balance < 0) throw sqlFault('23514');
}

function findPayments(session: Session, orderIds: string[]): Map<string, Payment> {
  const found = orderIds.flatMap((id) => session.get(session.books.payments, id) ?? []);
  return new Map(found.map((payment) => [payment.orderId, payment]));
}

async function lockPayments(session: Session, orderIds: string[]): Promise<Map<string, Payment>> {
  const locked = new Map<string, Payment>();
  for (const orderId of [...new Set(orderIds)].sort()) {
    if (!session.get(session.books.payments, orderId)) continue;
    locked.set(orderId, (await session.lock(session.books.payments, orderId))!);
  }
  return locked;
}

async function insertPayments(session: Session, payments: Payment[]): Promise<number> {
  let inserted = 0;
  for (const payment of [...payments].sort((a, b) => (a.orderId < b.orderId ? -1 : 1))) {
    if (await session.lock(session.books.payments, payment.orderId)) continue;
    session.put(session.books.payments, payment.orderId, payment);
    inserted++;
  }
  return inserted;
}

async function markRefunded(session: Session, orderIds: string[]): Promise<void> {
  for (const orderId of orderIds) {
    const row = (await session.lock(session.books.payments, orderId))!;
    session.put(session.books.payments, orderId, { ...row, status: 'REFUNDED' });
  }
}
