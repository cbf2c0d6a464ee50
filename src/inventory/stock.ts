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
  /** Units that one customer may hold or have bought; no limit unless given. */
  maxPerCustomer?: number | null;
}

export interface WishedLine {
  productId: number;
  quantity: number;
}

/** What one order asks for, each product once. */
export interface Wish {
  orderId: string;
  lines: WishedLine[];
  /** Whose order it is. Where nobody says, it is taken to be the only one of its customer. */
  customerId?: string;
}

export interface HeldLine extends WishedLine {
  unitPrice: number;
}

/** All lines of an order, or none. */
export type ReservationDecision = Pick<Wish, 'orderId' | 'customerId'> &
  ({ type: 'reserved'; lines: HeldLine[] } | { type: 'rejected'; reason: string; lines: RejectedLine[] });

/**
 * Decides a batch of orders in the order of their arrival: each gets all of its lines or none, and what one gets is gone for the
 * next. Pure; the stock and the purchases given are not touched.
 */
export function decideReservations(
  stock: ReadonlyMap<number, Stock>,
  wishes: Wish[],
  purchases: Purchases = new Purchases(),
): ReservationDecision[] {
  const left = new Map([...stock.values()].map((row) => [row.productId, available(row)]));
  const bought = purchases.copy();
  return wishes.map(({ orderId, customerId, lines }) => {
    const refused = lines.flatMap((line) => {
      const row = stock.get(line.productId);
      return refusal(line, row, left, bought.room(row, customerId)) ?? [];
    });
    if (refused.length > 0) return { type: 'rejected', orderId, customerId, reason: reasons[refused[0]!.code], lines: refused };
    for (const { productId, quantity } of lines) left.set(productId, left.get(productId)! - quantity);
    const limited = lines.filter((line) => isLimited(stock.get(line.productId)));
    for (const { productId, quantity } of limited) bought.add(productId, customerId, quantity);
    return { type: 'reserved', orderId, customerId, lines: lines.map((line) => held(line, stock)) };
  });
}

export function isLimited(stock: Stock | undefined): boolean {
  return stock?.maxPerCustomer != null;
}

/** What customers hold or have bought of products with a limit, in orders that are not cancelled. */
export class Purchases {
  private readonly units: Map<string, number>;

  constructor(bought: Iterable<Purchase> = []) {
    this.units = new Map([...bought].map(({ productId, customerId, units }) => [keyOf(productId, customerId), units]));
  }

  copy(): Purchases {
    const copy = new Purchases();
    for (const [key, units] of this.units) copy.units.set(key, units);
    return copy;
  }

  add(productId: number, customerId: string | undefined, units: number): void {
    if (customerId === undefined) return;
    const key = keyOf(productId, customerId);
    this.units.set(key, (this.units.get(key) ?? 0) + units);
  }

  /** How many units more the customer may have; `own`: what it has in the one order that is looked at, where nobody says whose it is. */
  room(stock: Stock | undefined, customerId: string | undefined, own = 0): number {
    if (stock?.maxPerCustomer == null) return Infinity;
    return stock.maxPerCustomer - (customerId === undefined ? own : (this.units.get(keyOf(stock.productId, customerId)) ?? 0));
  }
}

export interface Purchase {
  productId: number;
  customerId: string;
  units: number;
}

function keyOf(productId: number, customerId: string): string {
  return `${productId} ${customerId}`;
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
  PURCHASE_LIMIT: 'Purchase limit reached',
};

function refusal(
  line: WishedLine,
  stock: Stock | undefined,
  left: Map<number, number>,
  room = Infinity,
): RejectedLine | undefined {
  const fault = { product_id: line.productId, requested: line.quantity };
  if (!stock) return { ...fault, available: 0, code: 'UNKNOWN_PRODUCT' };
  const units = left.get(line.productId)!;
  if (!stock.active) return { ...fault, available: units, code: 'PRODUCT_INACTIVE' };
  if (room < line.quantity) return { ...fault, available: Math.max(0, Math.min(units, room)), code: 'PURCHASE_LIMIT' };
  if (units < line.quantity) return { ...fault, available: units, code: 'INSUFFICIENT_STOCK' };
  return undefined;
}

function held(line: WishedLine, stock: ReadonlyMap<number, Stock>): HeldLine {
  return { ...line, unitPrice: stock.get(line.productId)!.unitPrice };
}
