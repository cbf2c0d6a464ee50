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
  | 'overdue'
  /** Asked for by message; nobody has placed it. */
  | 'requested'
  /** As `unpublished`; to be paid, and then cancelled, by commands. */
  | 'commanded';

/**
 * Writes an order just as `createOrder` does and as a crash leaves it. Sweeps that find something, orders that wait too long and
 * what is sent by message are rare in a world of clients at the doors, and their failpoints would be waited for in vain.
 */
export async function leaveBehind(database: Database, what: LeftBehind, customerId: string, productId: number): Promise<void> {
  if (what === 'requested') return request(database, customerId, productId);
  const copies = { unpublished: 1, repeated: 2, late: 0, overdue: 0, commanded: 1 }[what];
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
    ), message AS (
      SELECT id, json_build_object('event', 'OrderCreated', 'order_id', id,
        'items', json_build_array(json_build_object('product_id', ${productId}::int, 'quantity', 1))) AS body
      FROM placed, generate_series(1, ${copies}::int)
      UNION ALL
      SELECT id, json_build_object('event', 'PaymentRequested', 'order_id', id) FROM placed WHERE ${what === 'commanded'}
      UNION ALL
      SELECT id, json_build_object('event', 'OrderChangeRequested', 'order_id', id, 'status', 'CANCELLED')
      FROM placed WHERE ${what === 'commanded'}
    )
    INSERT INTO orders.outbox (id, aggregate_id, type, body, correlation_id, lease_until)
    SELECT gen_random_uuid(), id, body ->> 'event', body, 'left behind', clock_timestamp() FROM message`;
}

/** A message that a client would send itself; a relay sends it in its place, whatever the broker is. */
async function request(database: Database, customerId: string, productId: number): Promise<void> {
  await database.$executeRaw`
    INSERT INTO orders.outbox (id, aggregate_id, type, body, correlation_id, lease_until)
    SELECT gen_random_uuid(), reference, 'OrderRequested', json_build_object('event', 'OrderRequested', 'order_id', reference,
      'user_id', ${customerId}::text, 'order', json_build_array(json_build_object('product_id', ${productId}::int, 'quantity', 1))),
      'left behind', clock_timestamp()
    FROM (SELECT gen_random_uuid()::text AS reference) AS client`;
}
