import { empty, sql, type Sql, type Transaction } from '../database';
import { type Payment } from './payment';

/** The payments of those orders that have one. */
export function findPayments(tx: Transaction, orderIds: string[]): Promise<Map<string, Payment>> {
  return readPayments(tx, orderIds, empty);
}

/** The same, locked by order id. */
export function lockPayments(tx: Transaction, orderIds: string[]): Promise<Map<string, Payment>> {
  return readPayments(tx, orderIds, sql`FOR UPDATE`);
}

async function readPayments(tx: Transaction, orderIds: string[], locking: Sql): Promise<Map<string, Payment>> {
  const rows = await tx.$queryRaw<(Omit<Payment, 'amount'> & { amount: bigint })[]>`
    SELECT order_id AS "orderId", customer_id AS "customerId", status::text AS status, amount_minor AS amount, answer
    FROM accounts.payments WHERE order_id = ANY(${orderIds}::text[]) ORDER BY order_id ${locking}`;
  return new Map(rows.map((row) => [row.orderId, { ...row, amount: Number(row.amount) }]));
}

/**
 * Writes payments and returns how many were new: the primary key lets each order be answered once, ever. Rows go in by order id, so
 * that two workers with the same orders wait for one another and never deadlock. An order that was answered meanwhile is left out;
 * the caller then starts over.
 */
export async function insertPayments(tx: Transaction, payments: Payment[]): Promise<number> {
  if (payments.length === 0) return 0;
  return tx.$executeRaw`
    INSERT INTO accounts.payments (order_id, customer_id, status, amount_minor, answer)
    SELECT order_id, customer_id, status::accounts.payment_status, amount, answer::json
    FROM unnest(
      ${payments.map((payment) => payment.orderId)}::text[],
      ${payments.map((payment) => payment.customerId)}::text[],
      ${payments.map((payment) => payment.status)}::text[],
      ${payments.map((payment) => payment.amount)}::bigint[],
      ${payments.map(({ answer }) => (answer ? JSON.stringify(answer) : null))}::text[]
    ) AS payment(order_id, customer_id, status, amount, answer)
    ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING`;
}

export async function markRefunded(tx: Transaction, orderIds: string[]): Promise<void> {
  if (orderIds.length === 0) return;
  await tx.$executeRaw`
    UPDATE accounts.payments SET status = 'REFUNDED', updated_at = clock_timestamp() WHERE order_id = ANY(${orderIds}::text[])`;
}
