import { INT_MAX } from '../contracts';
import { GrpcRefusal, invalidArgument, type GrpcMethod, type GrpcRequest } from '../grpc';
import { type InventoryContext } from './context';
import { type ProductView } from './readProducts';

const PAGE_SIZE_MAX = 1_000;
const PAGE_SIZE = 100;

/** The gRPC door of the inventory context: proto/holdfast/v1/inventory.proto. */
export function productMethods(inventory: InventoryContext): GrpcMethod[] {
  const of = { service: 'holdfast.v1.Inventory', access: 'anyone', kind: 'unary' } as const;
  return [
    { ...of, name: 'GetProduct', answer: ({ message }: GrpcRequest<GetProduct>) => find(inventory, message) },
    { ...of, name: 'ListProducts', answer: ({ message }: GrpcRequest<ListProducts>) => list(inventory, message) },
  ];
}

interface GetProduct {
  productId?: number;
  sku?: string;
}

interface ListProducts {
  pageSize: number;
  pageToken: string;
}

async function find(inventory: InventoryContext, { productId, sku }: GetProduct): Promise<object> {
  if (productId === undefined && sku === undefined) {
    throw invalidArgument([{ path: 'product', code: 'one_of', message: 'must name the product by its id or by its sku' }]);
  }
  const product = await inventory.product(productId === undefined ? { sku: sku! } : { id: productId });
  if (!product) throw new GrpcRefusal('NOT_FOUND', 'UNKNOWN_PRODUCT', 'There is no such product.');
  return toProduct(product);
}

async function list(inventory: InventoryContext, { pageSize, pageToken }: ListProducts): Promise<object> {
  const size = pageSize || PAGE_SIZE;
  if (size < 1 || size > PAGE_SIZE_MAX) {
    throw invalidArgument([{ path: 'pageSize', code: 'out_of_range', message: `must be 1 to ${PAGE_SIZE_MAX}` }]);
  }
  const found = await inventory.products({ active: true }, size + 1, afterOf(pageToken));
  const page = found.slice(0, size);
  return { products: page.map(toProduct), nextPageToken: found.length > size ? String(page.at(-1)!.id) : '' };
}

function afterOf(pageToken: string): string | undefined {
  if (pageToken === '') return undefined;
  if (/^\d{1,10}$/.test(pageToken) && Number(pageToken) <= INT_MAX) return pageToken;
  throw invalidArgument([{ path: 'pageToken', code: 'invalid', message: 'must be the next_page_token of an answer' }]);
}

function toProduct({ id, sku, name, price, currency, active, onHand, reserved, available }: ProductView): object {
  return { id, sku, name, price: { minorUnits: price, currency }, active, onHand, reserved, available };
}
