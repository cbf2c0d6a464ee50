import { Arg, Args, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from 'type-graphql';

import { INT_MAX } from '../contracts';
import { Allow, badInput, cursorBigInt, PageArgs, pageOf, ValidationError } from '../graphql';
import { type RequestContext } from '../observability';
import { type InventoryContext } from './context';
import { type ProductKey } from './readProducts';
import {
  AdjustStockInput,
  CreateProductInput,
  Movement,
  MovementConnection,
  Product,
  ProductConnection,
  ProductResultUnion,
  SetStockInput,
  StockAvailability,
  StockResultUnion,
  toProductResult,
  toStockResult,
  UpdateProductInput,
} from './schema';

/** How many products one question may be about. */
const PRODUCTS_ASKED_MAX = 100;

/** The GraphQL door of the inventory context: each field parses, calls a use case and maps its outcome. */
@Resolver(() => Product)
export class ProductResolver {
  constructor(private readonly inventory: InventoryContext) {}

  @Allow('anyone')
  @Query(() => Product, {
    nullable: true,
    description: 'A product by id or by sku, exactly one of the two; null when there is none.',
  })
  async product(
    @Arg('id', () => Int, { nullable: true, description: 'By its id.' }) id?: number | null,
    @Arg('sku', () => String, { nullable: true, description: 'By its sku.' }) sku?: string | null,
  ): Promise<Product | null> {
    const key = keyOf({ productId: id, sku });
    if (!key) throw badInput('id', 'Name the product by id or by sku, exactly one of the two.');
    const view = await this.inventory.product(key);
    return view ? Product.of(view) : null;
  }

  @Allow('anyone')
  @Query(() => ProductConnection, { description: 'Products, by id.' })
  products(
    @Args(() => PageArgs) page: PageArgs,
    @Arg('active', () => Boolean, { nullable: true, description: 'Only those that are for sale, or are not.' })
    active?: boolean | null,
  ): Promise<ProductConnection> {
    const read = (first: number, after?: string) => this.inventory.products({ active }, first, cursorNumber(after));
    return pageOf(
      page,
      read,
      (product) => String(product.id),
      (product) => Product.of(product),
    );
  }

  @Allow('anyone')
  @Query(() => [StockAvailability], {
    description: `What can be ordered of up to ${PRODUCTS_ASKED_MAX} products this moment, as the role that keeps the stock says; each once, by id. It holds nothing.`,
  })
  async stockAvailability(
    @Arg('productIds', () => [Int], { description: 'The products.' }) productIds: number[],
    @Ctx() { correlationId }: RequestContext,
  ): Promise<StockAvailability[]> {
    const ids = [...new Set(productIds)].sort((a, b) => a - b);
    if (ids.length < 1 || ids.length > PRODUCTS_ASKED_MAX || ids.some((id) => id < 1))
      throw badInput('productIds', `productIds must name 1 to ${PRODUCTS_ASKED_MAX} products by their ids.`);
    const lines = ids.map((productId) => ({ productId, quantity: 1 }));
    return (await this.inventory.checkStock(lines, correlationId)).map((line) => StockAvailability.of(line));
  }

  @Allow('staff')
  @Mutation(() => ProductResultUnion, { description: 'Adds a product with its stock.' })
  async createProduct(
    @Arg('input', () => CreateProductInput, { description: 'The product to add.' }) input: CreateProductInput,
    @Ctx() { correlationId }: RequestContext,
  ) {
    return toProductResult(await this.inventory.createProduct(input, correlationId));
  }

  @Allow('staff')
  @Mutation(() => ProductResultUnion, { description: 'Changes the name, the price or whether it is for sale.' })
  async updateProduct(
    @Arg('productId', () => Int, { description: 'The product.' }) productId: number,
    @Arg('input', () => UpdateProductInput, { description: 'What to change.' }) input: UpdateProductInput,
    @Ctx() { correlationId }: RequestContext,
  ) {
    return toProductResult(await this.inventory.updateProduct(productId, input, correlationId));
  }

  @Allow('staff')
  @Mutation(() => ProductResultUnion, { description: 'Takes a product off sale. Its stock and its orders stay.' })
  async deactivateProduct(
    @Arg('productId', () => Int, { description: 'The product.' }) productId: number,
    @Ctx() { correlationId }: RequestContext,
  ) {
    return toProductResult(await this.inventory.updateProduct(productId, { active: false }, correlationId));
  }

  @Allow('staff')
  @Mutation(() => StockResultUnion, { description: 'Adds or takes units.' })
  async adjustStock(
    @Arg('input', () => AdjustStockInput, { description: 'What came or went, and why.' }) input: AdjustStockInput,
    @Ctx() { correlationId }: RequestContext,
  ) {
    const product = keyOf(input);
    return product ? toStockResult(await this.inventory.adjustStock({ ...input, product }, correlationId)) : oneOf();
  }

  @Allow('staff')
  @Mutation(() => StockResultUnion, { description: 'Sets the units to a count, if nobody changed them since (compare and set).' })
  async setStock(
    @Arg('input', () => SetStockInput, { description: 'What was counted, and why.' }) input: SetStockInput,
    @Ctx() { correlationId }: RequestContext,
  ) {
    const product = keyOf(input);
    return product ? toStockResult(await this.inventory.setStock({ ...input, product }, correlationId)) : oneOf();
  }

  @Allow('staff')
  @FieldResolver(() => MovementConnection, { description: 'Every change of its stock, newest first.' })
  movements(@Root() product: Product, @Args(() => PageArgs) page: PageArgs): Promise<MovementConnection> {
    const read = (first: number, after?: string) => this.inventory.movements(product.id, first, cursorBigInt(after));
    return pageOf(
      page,
      read,
      (movement) => String(movement.id),
      (movement) => Movement.of(movement),
    );
  }
}

/** A product is named by id or by sku; by both or neither it is not named. */
function keyOf({ productId, sku }: { productId?: number | null; sku?: string | null }): ProductKey | undefined {
  if ((productId == null) === (sku == null)) return undefined;
  return productId == null ? { sku: sku!.replaceAll('\u0000', '') } : { id: productId };
}

function oneOf(): ValidationError {
  return ValidationError.of([
    { path: 'input', code: 'one_of', message: 'must name its product by productId or by sku, and not by both' },
  ]);
}

/** A cursor that was tampered with leads nowhere, not into an error of the database. */
function cursorNumber(cursor: string | undefined): number | undefined {
  return cursor === undefined ? undefined : Math.min(INT_MAX, Number(/^\d{1,10}$/.exec(cursor)?.[0] ?? INT_MAX));
}
