import { z } from 'zod';

import { type Rpc } from './rpc';

/** Whatever GraphQL takes for one: that there is no such product the use cases say, as they do where nobody is asked over a wire. */
const productId = z.int32();
const product = z.union([z.strictObject({ id: productId }), z.strictObject({ sku: z.string() })]);
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
