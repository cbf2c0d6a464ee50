import { Arg, Args, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root, Subscription } from 'type-graphql';

import { afterOf, Allow, badInput, cursorBigInt, followed, PageArgs, pageOf, resolverIn, ValidationError } from '../graphql';
import { type RequestContext } from '../observability';
import { type InventoryContext } from './context';
import { keyOfProduct } from './listProducts';
import { type ProductKey } from './readProducts';
import {
  AdjustStockInput,
  CreateProductInput,
  Movement,
  MovementConnection,
  Product,
  ProductConnection,
  ProductFilterArgs,
  ProductResultUnion,
  SetStockInput,
  StockAvailability,
  StockChange,
  StockChangedArgs,
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
  @Query(() => ProductConnection, { description: 'Products, by id unless asked otherwise.' })
  products(
    @Args(() => PageArgs) page: PageArgs,
    @Args(() => ProductFilterArgs) filter: ProductFilterArgs,
  ): Promise<ProductConnection> {
    return pageOf(
      page,
      (first, after) => this.inventory.products(filter, first, after),
      (product) => keyOfProduct(product, filter.sort),
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
  @Mutation(() => ProductResultUnion, {
    description: 'Changes the name, the price, the limit per customer or whether it is for sale.',
  })
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

  @Allow('known')
  @Subscription(() => StockChange, {
    description: 'The stock of products, at once and whenever it has moved, whichever process moves it.',
    subscribe: ({ args, context, info }) =>
      resolverIn(ProductResolver, info).follow(args as StockChangedArgs, context as RequestContext),
  })
  stockChanged(@Args(() => StockChangedArgs) { skus }: StockChangedArgs, @Root() change: StockChange): StockChange {
    if (!skus.includes(change.product.sku)) throw new Error(`Who follows other products was told of ${change.product.sku}.`);
    return change;
  }

  async *follow({ skus, after }: StockChangedArgs, { signal }: RequestContext): AsyncGenerator<StockChange> {
    if (skus.length < 1 || skus.length > PRODUCTS_ASKED_MAX)
      throw badInput('skus', `skus must name 1 to ${PRODUCTS_ASKED_MAX} products.`);
    const ids = await this.inventory.productIdsBySku(skus);
    const unknown = skus.find((sku) => !ids.has(sku));
    if (unknown !== undefined) throw badInput('skus', `There is no product ${JSON.stringify(unknown.slice(0, 64))}.`);
    const news = this.inventory.follow([...new Set(ids.values())], { after: afterOf('movement', after), signal: signal! });
    yield* followed(news, (one) => StockChange.of(one));
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
