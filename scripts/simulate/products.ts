import { sqlStateOf, type Database } from '../../src/database';
import { type Client } from './client';
import { Ending, exitCodes, usageFault } from '../exit';

/** Adds products for this run alone, so that runs do not disturb each other; returns their ids in the order of `stock`. */
export async function createProducts(client: Client, run: string, stock: number[]): Promise<number[]> {
  const ids: number[] = [];
  for (const [index, onHand] of stock.entries()) {
    const sku = `SIM-${run}-${index + 1}`;
    ids.push(await createProduct(client, { sku, name: `Simulated ${index + 1} of run ${run}`, price: 1_999, onHand }));
  }
  return ids;
}

/** Adds a product; when an answer got lost on the way, the sku finds what was added. */
export async function createProduct(
  client: Client,
  input: { sku: string; name: string; price: number; onHand: number },
): Promise<number> {
  const { createProduct: result } = await client.ask<{ createProduct: ProductAnswer }>(creation, { input });
  if (result.id !== undefined) return result.id;
  if (result.code === 'SKU_TAKEN') {
    const { product } = await client.ask<{ product: { id: number } | null }>(
      'query ($sku: String) { product(sku: $sku) { id } }',
      input,
    );
    if (product) return product.id;
  }
  throw new Ending(exitCodes.failed, `The product ${input.sku} could not be added: ${result.message}`);
}

/** Takes the run's products off sale, so that they do not stand in the shop; their stock and orders stay. */
export async function retireProducts(client: Client, ids: number[]): Promise<void> {
  const retirement = 'mutation ($id: Int!) { deactivateProduct(productId: $id) { __typename } }';
  for (const id of ids) await client.ask(retirement, { id }, 5_000);
}

/** A verdict from another database than the orders went to would call every order lost. */
export async function refuseOtherDatabase(database: Database, ids: number[], run: string, url: string): Promise<void> {
  const [row] = await database.$queryRaw<{ found: number }[]>`
    SELECT count(*)::int AS found FROM inventory.products
    WHERE id = ANY(${ids}::int[]) AND starts_with(sku, ${`SIM-${run}-`})`.catch(noneWithoutTables);
  if (row!.found === ids.length) return;
  throw usageFault(
    `The database is not the one behind ${url}: the products just added there are not in it. Correct DATABASE_URL, HOLDFAST_DATA or --url.`,
  );
}

function noneWithoutTables(error: unknown): { found: number }[] {
  if (sqlStateOf(error) === UNDEFINED_TABLE) return [{ found: 0 }];
  throw error;
}

const UNDEFINED_TABLE = '42P01';

const creation = `mutation ($input: CreateProductInput!) {
  createProduct(input: $input) { ... on Product { id } ... on ErrorResult { code message } }
}`;

interface ProductAnswer {
  id?: number;
  code?: string;
  message?: string;
}
