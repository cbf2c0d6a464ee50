import { productDesk, type ReplyOf, type RequestOf } from '../contracts';
import { answering, type RpcService } from '../messaging';
import { type AdjustStockInput, type ChangeStockResult, type SetStockInput } from './changeStock';
import { type CreateProductInput, type ManageProductResult, type UpdateProductInput } from './manageProducts';

/** The use cases that write products and stock. */
export interface ProductDesk {
  createProduct(input: CreateProductInput, correlationId: string): Promise<ManageProductResult>;
  updateProduct(id: number, input: UpdateProductInput, correlationId: string): Promise<ManageProductResult>;
  adjustStock(input: AdjustStockInput, correlationId: string): Promise<ChangeStockResult>;
  setStock(input: SetStockInput, correlationId: string): Promise<ChangeStockResult>;
}

type Asked = RequestOf<typeof productDesk>;
type Call = (request: Asked, correlationId: string) => Promise<ReplyOf<typeof productDesk>>;

/** The inventory role's side: serves gateways that may not write themselves. The use cases check each input as they do anyone's. */
export function deskService(desk: ProductDesk): RpcService {
  return answering(productDesk, async (asked, correlationId) => ({
    result: { ...(await serve(desk, asked, correlationId)) },
  }));
}

function serve(desk: ProductDesk, asked: Asked, correlationId: string): Promise<ManageProductResult | ChangeStockResult> {
  switch (asked.change) {
    case 'createProduct':
      return desk.createProduct(asked.input as unknown as CreateProductInput, correlationId);
    case 'updateProduct':
      return desk.updateProduct(asked.product_id, asked.input, correlationId);
    case 'adjustStock':
      return desk.adjustStock({ ...asked.input, product: asked.product } as unknown as AdjustStockInput, correlationId);
    case 'setStock':
      return desk.setStock({ ...asked.input, product: asked.product } as unknown as SetStockInput, correlationId);
    default:
      return asked satisfies never;
  }
}

/** The gateway's side: the same use cases, done by an inventory role. */
export function deskOver(call: Call): ProductDesk {
  const ask = async <Result>(asked: Asked, correlationId: string) => {
    const { result } = await call(asked, correlationId);
    return withMoments(result) as Result;
  };
  return {
    createProduct: (input, correlationId) => ask({ change: 'createProduct', input: { ...input } }, correlationId),
    updateProduct: (id, input, correlationId) =>
      ask({ change: 'updateProduct', product_id: id, input: { ...input } }, correlationId),
    adjustStock: ({ product, ...input }, correlationId) => ask({ change: 'adjustStock', product, input }, correlationId),
    setStock: ({ product, ...input }, correlationId) => ask({ change: 'setStock', product, input }, correlationId),
  };
}

/** JSON has no moments: those of a product are made into ones again. */
function withMoments(result: { type: string; product?: unknown }): object {
  const product = result.product as { createdAt: string; updatedAt: string } | undefined;
  if (product === undefined) return result;
  return { ...result, product: { ...product, createdAt: new Date(product.createdAt), updatedAt: new Date(product.updatedAt) } };
}
