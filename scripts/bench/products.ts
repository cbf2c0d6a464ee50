import { type Database } from '../../src/database';

/** What is ordered in a bench: many products, and one that everybody wants. */
export interface Products {
  uniform: number[];
  hot: number;
}

const UNIFORM_COUNT = 1_000;
/** Never short: a bench measures what is sold. */
const ON_HAND = 1_000_000_000;

export async function addProducts(database: Database): Promise<Products> {
  const uniform = await addMany(database, 'BENCH', UNIFORM_COUNT);
  const [hot] = await addMany(database, 'BENCH-HOT', 1);
  return { uniform, hot: hot! };
}

/** In one statement, with the movement that each stock begins with. */
export async function addMany(database: Database, prefix: string, count: number): Promise<number[]> {
  const rows = await database.$queryRaw<{ id: number }[]>`
    WITH added AS (
      INSERT INTO inventory.products (sku, name, price_minor, currency)
      SELECT ${prefix} || '-' || n, 'Of the bench, ' || n, 1999, 'EUR' FROM generate_series(1, ${count}::int) AS n
      RETURNING id
    ), stocked AS (
      INSERT INTO inventory.stock (product_id, on_hand) SELECT id, ${ON_HAND}::int FROM added
    ), moved AS (
      INSERT INTO inventory.movements (product_id, kind, on_hand_delta, reserved_delta) SELECT id, 'INITIAL', ${ON_HAND}::int, 0 FROM added
    )
    SELECT id FROM added ORDER BY id`;
  return rows.map(({ id }) => id);
}
