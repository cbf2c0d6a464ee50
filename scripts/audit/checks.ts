import { sql, type Sql } from '../../src/database';
import { type AuditCheck, type AuditedLine, type AuditScope, type ForeignOrder } from './scope';

/**
 * What must hold of orders, stock and money, each with the statement that finds where it does not. The I-numbers are those of the
 * invariants in the reliability plan: I4 is "no stock reserved twice for an order line", and so on.
 */
export const auditChecks: readonly AuditCheck[] = [
  {
    name: 'acknowledged orders are stored',
    group: 'lost',
    promise: 'Every order a client was told of is in the database, under its key and with the lines that were sent (I12, I13).',
    byJournal: true,
    breaks: lost,
  },
  {
    name: 'foreign orders are answered',
    group: 'lost',
    promise: 'Every foreign order has a reservation, and heard on `inventory` what was decided, and nothing else.',
    breaks: ({ foreign }) => sql`
      SELECT told.order_id || ': heard ' || coalesce(nullif(told.answer, ''), 'nothing') || ', stored '
        || coalesce(reservation.status::text, 'nothing') AS line
      FROM (${foreignTable(foreign)}) AS told
      LEFT JOIN inventory.reservations AS reservation USING (order_id)
      WHERE told.answer IS DISTINCT FROM CASE reservation.status
        WHEN 'ACTIVE' THEN 'StockReserved' WHEN 'REJECTED' THEN 'StockRejected' END`,
  },
  {
    name: 'one order per idempotency key',
    group: 'duplicated',
    promise: 'No two orders have the same customer and idempotency key (I12).',
    breaks: (scope) => sql`
      SELECT customer_id || ' / ' || idempotency_key || ': ' || count(*) || ' orders' AS line
      FROM orders.orders WHERE ${isOurs(scope)}
      GROUP BY customer_id, idempotency_key HAVING count(*) > 1 AND idempotency_key IS NOT NULL`,
  },
  {
    name: 'one decision per order',
    group: 'duplicated',
    promise: 'An order leaves PENDING once and closes once (I8, I11).',
    breaks: (scope) => sql`
      SELECT order_id || ': left ' || coalesce(from_status::text, 'nothing') || ' ' || count(*) || ' times' AS line
      FROM orders.order_history WHERE order_id IN (${ourIds(scope)}) AND from_status IS DISTINCT FROM to_status
      GROUP BY order_id, from_status HAVING count(*) > 1`,
  },
  {
    name: 'one movement per reserved line',
    group: 'duplicated',
    promise:
      'What was ever reserved for an order moved each of its lines once, and once for each update of it: together by its quantity (I4, I11).',
    breaks: (scope) => sql`
      SELECT order_id || ' / product ' || product_id || ': holds ' || coalesce(line.quantity, 0) || ', reserved in '
        || coalesce(moved.times, 0) || ' movements of ' || coalesce(moved.units, 0) AS line
      FROM (SELECT * FROM inventory.reservation_lines WHERE ${isAmong(scope.productIds)}) AS line
      FULL JOIN (
        SELECT order_id, product_id, count(*) AS times, count(DISTINCT amendment) AS causes, sum(reserved_delta) AS units
        FROM inventory.movements
        WHERE ${isAmong(scope.productIds)} AND kind IN ('RESERVE', 'AMEND') GROUP BY order_id, product_id
      ) AS moved USING (order_id, product_id)
      WHERE moved.times IS DISTINCT FROM moved.causes OR coalesce(moved.units, 0) <> coalesce(line.quantity, 0)`,
  },
  {
    name: 'every update is decided',
    group: 'stuck',
    atRest: true,
    promise: 'At rest no update of an order is PENDING (I5).',
    breaks: (scope) => sql`
      SELECT order_id || ': update ' || number || ' PENDING since ' || requested_at AS line
      FROM orders.amendments WHERE order_id IN (${ourIds(scope)}) AND status = 'PENDING'`,
  },
  {
    name: 'updates are what inventory decided',
    group: 'mismatched',
    promise: 'An update is applied when inventory said yes, rejected when it said no, and either once (I7, I11).',
    breaks: (scope) => sql`
      SELECT order_id || ': update ' || number || ' ' || asked.status || ', inventory answered '
        || coalesce(stored.answer->>'event', 'nothing') AS line
      FROM orders.amendments AS asked
      LEFT JOIN inventory.amendments AS stored USING (order_id)
      WHERE order_id IN (${ourIds(scope)}) AND stored.amendment = number
        AND (asked.status = 'APPLIED' AND stored.answer->>'event' <> 'StockAmended'
          OR asked.status = 'REJECTED' AND stored.answer->>'event' <> 'AmendmentRejected')
      UNION ALL
      SELECT order_id || ': update ' || number || ' ' || asked.status || ', inventory never answered'
      FROM orders.amendments AS asked
      WHERE order_id IN (${ourIds(scope)}) AND asked.status IN ('APPLIED', 'REJECTED')
        AND NOT EXISTS (SELECT FROM inventory.amendments AS stored
                        WHERE stored.order_id = asked.order_id AND stored.amendment = asked.number)
      UNION ALL
      SELECT order_id || ': ' || coalesce(applied.times, 0) || ' updates applied, ' || coalesce(told.times, 0) || ' in its history'
      FROM (SELECT order_id, count(*) AS times FROM orders.amendments WHERE status = 'APPLIED' GROUP BY order_id) AS applied
      FULL JOIN (SELECT order_id, count(*) AS times FROM orders.order_history WHERE event = 'StockAmended' GROUP BY order_id) AS told
        USING (order_id)
      WHERE order_id IN (${ourIds(scope)}) AND applied.times IS DISTINCT FROM told.times`,
  },
  {
    name: 'every order is decided',
    group: 'stuck',
    atRest: true,
    promise: 'At rest no order is PENDING or RESERVED (I5).',
    breaks: (scope) => sql`
      SELECT id || ': ' || status || ', placed at ' || created_at AS line
      FROM orders.orders WHERE ${isOurs(scope)} AND status IN ('PENDING', 'RESERVED')`,
  },
  {
    name: 'every event is out',
    group: 'stuck',
    atRest: true,
    promise: 'At rest no event of these orders waits in an outbox (I9).',
    breaks: (scope) => sql`
      SELECT aggregate_id || ': ' || type || ' not published since ' || created_at AS line
      FROM (
        SELECT * FROM orders.outbox UNION ALL SELECT * FROM inventory.outbox UNION ALL SELECT * FROM accounts.outbox
        UNION ALL SELECT * FROM notifications.outbox
      ) AS waiting
      WHERE aggregate_id IN (${ourIds(scope)}) OR aggregate_id = ANY(${scope.foreign.map((order) => order.orderId)}::text[])`,
  },
  {
    name: 'nothing is sold twice',
    group: 'oversold',
    promise: 'Confirmed orders together hold no more units of a product than it started with and was given since (I14).',
    breaks: (scope) => sql`
      SELECT 'product ' || product_id || ': sold ' || sold.units || ' of ' || coalesce(had.units, 0) AS line
      FROM (${sold(scope.productIds)}) AS sold LEFT JOIN (${had(scope.productIds)}) AS had USING (product_id)
      WHERE sold.units > coalesce(had.units, 0)`,
  },
  {
    name: 'counters are possible',
    group: 'oversold',
    promise: 'Of every product, 0 ≤ reserved ≤ on hand (I1).',
    breaks: (scope) => sql`
      SELECT 'product ' || product_id || ': on hand ' || on_hand || ', reserved ' || reserved AS line
      FROM inventory.stock WHERE ${isAmong(scope.productIds)} AND NOT (0 <= reserved AND reserved <= on_hand)`,
  },
  {
    name: 'counters are the sum of movements',
    group: 'oversold',
    promise: 'On hand and reserved are what the movements add up to (I2).',
    breaks: (scope) => sql`
      SELECT 'product ' || product_id || ': on hand ' || on_hand || ', moved ' || coalesce(moved.on_hand_delta, 0)
        || '; reserved ' || reserved || ', moved ' || coalesce(moved.reserved_delta, 0) AS line
      FROM inventory.stock
      LEFT JOIN (
        SELECT product_id, sum(on_hand_delta) AS on_hand_delta, sum(reserved_delta) AS reserved_delta
        FROM inventory.movements WHERE ${isAmong(scope.productIds)} GROUP BY product_id
      ) AS moved USING (product_id)
      WHERE ${isAmong(scope.productIds)}
        AND (on_hand <> coalesce(moved.on_hand_delta, 0) OR reserved <> coalesce(moved.reserved_delta, 0))`,
  },
  {
    name: 'reserved is what reservations hold',
    group: 'leaked',
    promise: 'Reserved is the sum of the lines of ACTIVE reservations (I3).',
    breaks: (scope) => sql`
      SELECT 'product ' || product_id || ': reserved ' || reserved || ', held ' || coalesce(held.units, 0) AS line
      FROM inventory.stock
      LEFT JOIN (
        SELECT product_id, sum(quantity) AS units
        FROM inventory.reservation_lines JOIN inventory.reservations USING (order_id)
        WHERE status = 'ACTIVE' AND ${isAmong(scope.productIds)} GROUP BY product_id
      ) AS held USING (product_id)
      WHERE ${isAmong(scope.productIds)} AND reserved <> coalesce(held.units, 0)`,
  },
  {
    name: 'confirmed orders hold their lines',
    group: 'mismatched',
    atRest: true,
    promise: 'A CONFIRMED order has an ACTIVE reservation of exactly its lines, a FULFILLED one a COMMITTED (I6, I7).',
    breaks: (scope) => sql`
      SELECT orders.id || ': ' || orders.status || ' ' || coalesce(ordered.lines, 'no lines') || ', reservation '
        || coalesce(reservation.status::text, 'none') || ' ' || coalesce(held.lines, 'no lines') AS line
      FROM (${ours(scope)}) AS orders
      LEFT JOIN inventory.reservations AS reservation ON reservation.order_id = orders.id
      LEFT JOIN LATERAL (${linesOf('orders', 'order_items')} WHERE order_id = orders.id) AS ordered ON true
      LEFT JOIN LATERAL (${linesOf('inventory', 'reservation_lines')} WHERE order_id = orders.id) AS held ON true
      WHERE (orders.status = 'CONFIRMED' OR orders.status = 'FULFILLED')
        AND (reservation.status::text IS DISTINCT FROM CASE orders.status WHEN 'CONFIRMED' THEN 'ACTIVE' ELSE 'COMMITTED' END
             OR ordered.lines IS DISTINCT FROM held.lines)`,
  },
  {
    name: 'money taken without goods',
    group: 'unearned',
    atRest: true,
    promise: 'At rest money is taken for no order that is not CONFIRMED or FULFILLED with a payment (S3.7).',
    breaks: (scope) => sql`
      SELECT payment.order_id || ': ' || payment.amount_minor || ' taken and not given back, the order is ' || orders.status
        || ' with payment ' || orders.payment AS line
      FROM accounts.payments AS payment JOIN orders.orders ON orders.id = payment.order_id
      WHERE orders.id IN (${ourIds(scope)}) AND payment.status = 'CAPTURED'
        AND NOT (orders.status IN ('CONFIRMED', 'FULFILLED') AND orders.payment <> 'NONE')`,
  },
  {
    name: 'goods given without money',
    group: 'unpaid',
    promise: 'Every CONFIRMED or FULFILLED order with a payment has its total captured from its customer (S3.7).',
    breaks: (scope) => sql`
      SELECT orders.id || ': ' || orders.status || ' for ' || coalesce(total_minor, 0) || ', payment '
        || coalesce(payment.status::text, 'none') || ' of ' || coalesce(payment.amount_minor, 0) AS line
      FROM orders.orders LEFT JOIN accounts.payments AS payment ON payment.order_id = orders.id
      WHERE orders.id IN (${ourIds(scope)}) AND orders.payment <> 'NONE' AND orders.status IN ('CONFIRMED', 'FULFILLED')
        AND (payment.status, payment.amount_minor, payment.customer_id)
            IS DISTINCT FROM ('CAPTURED'::accounts.payment_status, orders.total_minor, orders.customer_id)`,
  },
  {
    name: 'balances are the sum of entries',
    group: 'mismatched',
    promise: 'What a customer has is what was paid in, taken and given back (S3.9).',
    breaks: (scope) => sql`
      SELECT customer_id || ': balance ' || balance_minor || ', entries ' || coalesce(booked.amount, 0) AS line
      FROM accounts.accounts
      LEFT JOIN (
        SELECT customer_id, sum(amount_minor) AS amount FROM accounts.entries WHERE ${isOurs(scope)} GROUP BY customer_id
      ) AS booked USING (customer_id)
      WHERE ${isOurs(scope)} AND balance_minor <> coalesce(booked.amount, 0)`,
  },
  {
    name: 'no balance is negative',
    group: 'unpaid',
    promise: 'Nobody spends what they do not have (S3.9).',
    breaks: (scope) => sql`
      SELECT customer_id || ': balance ' || balance_minor AS line
      FROM accounts.accounts WHERE ${isOurs(scope)} AND balance_minor < 0`,
  },
  {
    name: 'payments are booked as they stand',
    group: 'mismatched',
    promise:
      'A payment that is CAPTURED was taken once, one that is REFUNDED was given back once, and of no other was anything booked.',
    breaks: (scope) => sql`
      SELECT order_id || ': ' || coalesce(payment.status::text, 'no payment') || ' of ' || coalesce(payment.amount_minor, 0)
        || ', taken ' || coalesce(booked.taken::text, 'nothing') || ', given back ' || coalesce(booked.back::text, 'nothing') AS line
      FROM (SELECT * FROM accounts.payments WHERE ${isOurs(scope)}) AS payment
      FULL JOIN (
        SELECT order_id, -sum(amount_minor) FILTER (WHERE kind = 'CAPTURE') AS taken,
               sum(amount_minor) FILTER (WHERE kind = 'REFUND') AS back
        FROM accounts.entries WHERE ${isOurs(scope)} AND kind <> 'DEPOSIT' GROUP BY order_id
      ) AS booked USING (order_id)
      WHERE booked.taken IS DISTINCT FROM CASE WHEN payment.status IN ('CAPTURED', 'REFUNDED') THEN payment.amount_minor END
         OR booked.back IS DISTINCT FROM CASE WHEN payment.status = 'REFUNDED' THEN payment.amount_minor END`,
  },
  {
    name: 'cancelled orders hold nothing',
    group: 'leaked',
    atRest: true,
    promise: 'At rest a CANCELLED order has no reservation that is ACTIVE or COMMITTED (I6).',
    breaks: (scope) => sql`
      SELECT orders.id || ': CANCELLED, reservation ' || reservation.status AS line
      FROM (${ours(scope)}) AS orders JOIN inventory.reservations AS reservation ON reservation.order_id = orders.id
      WHERE orders.status = 'CANCELLED' AND reservation.status IN ('ACTIVE', 'COMMITTED')`,
  },
  {
    name: 'foreign orders hold their lines',
    group: 'mismatched',
    promise: 'The reservation of a foreign order holds exactly the lines that were sent, or nothing when it was rejected (I7).',
    breaks: ({ foreign }) => sql`
      SELECT told.order_id || ': sent ' || told.lines || ', ' || reservation.status || ' ' || coalesce(held.lines, 'no lines') AS line
      FROM (${foreignTable(foreign)}) AS told
      JOIN inventory.reservations AS reservation USING (order_id)
      LEFT JOIN LATERAL (${linesOf('inventory', 'reservation_lines')} WHERE order_id = told.order_id) AS held ON true
      WHERE held.lines IS DISTINCT FROM CASE WHEN reservation.status <> 'REJECTED' THEN told.lines END`,
  },
  {
    name: 'histories are whole',
    group: 'mismatched',
    promise: 'The history of an order leads from PENDING to its status, in allowed steps without a gap (I8).',
    breaks: (scope) => sql`
      WITH orders AS (${ours(scope)}), step AS (
        SELECT history.*, lag(to_status) OVER life AS before, row_number() OVER life AS place
        FROM orders.order_history AS history JOIN orders ON orders.id = history.order_id
        WINDOW life AS (PARTITION BY order_id ORDER BY history.version)
      )
      SELECT order_id || ': ' || coalesce(from_status::text, 'nothing') || ' to ' || to_status || ' as version ' || version AS line
      FROM step
      WHERE from_status IS DISTINCT FROM before OR version <> place
         OR (coalesce(from_status::text, ''), to_status::text) NOT IN
            (('', 'PENDING'), ('PENDING', 'CONFIRMED'), ('PENDING', 'CANCELLED'), ('CONFIRMED', 'FULFILLED'), ('CONFIRMED', 'CANCELLED'),
             ('PENDING', 'RESERVED'), ('RESERVED', 'CONFIRMED'), ('RESERVED', 'CANCELLED'), ('CONFIRMED', 'CONFIRMED'))
         OR (event = 'StockAmended') <> (from_status IS NOT DISTINCT FROM to_status)
      UNION ALL
      SELECT orders.id || ': ' || orders.status || ', its history ends in ' || coalesce(step.to_status::text, 'nothing')
      FROM orders LEFT JOIN step ON step.order_id = orders.id AND step.version = orders.version
      WHERE step.to_status IS DISTINCT FROM orders.status`,
  },
  {
    name: 'every closing is answered',
    group: 'stuck',
    atRest: true,
    promise:
      'At rest inventory has answered for every order that was cancelled or fulfilled, and accounts for every refund (I15).',
    breaks: (scope) => sql`
      SELECT order_id || ': closed at ' || closed_at || ', and ' || who || ' has not answered' AS line
      FROM (
        SELECT *, 'inventory' AS who FROM orders.closings UNION ALL SELECT *, 'accounts' FROM orders.refunds
      ) AS unanswered
      WHERE order_id IN (${ourIds(scope)})`,
  },
  {
    name: 'reservations are whole',
    group: 'mismatched',
    promise: 'A reservation holds every line of its order, or of an update of it that the order has not followed; or none (I7).',
    breaks: (scope) => sql`
      SELECT orders.id || ': ordered ' || coalesce(ordered.lines, 'no lines') || ', reserved ' || held.lines AS line
      FROM (${ours(scope)}) AS orders
      LEFT JOIN LATERAL (${linesOf('orders', 'order_items')} WHERE order_id = orders.id) AS ordered ON true
      JOIN LATERAL (${linesOf('inventory', 'reservation_lines')} WHERE order_id = orders.id) AS held ON true
      WHERE held.lines IS NOT NULL AND held.lines IS DISTINCT FROM ordered.lines
        AND NOT EXISTS (SELECT FROM orders.amendments AS ahead
          WHERE ahead.order_id = orders.id AND ahead.status IN ('PENDING', 'OVERTAKEN')
            AND held.lines = (SELECT ${linesInJson} FROM ${jsonLines(sql`ahead.lines`)}))`,
  },
  {
    name: 'orders expire at their deadline',
    group: 'mismatched',
    promise: 'No order is given up before its deadline, whatever the clocks of the processes say (I8).',
    breaks: (scope) => sql`
      SELECT orders.id || ': given up at ' || history.at || ', its deadline was ' || deadline_at AS line
      FROM (${ours(scope)}) AS orders JOIN orders.order_history AS history ON history.order_id = orders.id
      WHERE history.event = 'ExpireOrder' AND history.at < deadline_at`,
  },
  {
    name: 'acknowledged closings hold',
    group: 'lost',
    promise: 'An order that a client was told is cancelled, or fulfilled, is so for ever (I8, I13).',
    breaks: ({ closed = [] }) => sql`
      SELECT told.order_id || ': told ' || told.status || ', stored ' || coalesce(orders.status::text, 'nothing') AS line
      FROM unnest(${closed.map((order) => order.orderId)}::text[], ${closed.map((order) => order.status)}::text[])
        AS told(order_id, status)
      LEFT JOIN orders.orders ON orders.id = told.order_id
      WHERE orders.status::text IS DISTINCT FROM told.status`,
  },
  {
    name: 'every change was told',
    group: 'lost',
    atRest: true,
    promise: 'Each step of an order was published as its event, and a subscriber heard it (I9, I10).',
    breaks: (scope) => sql`
      SELECT history.order_id || ': ' || ${eventOfStep} || ' as version ' || history.version || ' was never heard' AS line
      FROM orders.order_history AS history
      LEFT JOIN (${heardTable(scope)}) AS heard
        ON heard.order_id = history.order_id AND heard.event = ${eventOfStep} AND heard.version = history.version
      WHERE ${scope.heard !== undefined} AND history.order_id IN (${ourIds(scope)}) AND heard.order_id IS NULL`,
  },
  {
    name: 'nothing is told that did not happen',
    group: 'duplicated',
    promise: 'An event of an order that was published stands in its history, under the same version (I9).',
    breaks: (scope) => sql`
      SELECT heard.order_id || ': ' || heard.event || ' as version ' || heard.version || ' never happened' AS line
      FROM (${heardTable(scope)}) AS heard
      LEFT JOIN orders.order_history AS history
        ON history.order_id = heard.order_id AND history.version = heard.version AND ${eventOfStep} = heard.event
      WHERE heard.event LIKE 'Order%' AND history.order_id IS NULL`,
  },
  {
    name: 'dead letters are the poison sent',
    group: 'lost',
    promise: 'Every message that nobody can understand is one dead letter, and nothing else is (I10, I16).',
    breaks: ({ poison }) => sql`
      SELECT coalesce(sent.id, 'not ours') || ' in ' || coalesce(dead.queue, 'no queue') || ': '
        || coalesce(dead.reason, 'sent, and no dead letter') AS line
      FROM unnest(${poison ?? []}::text[]) AS sent(id)
      FULL JOIN (SELECT * FROM operations.dead_letters WHERE ${poison !== undefined}) AS dead ON dead.message_id = sent.id
      WHERE sent.id IS NULL OR dead.id IS NULL
      UNION ALL
      SELECT message_id || ': ' || count(*) || ' dead letters' FROM operations.dead_letters
      WHERE message_id = ANY(${poison ?? []}::text[]) GROUP BY message_id HAVING count(*) > 1`,
  },
  {
    name: 'no message wears out',
    group: 'mismatched',
    promise: 'No message dies because it was handed out too often: each is settled, or refused for a reason (F11, F12).',
    breaks: ({ poison }) => sql`
      SELECT queue || ' / ' || coalesce(message_id, 'no id') || ': ' || reason AS line FROM operations.dead_letters
      WHERE ${poison !== undefined} AND reason LIKE 'Handed out more than%'`,
  },
  {
    name: 'no transaction is left open',
    group: 'leaked',
    promise: 'No session holds a transaction open for more than 30 seconds (I15).',
    breaks: ({ idleSecondsMax = 30 }) => sql`
      SELECT application_name || ' (pid ' || pid || '): ' || state || ' since ' || state_change AS line
      FROM pg_stat_activity
      WHERE datname = current_database() AND state LIKE 'idle in transaction%'
        AND state_change < clock_timestamp() - ${idleSecondsMax} * interval '1 second'`,
  },
  {
    name: 'short stock is sold to the last unit',
    group: 'mismatched',
    promise: 'A product that more was wanted of than there was is sold out: no unit stays behind while an order is refused.',
    breaks: (scope) => sql`
      SELECT 'product ' || product_id || ': sold ' || coalesce(sold.units, 0) || ' of ' || had.units AS line
      FROM (${had(scope.soldOutProductIds)}) AS had LEFT JOIN (${sold(scope.soldOutProductIds)}) AS sold USING (product_id)
      WHERE coalesce(sold.units, 0) <> had.units`,
  },
];

/** I12, I13. An order under another key than its own would be the second order of that key. Updates change lines: what counts is how they began. */
function lost({ acknowledged }: AuditScope): Sql {
  return sql`
    SELECT told.order_id || CASE
      WHEN orders.id IS NULL THEN ': acknowledged, and not in the database'
      WHEN (orders.customer_id, orders.idempotency_key) IS DISTINCT FROM (told.customer_id, told.idempotency_key) THEN
        ': acknowledged for ' || told.customer_id || ' / ' || told.idempotency_key || ', stored for '
          || orders.customer_id || ' / ' || coalesce(orders.idempotency_key, 'no key')
      ELSE ': sent ' || told.lines || ', stored ' || coalesce(original.lines, stored.lines, 'no lines') END AS line
    FROM unnest(
      ${acknowledged.map((order) => order.orderId)}::text[],
      ${acknowledged.map((order) => order.customerId)}::text[],
      ${acknowledged.map((order) => order.idempotencyKey)}::text[],
      ${acknowledged.map((order) => inWords(order.lines))}::text[]
    ) AS told(order_id, customer_id, idempotency_key, lines)
    LEFT JOIN orders.orders ON orders.id = told.order_id
    LEFT JOIN LATERAL (${linesOf('orders', 'order_items')} WHERE order_id = told.order_id) AS stored ON true
    LEFT JOIN LATERAL (
      SELECT (SELECT ${linesInJson} FROM ${jsonLines(sql`amendments.before`)}) AS lines FROM orders.amendments
      WHERE order_id = told.order_id AND status = 'APPLIED' ORDER BY number LIMIT 1
    ) AS original ON true
    WHERE orders.id IS NULL OR coalesce(original.lines, stored.lines) IS DISTINCT FROM told.lines
       OR (orders.customer_id, orders.idempotency_key) IS DISTINCT FROM (told.customer_id, told.idempotency_key)`;
}

function ours(scope: AuditScope): Sql {
  return sql`SELECT id, status, version, deadline_at FROM orders.orders WHERE ${isOurs(scope)}`;
}

/** Of a table with customers, such as `orders.orders`: the row is of one whose orders are audited. */
export function isOurs({ customers }: Pick<AuditScope, 'customers'>): Sql {
  return customers === 'all' ? sql`true` : sql`customer_id = ANY(${customers}::text[])`;
}

function isAmong(productIds: AuditScope['productIds']): Sql {
  return productIds === 'all' ? sql`true` : sql`product_id = ANY(${productIds}::int[])`;
}

function ourIds(scope: AuditScope): Sql {
  return sql`SELECT id FROM (${ours(scope)}) AS ours`;
}

/** Lines as `product × quantity`, by product id, to be compared as text; the caller adds the WHERE. Null when there are none. */
function linesOf(schema: 'orders' | 'inventory', table: 'order_items' | 'reservation_lines'): Sql {
  const from = schema === 'orders' && table === 'order_items' ? sql`orders.order_items` : sql`inventory.reservation_lines`;
  return sql`SELECT string_agg(product_id || '×' || quantity, ' ' ORDER BY product_id) AS lines FROM ${from}`;
}

/** The same of lines that are kept as JSON. */
const linesInJson = sql`string_agg("productId" || '×' || quantity, ' ' ORDER BY "productId")`;

function jsonLines(column: Sql): Sql {
  return sql`jsonb_to_recordset(${column}) AS line("productId" int, quantity int)`;
}

function inWords(lines: AuditedLine[]): string {
  const byProduct = [...lines].sort((a, b) => a.productId - b.productId);
  return byProduct.map(({ productId, quantity }) => `${productId}×${quantity}`).join(' ');
}

function foreignTable(foreign: ForeignOrder[]): Sql {
  return sql`
    SELECT * FROM unnest(
      ${foreign.map((order) => order.orderId)}::text[],
      ${foreign.map((order) => inWords(order.lines))}::text[],
      ${foreign.map((order) => [...new Set(order.answers)].join(' and '))}::text[]
    ) AS told(order_id, lines, answer)`;
}

/**
 * What orders and inventory say is gone: our confirmed orders by their own lines; by their reservations foreign ones, and those that
 * an update is under way for, because inventory may be ahead of them.
 */
export function sold(productIds: AuditScope['productIds']): Sql {
  return sql`
    SELECT product_id, sum(quantity) AS units FROM (
      SELECT product_id, quantity FROM orders.order_items JOIN orders.orders ON orders.id = order_items.order_id
      WHERE ${isAmong(productIds)} AND status IN ('CONFIRMED', 'FULFILLED')
        AND NOT EXISTS (SELECT FROM ${underWay} WHERE under_way.order_id = orders.id)
      UNION ALL
      SELECT product_id, quantity FROM inventory.reservation_lines JOIN inventory.reservations USING (order_id)
      WHERE ${isAmong(productIds)} AND status IN ('ACTIVE', 'COMMITTED')
        AND (NOT EXISTS (SELECT FROM orders.orders WHERE orders.id = reservation_lines.order_id)
             OR EXISTS (SELECT FROM ${underWay} WHERE under_way.order_id = reservation_lines.order_id))
    ) AS taken GROUP BY product_id`;
}

const underWay = sql`(SELECT order_id FROM orders.amendments WHERE status = 'PENDING') AS under_way`;

/** Every unit that came in or was taken out by hand. */
function had(productIds: AuditScope['productIds']): Sql {
  return sql`
    SELECT product_id, sum(on_hand_delta) AS units FROM inventory.movements
    WHERE ${isAmong(productIds)} AND kind <> 'COMMIT' GROUP BY product_id`;
}

/** What was heard, with the version that an event without one stands for: the first. */
function heardTable({ heard = [] }: AuditScope): Sql {
  return sql`
    SELECT event, order_id, coalesce(version, 1) AS version FROM unnest(
      ${heard.map(({ event }) => event)}::text[],
      ${heard.map(({ orderId }) => orderId)}::text[],
      ${heard.map(({ version }) => version)}::int[]
    ) AS heard(event, order_id, version)`;
}

/** The event that each step of an order's history is told by. */
const eventOfStep = sql`CASE WHEN history.event = 'StockAmended' THEN 'OrderUpdated' ELSE CASE history.to_status
  WHEN 'PENDING' THEN 'OrderCreated' WHEN 'RESERVED' THEN 'OrderReserved' WHEN 'CONFIRMED' THEN 'OrderConfirmed'
  WHEN 'CANCELLED' THEN 'OrderCancelled' WHEN 'FULFILLED' THEN 'OrderFulfilled' END END`;
