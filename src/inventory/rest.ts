import { z } from 'zod';

import { INT_MAX } from '../contracts';
import { type Endpoint } from '../rest';
import { type InventoryContext } from './context';

const PAGE_SIZE_MAX = 1_000;

/** The REST door of the inventory context. */
export function productEndpoints(inventory: InventoryContext): Endpoint[] {
  return [productsEndpoint(inventory)];
}

const products = z.record(
  z.string(),
  z.object({ name: z.string(), sku: z.string(), stock: z.int().describe('Units that can be ordered now.') }),
);

function productsEndpoint(inventory: InventoryContext): Endpoint<{ first: number; after?: number }> {
  return {
    method: 'GET',
    path: '/products',
    access: 'anyone',
    operationId: 'listProducts',
    summary: 'Products for sale with what can be ordered of each, by product id.',
    description: 'Where the header Link names a next page, there are more.',
    parameters: z.object({
      first: z.coerce.number().int().min(1).max(PAGE_SIZE_MAX).default(100).describe(`How many, 1 to ${PAGE_SIZE_MAX}.`),
      after: z.coerce.number().int().min(0).max(INT_MAX).optional().describe('Only products with a greater id.'),
    }),
    answers: { 200: { description: 'The products.', schema: products, headers: { link: 'The next page, if there is one.' } } },
    refusals: { 422: 'A parameter is out of its range.' },
    async answer({ parameters: { first, after } }) {
      const found = await inventory.products({ active: true }, first + 1, after?.toString());
      const page = found.slice(0, first);
      const next = found.length > first && `</products?first=${first}&after=${page.at(-1)!.id}>; rel="next"`;
      const entries = page.map(({ id, name, sku, available }) => [id, { name, sku, stock: available }] as const);
      return { status: 200, body: Object.fromEntries(entries), headers: next ? { link: next } : undefined };
    },
  };
}
