import { type Database } from '../../src/database';

/** What a process that died at a bad moment leaves for others to find. */
export type LeftBehind =
  /** Committed with its event, whose lease is over: died before the event was published. */
  | 'unpublished'
  /** The same, and published once already: died before its row was removed. */
  | 'repeated'
  /** PENDING and due to be asked for again, its event lost on the way. */
  | 'late'
  /** PENDING past its deadline. */
  | 'overdue';

/**
 * Writes an order just as `createOrder` does and as a crash leaves it. Sweeps that find something and orders that wait too long
 * are rare in a healthy world, and their failpoints would be waited for in vain.
 */
export async function leaveBehind(database: Database, what: LeftBehind, customerId: string, productId: number): Promise<void> {
  const copies = { unpublished: 1, repeated: 2, late: 0, overdue: 0 }[what];
  await database.$executeRaw`
    WITH placed AS (
      INSERT INTO orders.orders (id, customer_id, status, correlation_id, currency, deadline_at, watch_at)
      VALUES ('ORD-' || gen_random_uuid(), ${customerId}, 'PENDING', 'left behind', 'EUR',
        clock_timestamp() + CASE WHEN ${what === 'overdue'} THEN interval '0' ELSE interval '75 seconds' END,
        clock_timestamp() + CASE WHEN ${copies > 0} THEN interval '5 seconds' ELSE interval '0' END)
      RETURNING id, created_at
    ), line AS (
      INSERT INTO orders.order_items (order_id, product_id, quantity) SELECT id, ${productId}::int, 1 FROM placed
    ), history AS (
      INSERT INTO orders.order_history (order_id, version, event, to_status, at)
      SELECT id, 1, 'OrderCreated', 'PENDING', created_at FROM placed
    )
    INSERT INTO orders.outbox (id, aggregate_id, type, body, correlation_id, lease_until)
    SELECT gen_random_uuid(), id, 'OrderCreated', json_build_object('event', 'OrderCreated', 'order_id', id,
      'items', json_build_array(json_build_object('product_id', ${productId}::int, 'quantity', 1))), 'left behind', clock_timestamp()
    FROM placed, generate_series(1, ${copies}::int)`;
}
