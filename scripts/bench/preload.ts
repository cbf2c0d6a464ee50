import { Client } from 'pg';

import { openDatabase } from '../../src/database';
import { grouped } from '../simulate/progress';
import { refuseToGoOn } from './interruption';
import { addMany } from './products';
import { makeDatabase } from './servers';
import { type Stage } from './stage';

/** Makes a database of so many finished orders for each size, the smallest first, which may be none: all are treated alike. */
export async function preload(stage: Stage, sizes: { orders: number; name: string }[]): Promise<void> {
  let former: { orders: number; name: string } | undefined;
  for (const size of sizes) {
    if (former) await copyDatabase(stage, former.name, size.name);
    await fill(stage, size.name, former?.orders ?? 0, size.orders);
    former = size;
  }
}

async function copyDatabase({ servers, progress }: Stage, from: string, to: string): Promise<void> {
  progress.note(`copying ${from} to ${to}`);
  await withClient(servers.postgres.url, (client) => client.query(`CREATE DATABASE ${to} TEMPLATE ${from} STRATEGY file_copy`));
}

async function fill(stage: Stage, name: string, from: number, to: number): Promise<void> {
  const url = await makeDatabase(stage.servers, name);
  const firstProduct = await firstPreloadedProduct(url);
  const run = async (statements: readonly string[], counts: boolean) =>
    withClient(url, async (client) => {
      await client.query("SET synchronous_commit = off; SET session_replication_role = replica; SET work_mem = '256MB'");
      for (let first = from; first < to; first += CHUNK) {
        refuseToGoOn(stage.signal);
        const last = Math.min(to, first + CHUNK);
        for (const statement of statements) await client.query(statement, [first, last, firstProduct]);
        if (counts) stage.progress.note(`preloading ${name}: ${grouped(last)} of ${grouped(to)} orders`);
      }
    });
  await Promise.all([run(ordersSide, true), run(inventorySide, false)]);
  await settle(url, firstProduct);
}

const CHUNK = 25_000;
const PRODUCT_COUNT = 1_000;

async function firstPreloadedProduct(url: string): Promise<number> {
  const database = openDatabase({ url, poolSize: 1, applicationName: 'holdfast bench' });
  try {
    const [row] = await database.$queryRaw<
      { id: number | null }[]
    >`SELECT min(id) AS id FROM inventory.products WHERE sku LIKE 'PRELOAD-%'`;
    return row?.id ?? (await addMany(database, 'PRELOAD', PRODUCT_COUNT))[0]!;
  } finally {
    await database.close();
  }
}

/** The counters are made what the movements add up to; then the tables are what autovacuum would leave. */
async function settle(url: string, firstProduct: number): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(
      `UPDATE inventory.stock SET reserved = held.units FROM (
         SELECT product_id, sum(quantity)::int AS units FROM inventory.reservation_lines
         WHERE product_id BETWEEN $1 AND $2 GROUP BY product_id
       ) AS held WHERE held.product_id = stock.product_id`,
      [firstProduct, firstProduct + PRODUCT_COUNT - 1],
    );
    await client.query('VACUUM (ANALYZE)');
    await client.query('CHECKPOINT');
  });
}

/**
 * Orders $1 to below $2, CONFIRMED, three in ten of two lines, of products from $3 on. Ids begin with an older time than any that is
 * made now. Of every million the customers are the same hundred thousand, in their order, so that the rows go into the indexes as
 * they lie there.
 */
const numbered = `
  SELECT n, 'ORD-' || substr(time, 1, 8) || '-' || substr(time, 9, 4) || '-7' || substr(hash, 1, 3) || '-8' || substr(hash, 4, 3) || '-'
         || substr(hash, 7, 12) AS id,
         'customer-' || lpad(((n % 1000000) / 10)::text, 6, '0') || '-p' AS customer_id, hash,
         now() - interval '300 days' + n * interval '1 millisecond' AS at, CASE WHEN n % 10 < 3 THEN 2 ELSE 1 END AS lines
  FROM generate_series($1::bigint, $2::bigint - 1) AS n,
       LATERAL (SELECT lpad(to_hex(1672531200000 + n), 12, '0') AS time, md5(n::text) AS hash) AS made`;
const lined = `
  SELECT numbered.*, $3::int + ((n + line * 7) % ${PRODUCT_COUNT})::int AS product_id
  FROM (${numbered}) AS numbered, LATERAL generate_series(0, lines - 1) AS line`;

const ordersSide = [
  `INSERT INTO orders.orders (id, customer_id, status, version, correlation_id, currency, total_minor, idempotency_key, fingerprint,
     created_at, updated_at, deadline_at, watch_at)
   SELECT id, customer_id, 'CONFIRMED', 2, hash, 'EUR', lines * 1999, lpad(n::text, 12, '0'), hash, at, at, at + interval '10 minutes', at
   FROM (${numbered}) AS numbered WHERE $3::int IS NOT NULL`,
  `INSERT INTO orders.order_items (order_id, product_id, quantity, unit_price_minor) SELECT id, product_id, 1, 1999 FROM (${lined}) AS lined`,
  `INSERT INTO orders.order_history (order_id, version, event, from_status, to_status, at)
   SELECT id, version, event, from_status::orders.order_status, to_status::orders.order_status, at
   FROM (${numbered}) AS numbered,
        (VALUES (1, 'OrderCreated', NULL, 'PENDING'), (2, 'StockReserved', 'PENDING', 'CONFIRMED')) AS step(version, event, from_status, to_status)
   WHERE $3::int IS NOT NULL`,
];

const inventorySide = [
  `INSERT INTO inventory.reservations (order_id, status, answer, created_at, updated_at)
   SELECT id, 'ACTIVE', json_build_object('event', 'StockReserved', 'order_id', id, 'items', json_build_array(
     json_build_object('product_id', $3::int + (n % ${PRODUCT_COUNT})::int, 'quantity', 1, 'unit_price', 1999))), at, at
   FROM (${numbered}) AS numbered`,
  `INSERT INTO inventory.reservation_lines (order_id, product_id, quantity, unit_price_minor)
   SELECT id, product_id, 1, 1999 FROM (${lined}) AS lined`,
  `INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta, order_id, at)
   SELECT product_id, 'RESERVE', 0, 1, id, at FROM (${lined}) AS lined`,
];

async function withClient<T>(connectionString: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString, application_name: 'holdfast bench preload' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
