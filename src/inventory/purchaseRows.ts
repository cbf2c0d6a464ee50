import { type Transaction } from '../database';
import { isLimited, Purchases, type Purchase, type Stock } from './stock';

/** Who asks for what. */
export interface Buyer {
  customerId?: string | null;
  productIds: number[];
}

/**
 * What these customers hold or have bought of those products that have a limit. The caller holds the locks on the stock, and whoever
 * sells a product has had them: so nothing is counted too late. Nothing is asked where no product has a limit.
 */
export async function readPurchases(tx: Transaction, stock: ReadonlyMap<number, Stock>, buyers: Buyer[]): Promise<Purchases> {
  const asked = buyers.flatMap(({ customerId, productIds }) =>
    customerId == null ? [] : productIds.filter((id) => isLimited(stock.get(id))).map((productId) => ({ productId, customerId })),
  );
  return new Purchases(asked.length === 0 ? [] : await purchasesOf(tx, asked));
}

/** By the index that holds the lines of limited products alone; what is cancelled counts no more. */
function purchasesOf(tx: Transaction, asked: Omit<Purchase, 'units'>[]): Promise<Purchase[]> {
  return tx.$queryRaw`
    WITH asked AS MATERIALIZED (
      SELECT DISTINCT * FROM unnest(${asked.map(({ productId }) => productId)}::int[], ${asked.map(({ customerId }) => customerId)}::text[])
        AS asked(product_id, customer_id)
    )
    SELECT line.product_id AS "productId", line.customer_id AS "customerId", sum(line.quantity)::float8 AS units
    FROM asked
    JOIN inventory.reservation_lines AS line
      ON line.product_id = asked.product_id AND line.customer_id = asked.customer_id AND line.customer_id IS NOT NULL
    JOIN inventory.reservations AS reservation ON reservation.order_id = line.order_id
    WHERE reservation.status IN ('ACTIVE', 'COMMITTED')
    GROUP BY line.product_id, line.customer_id`;
}

/**
 * Sets or lifts the limit of a product; the caller holds the lock on its stock. What was sold before the limit counts, too: its lines
 * enter the index now, found by the product's movements.
 */
export async function setLimit(tx: Transaction, { productId, maxPerCustomer }: Stock, limit: number | null): Promise<void> {
  await tx.$executeRaw`
    UPDATE inventory.stock SET max_per_customer = ${limit}::int, updated_at = clock_timestamp() WHERE product_id = ${productId}`;
  if (limit === null || maxPerCustomer != null) return;
  await tx.$executeRaw`
    UPDATE inventory.reservation_lines AS line SET customer_id = reservation.customer_id
    FROM inventory.movements AS movement JOIN inventory.reservations AS reservation ON reservation.order_id = movement.order_id
    WHERE movement.product_id = ${productId} AND movement.kind IN ('RESERVE', 'AMEND')
      AND line.order_id = movement.order_id AND line.product_id = ${productId} AND line.customer_id IS NULL
      AND reservation.customer_id IS NOT NULL AND reservation.status IN ('ACTIVE', 'COMMITTED')`;
}
