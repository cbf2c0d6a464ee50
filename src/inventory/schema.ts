import { ArgsType, createUnionType, Field, ID, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';

import { type CheckedLine } from '../contracts';
import { Connection, Edge, ErrorCode, ErrorResult, Money, newsCursor, Timestamp, ValidationError } from '../graphql';
import { type ChangeStockResult, type StockChangeNote } from './changeStock';
import { type StockNews } from './followStock';
import { type ManageProductResult } from './manageProducts';
import { type MovementView, type ProductKey, type ProductView } from './readProducts';

export enum StockChangeReason {
  RECEIVED = 'RECEIVED',
  RETURNED = 'RETURNED',
  CORRECTION = 'CORRECTION',
  DAMAGED = 'DAMAGED',
  LOST = 'LOST',
  OTHER = 'OTHER',
}

registerEnumType(StockChangeReason, {
  name: 'StockChangeReason',
  description: 'Why somebody changed the stock by hand.',
  valuesConfig: {
    RECEIVED: { description: 'Goods came in.' },
    RETURNED: { description: 'A customer sent goods back.' },
    CORRECTION: { description: 'A count differed.' },
    DAMAGED: { description: 'Goods can no longer be sold.' },
    LOST: { description: 'Goods cannot be found.' },
    OTHER: { description: 'See `reference`.' },
  },
});

export enum MovementKind {
  INITIAL = 'INITIAL',
  ADJUST = 'ADJUST',
  SET = 'SET',
  RESERVE = 'RESERVE',
  RELEASE = 'RELEASE',
  COMMIT = 'COMMIT',
  REPAIR = 'REPAIR',
}

registerEnumType(MovementKind, {
  name: 'MovementKind',
  description: 'What moved the stock.',
  valuesConfig: {
    INITIAL: { description: 'The stock the product started with.' },
    ADJUST: { description: 'Units added or taken by hand.' },
    SET: { description: 'Units set to a count.' },
    RESERVE: { description: 'Units promised to an order.' },
    RELEASE: { description: 'Units let go by a cancelled order.' },
    COMMIT: { description: 'Units that left the house with a fulfilled order.' },
    REPAIR: { description: 'A correction by reconcile.' },
  },
});

export enum ProductSort {
  ID = 'ID',
  SKU = 'SKU',
  NAME = 'NAME',
}

registerEnumType(ProductSort, {
  name: 'ProductSort',
  description: 'In what order products are listed.',
  valuesConfig: {
    ID: { description: 'By id: what was created first comes first.' },
    SKU: { description: 'By sku.' },
    NAME: { description: 'By name, and by id where names are the same.' },
  },
});

/** Which products are listed, and how. */
@ArgsType()
export class ProductFilterArgs {
  @Field(() => Boolean, { nullable: true, description: 'Only those that are for sale, or are not.' })
  active?: boolean | null;

  @Field(() => Boolean, { nullable: true, description: 'Only those of which something can be ordered this moment, or nothing.' })
  inStock?: boolean | null;

  @Field(() => String, { nullable: true, description: 'Only those with this in their sku or name, whatever the case.' })
  search?: string | null;

  @Field(() => ProductSort, { defaultValue: ProductSort.ID, description: 'In what order.' })
  sort!: ProductSort;
}

@ObjectType({ description: 'A product and its stock. available = onHand − reserved, always.' })
export class Product {
  @Field(() => Int, { description: 'The id that also stands in events.' })
  id!: number;

  @Field(() => String, { description: 'The name for machines and labels; given once, never changed.' })
  sku!: string;

  @Field(() => String, { description: 'The name for people.' })
  name!: string;

  @Field(() => Money, { description: 'The price of one; an order keeps the price of the moment it was reserved.' })
  price!: Money;

  @Field(() => Boolean, { description: 'False when it takes no new orders.' })
  active!: boolean;

  @Field(() => Int, { description: 'Units in the house.' })
  onHand!: number;

  @Field(() => Int, { description: 'Of these, units promised to orders.' })
  reserved!: number;

  @Field(() => Int, { description: 'Units that can still be promised.' })
  available!: number;

  @Field(() => Int, {
    nullable: true,
    description: 'Units that one customer may hold or have bought, in all orders that are not cancelled; null for no limit.',
  })
  maxPerCustomer!: number | null;

  @Field(() => Timestamp, { description: 'When it was added.' })
  createdAt!: Date;

  @Field(() => Timestamp, { description: 'When it or its stock changed last.' })
  updatedAt!: Date;

  static of(view: ProductView): Product {
    const { price, currency, ...same } = view;
    return Object.assign(new Product(), same, { price: Money.of(price, currency) });
  }
}

@ObjectType({ description: 'One change of the stock counters; written once, never changed. Their sum is the stock.' })
export class Movement {
  @Field(() => ID, { description: 'Rises with time.' })
  id!: string;

  @Field(() => MovementKind, { description: 'What moved the stock.' })
  kind!: string;

  @Field(() => Int, { description: 'Change of `onHand`.' })
  onHandDelta!: number;

  @Field(() => Int, { description: 'Change of `reserved`.' })
  reservedDelta!: number;

  @Field(() => ID, { nullable: true, description: 'The order it was for.' })
  orderId!: string | null;

  @Field(() => String, { nullable: true, description: 'Why, where a person did it.' })
  reason!: string | null;

  @Field(() => String, { nullable: true, description: 'The paper or ticket behind it.' })
  reference!: string | null;

  @Field(() => Timestamp, { description: "When, by the database's clock." })
  at!: Date;

  static of(view: MovementView): Movement {
    return Object.assign(new Movement(), view, { id: String(view.id) });
  }
}

@ObjectType({ description: 'That the stock of a product has moved, told to who follows it.' })
export class StockChange {
  @Field(() => String, { description: 'Give the last one as `after` to go on from here, at whichever gateway.' })
  cursor!: string;

  @Field(() => Product, {
    description: 'The product with its stock as it is by now; what moved several times within moments is told once.',
  })
  product!: Product;

  /** What belongs to products that are told of together is read together. */
  together!: WeakRef<object>;

  static of({ position, product, together }: StockNews): StockChange {
    return Object.assign(new StockChange(), { cursor: newsCursor('movement', position), product: Product.of(product), together });
  }
}

@ArgsType()
export class StockChangedArgs {
  @Field(() => [String], { description: 'The products, 1 to 100 of them.' })
  skus!: string[];

  @Field(() => String, {
    nullable: true,
    description: 'The `cursor` that was had last. Without, the stock of each is told at once.',
  })
  after?: string | null;
}

@InputType({ description: 'A product to add.' })
export class CreateProductInput {
  @Field(() => String, { description: 'Up to 64 characters without white space; cannot be changed later.' })
  sku!: string;

  @Field(() => String, { description: 'Up to 200 characters.' })
  name!: string;

  @Field(() => Int, { description: "Minor units of the shop's currency: 1999 is 19.99." })
  price!: number;

  @Field(() => Int, { nullable: true, description: 'Units in the house from the start; 0 if not given.' })
  onHand?: number | null;

  @Field(() => Int, { nullable: true, description: 'Units that one customer may have; no limit when 0 or not given.' })
  maxPerCustomer?: number | null;
}

@InputType({ description: 'What to change; what is not given stays.' })
export class UpdateProductInput {
  @Field(() => String, { nullable: true, description: 'Up to 200 characters.' })
  name?: string | null;

  @Field(() => Int, {
    nullable: true,
    description: "Minor units of the shop's currency; orders already reserved keep their price.",
  })
  price?: number | null;

  @Field(() => Boolean, { nullable: true, description: 'False: takes no new orders.' })
  active?: boolean | null;

  @Field(() => Int, {
    nullable: true,
    description: 'Units that one customer may have, with what it has bought already; 0 lifts the limit.',
  })
  maxPerCustomer?: number | null;
}

/** What every change of stock by hand says: which product, and why. */
@InputType()
abstract class StockChangeInput {
  @Field(() => Int, { nullable: true, description: 'The product by id.' })
  productId?: number | null;

  @Field(() => String, { nullable: true, description: 'The product by sku; exactly one of the two.' })
  sku?: string | null;

  @Field(() => StockChangeReason, { description: 'Why.' })
  reason!: StockChangeNote['reason'];

  @Field(() => String, { nullable: true, description: 'The paper or ticket behind it; up to 200 characters.' })
  reference?: string | null;
}

@InputType({ description: 'Units that came or went.' })
export class AdjustStockInput extends StockChangeInput {
  @Field(() => Int, { description: 'Units that came (positive) or went (negative).' })
  delta!: number;
}

@InputType({ description: 'Units counted.' })
export class SetStockInput extends StockChangeInput {
  @Field(() => Int, { description: 'Units in the house, as counted.' })
  onHand!: number;

  @Field(() => Int, { description: 'What `onHand` was when the count began; if it is not that any more, nothing is changed.' })
  compareOnHand!: number;
}

@ObjectType({ description: 'What can be ordered of a product.' })
export class StockAvailability {
  @Field(() => Int, { description: 'The product.' })
  productId!: number;

  @Field(() => Int, { description: 'Units that are not promised to anybody.' })
  available!: number;

  @Field(() => Boolean, { description: 'False when it is off sale, or there is no such product.' })
  forSale!: boolean;

  static of({ product_id: productId, available, code }: CheckedLine): StockAvailability {
    const forSale = code === undefined || code === 'INSUFFICIENT_STOCK';
    return Object.assign(new StockAvailability(), { productId, available, forSale });
  }
}

@ObjectType({ implements: ErrorResult, description: 'There is no such product.' })
export class UnknownProductError extends ErrorResult {}

@ObjectType({ implements: ErrorResult, description: 'Another product has this sku.' })
export class SkuTakenError extends ErrorResult {
  @Field(() => String, { description: 'The sku that is taken.' })
  sku!: string;
}

@ObjectType({
  implements: ErrorResult,
  description: 'Units that are promised to orders cannot be taken away; nothing was changed.',
})
export class StockBelowReservedError extends ErrorResult {
  @Field(() => Int, { description: 'Units in the house.' })
  onHand!: number;

  @Field(() => Int, { description: 'Units promised to orders.' })
  reserved!: number;
}

@ObjectType({ implements: ErrorResult, description: 'Somebody changed the stock meanwhile; nothing was changed.' })
export class StockMovedError extends ErrorResult {
  @Field(() => Int, { description: 'Units in the house now.' })
  onHand!: number;
}

export const ProductResultUnion = createUnionType({
  name: 'ProductResult',
  description: 'The product as it is now, or why the change was refused.',
  types: () => [Product, ValidationError, UnknownProductError, SkuTakenError] as const,
});

export const StockResultUnion = createUnionType({
  name: 'StockResult',
  description: 'The product with its stock as it is now, or why the change was refused.',
  types: () => [Product, ValidationError, UnknownProductError, StockBelowReservedError, StockMovedError] as const,
});

@ObjectType({ description: 'A product in a list.' })
export class ProductEdge extends Edge(Product) {}

@ObjectType({ description: 'A page of products, by id.' })
export class ProductConnection extends Connection(Product, ProductEdge) {}

@ObjectType({ description: 'A movement in a list.' })
export class MovementEdge extends Edge(Movement) {}

@ObjectType({ description: 'A page of movements, newest first.' })
export class MovementConnection extends Connection(Movement, MovementEdge) {}

/** Outcomes of the use cases in the words of the schema. */
export function toProductResult(result: ManageProductResult): Product | ValidationError | UnknownProductError | SkuTakenError {
  switch (result.type) {
    case 'done':
      return Product.of(result.product);
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'unknown-product':
      return unknownProduct(result.key);
    case 'sku-taken': {
      const message = `The sku ${result.sku} belongs to another product. Choose another, or update that product.`;
      return Object.assign(new SkuTakenError(), { code: ErrorCode.SKU_TAKEN, message, sku: result.sku });
    }
    default:
      return result satisfies never;
  }
}

export function toStockResult(
  result: ChangeStockResult,
): Product | ValidationError | UnknownProductError | StockBelowReservedError | StockMovedError {
  switch (result.type) {
    case 'done':
      return Product.of(result.product);
    case 'invalid':
      return ValidationError.of(result.fields);
    case 'unknown-product':
      return unknownProduct(result.key);
    case 'below-reserved': {
      const { onHand, reserved } = result;
      const message = `${reserved} of ${onHand} units are promised to orders; at most ${onHand - reserved} can be taken.`;
      return Object.assign(new StockBelowReservedError(), { code: ErrorCode.STOCK_BELOW_RESERVED, message, onHand, reserved });
    }
    case 'stock-moved': {
      const { onHand, compareOnHand } = result;
      const message = `The stock is ${onHand} now, not ${compareOnHand}. Count again, then set it again.`;
      return Object.assign(new StockMovedError(), { code: ErrorCode.STOCK_MOVED, message, onHand });
    }
    default:
      return result satisfies never;
  }
}

function unknownProduct(key: ProductKey): UnknownProductError {
  const message = 'id' in key ? `There is no product ${key.id}.` : `There is no product with the sku ${JSON.stringify(key.sku)}.`;
  return Object.assign(new UnknownProductError(), { code: ErrorCode.UNKNOWN_PRODUCT, message });
}
