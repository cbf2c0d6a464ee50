import { z } from 'zod';

import { INT_MAX, text, type EventOf } from '../contracts';
import { type Transaction } from '../database';
import { type Outbox } from '../messaging';
import { invalid, type Invalid } from './invalid';
import { findProduct, type ProductKey, type ProductView } from './readProducts';
import { type Stock } from './stock';
import { lockStock, move } from './stockRows';

export const stockChangeReasons = ['RECEIVED', 'RETURNED', 'CORRECTION', 'DAMAGED', 'LOST', 'OTHER'] as const;

/** Why somebody changed the stock by hand, for whoever reads the movements later. */
export interface StockChangeNote {
  reason: (typeof stockChangeReasons)[number];
  /** A delivery note, a ticket, a count sheet. */
  reference?: string | null;
}

export interface AdjustStockInput extends StockChangeNote {
  product: ProductKey;
  /** Units that came (positive) or went (negative). */
  delta: number;
}

export interface SetStockInput extends StockChangeNote {
  product: ProductKey;
  /** Units counted. */
  onHand: number;
  /** Units the counter believed in; if the stock has moved since, nothing is changed. */
  compareOnHand: number;
}

export type ChangeStockResult =
  | { type: 'done'; product: ProductView }
  | Invalid
  | { type: 'unknown-product'; key: ProductKey }
  /** Units promised to orders cannot be taken away. */
  | { type: 'below-reserved'; onHand: number; reserved: number }
  /** Somebody changed the stock meanwhile: look again, then decide again. */
  | { type: 'stock-moved'; onHand: number; compareOnHand: number };

export interface ChangeStockOptions {
  outbox: Outbox;
  newId: () => string;
}

/** Adds or takes units. */
export function adjustStockUseCase(options: ChangeStockOptions) {
  return async (input: AdjustStockInput, correlationId: string): Promise<ChangeStockResult> => {
    const parsed = adjustSchema.safeParse(input);
    if (!parsed.success) return invalid(parsed.error);
    return change(options, correlationId, input, 'ADJUST', () => ({ type: 'delta', delta: parsed.data.delta }));
  };
}

/** Sets the units to what was counted, if they still are what the counter believed (compare and set). */
export function setStockUseCase(options: ChangeStockOptions) {
  return async (input: SetStockInput, correlationId: string): Promise<ChangeStockResult> => {
    const parsed = setSchema.safeParse(input);
    if (!parsed.success) return invalid(parsed.error);
    const { onHand, compareOnHand } = parsed.data;
    return change(options, correlationId, input, 'SET', (stock) =>
      stock.onHand === compareOnHand
        ? { type: 'delta', delta: onHand - stock.onHand }
        : { type: 'stock-moved', onHand: stock.onHand, compareOnHand },
    );
  };
}

type Delta = { type: 'delta'; delta: number } | Extract<ChangeStockResult, { type: 'stock-moved' }>;

async function change(
  { outbox, newId }: ChangeStockOptions,
  correlationId: string,
  input: StockChangeNote & { product: ProductKey },
  kind: 'ADJUST' | 'SET',
  decideDelta: (stock: Stock) => Delta,
): Promise<ChangeStockResult> {
  return outbox.transaction<ChangeStockResult>(async (tx) => {
    const stock = await lockOne(tx, input.product);
    if (!stock) return refused({ type: 'unknown-product', key: input.product });
    const decision = decideDelta(stock);
    if (decision.type !== 'delta') return refused(decision);
    const onHand = stock.onHand + decision.delta;
    if (onHand > INT_MAX) return refused({ type: 'invalid', fields: [tooMuch(onHand)] });
    if (onHand < stock.reserved) return refused({ type: 'below-reserved', onHand: stock.onHand, reserved: stock.reserved });
    const { reason, reference } = input;
    const movement = { productId: stock.productId, kind, onHandDelta: decision.delta, reservedDelta: 0 };
    await move(tx, [{ ...movement, reason, reference: reference ?? undefined }]);
    const product = (await findProduct(tx, { id: stock.productId }))!;
    return { result: { type: 'done', product }, messages: [{ id: newId(), correlationId, body: stockChanged(product) }] };
  });
}

async function lockOne(tx: Transaction, key: ProductKey): Promise<Stock | undefined> {
  const product = await findProduct(tx, key);
  return product ? (await lockStock(tx, [product.id])).get(product.id) : undefined;
}

function refused(result: ChangeStockResult) {
  return { result, messages: [] };
}

function tooMuch(onHand: number) {
  return { path: 'delta', code: 'too_big', message: `would bring the stock to ${onHand}; at most ${INT_MAX} units can be kept` };
}

function stockChanged({ id, sku, onHand, reserved, available }: ProductView): EventOf<'StockChanged'> {
  return { event: 'StockChanged', product_id: id, sku, on_hand: onHand, reserved, available };
}

const note = { reason: z.enum(stockChangeReasons), reference: text(200).nullish() };
const adjustSchema = z.object({
  delta: z
    .int()
    .min(-INT_MAX)
    .max(INT_MAX)
    .refine((delta) => delta !== 0, 'must not be 0'),
  ...note,
});
const setSchema = z.object({
  onHand: z.int().min(0, 'must not be negative').max(INT_MAX),
  compareOnHand: z.int().min(0, 'must not be negative'),
  ...note,
});
