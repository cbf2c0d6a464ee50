import { z } from 'zod';

import { INT_MAX, productId } from './events';
import { type Rpc } from './rpc';

const product = z.union([z.strictObject({ id: z.int().min(1).max(INT_MAX) }), z.strictObject({ sku: z.string().max(200) })]);
const input = z.looseObject({});

/**
 * What a gateway has the inventory role do to products and stock, which its own database user may not write. Asked between the
 * processes of one release, so it is no part of the published contract: other programs have `product_stock_update`.
 */
export const productDesk = {
  queue: 'inventory.desk',
  request: z.discriminatedUnion('change', [
    z.object({ change: z.literal('createProduct'), input }),
    z.object({ change: z.literal('updateProduct'), product_id: productId, input }),
    z.object({ change: z.literal('adjustStock'), product, input }),
    z.object({ change: z.literal('setStock'), product, input }),
  ]),
  /** What the use case came to, as it stands in the program; moments as text. */
  reply: z.object({ result: z.looseObject({ type: z.string() }) }),
} as const satisfies Rpc;
