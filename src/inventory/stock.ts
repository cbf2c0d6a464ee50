import { type CheckedLine, type RejectedLine } from '../contracts';

/** What the rules must know of a product's stock; the row is locked while they think. */
export interface Stock {
  productId: number;
  sku: string;
  active: boolean;
  /** Minor units for one. */
  unitPrice: number;
  /** Units in the house. */
  onHand: number;
  /** Of these, units promised to orders. */
  reserved: number;
}

export interface WishedLine {
  productId: number;
  quantity: number;
}

/** What one order asks for, each product once. */
export interface Wish {
  orderId: string;
  lines: WishedLine[];
}

export interface HeldLine extends WishedLine {
  unitPrice: number;
}

/** All lines of an order, or none. */
export type ReservationDecision =
  | { type: 'reserved'; orderId: string; lines: HeldLine[] }
  | { type: 'rejected'; orderId: string; reason: string; lines: RejectedLine[] };

/**
 * Decides a batch of orders in the order of their arrival: each gets all of its lines or none, and what one gets is gone for the
 * next. Pure; the stock given is not touched.
 */
export function decideReservations(stock: ReadonlyMap<number, Stock>, wishes: Wish[]): ReservationDecision[] {
  const left = new Map([...stock.values()].map((row) => [row.productId, available(row)]));
  return wishes.map((wish) => {
    const refused = wish.lines.flatMap((line) => refusal(line, stock.get(line.productId), left) ?? []);
    if (refused.length > 0) return { type: 'rejected', orderId: wish.orderId, reason: reasons[refused[0]!.code], lines: refused };
    for (const { productId, quantity } of wish.lines) left.set(productId, left.get(productId)! - quantity);
    return { type: 'reserved', orderId: wish.orderId, lines: wish.lines.map((line) => held(line, stock)) };
  });
}

/** What there is of each line, and what stands in its way. Holds nothing: the next moment may be another's. */
export function checkLines(stock: ReadonlyMap<number, Stock>, lines: WishedLine[]): CheckedLine[] {
  const left = new Map([...stock.values()].map((row) => [row.productId, available(row)]));
  return lines.map((line) => {
    const { productId: product_id, quantity: requested } = line;
    return refusal(line, stock.get(product_id), left) ?? { product_id, requested, available: left.get(product_id)! };
  });
}

/** Units that can still be promised. */
export function available(stock: Pick<Stock, 'onHand' | 'reserved'>): number {
  return stock.onHand - stock.reserved;
}

/** An order's lines, each product once: two lines of one product are one line of both quantities. */
export function mergeWish(orderId: string, lines: WishedLine[]): Wish {
  const quantities = new Map<number, number>();
  for (const { productId, quantity } of lines) quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return { orderId, lines: [...quantities].map(([productId, quantity]) => ({ productId, quantity })) };
}

/** What is said to people about each code. */
export const reasons: Record<RejectedLine['code'], string> = {
  INSUFFICIENT_STOCK: 'Insufficient stock',
  UNKNOWN_PRODUCT: 'Unknown product',
  PRODUCT_INACTIVE: 'Product is not for sale',
};

function refusal(line: WishedLine, stock: Stock | undefined, left: Map<number, number>): RejectedLine | undefined {
  const fault = { product_id: line.productId, requested: line.quantity };
  if (!stock) return { ...fault, available: 0, code: 'UNKNOWN_PRODUCT' };
  const units = left.get(line.productId)!;
  if (!stock.active) return { ...fault, available: units, code: 'PRODUCT_INACTIVE' };
  if (units < line.quantity) return { ...fault, available: units, code: 'INSUFFICIENT_STOCK' };
  return undefined;
}

function held(line: WishedLine, stock: ReadonlyMap<number, Stock>): HeldLine {
  return { ...line, unitPrice: stock.get(line.productId)!.unitPrice };
}
