import { type AmendmentRefusal, type RejectedLine } from '../contracts';
import { available, Purchases, reasons, type HeldLine, type Stock, type WishedLine } from './stock';

/** What an order is to hold from now on, all lines of it, each product once; `number` names the change among the order's. */
export interface Amendment {
  orderId: string;
  number: number;
  lines: WishedLine[];
  /** It came after its time. */
  isLate: boolean;
}

/** What the rules must know of an order that is to hold other lines. */
export interface Held {
  /** False when nothing is reserved for it: it never was, or it was let go, or taken out. */
  isActive: boolean;
  /** Whose order it is, where anybody said so. */
  customerId?: string;
  lines: HeldLine[];
  /** The latest amendment that was answered; 0 for none. */
  lastNumber: number;
}

/** How many units more, or fewer, of a product an order holds; never 0. */
export interface Difference {
  productId: number;
  units: number;
}

export type AmendmentDecision = { orderId: string; number: number } & (
  | { type: 'amended'; lines: HeldLine[]; differences: Difference[] }
  | { type: 'rejected'; code: AmendmentRefusal; reason: string; lines: RejectedLine[] }
);

/**
 * Decides a batch of amendments in the order of their arrival. Only the difference moves, all of it or nothing: what an order needs
 * more must be there, what it needs less is there for the next. Units that are held keep the price they were taken at. Pure; what is
 * given is not touched.
 */
export function decideAmendments(
  stock: ReadonlyMap<number, Stock>,
  held: ReadonlyMap<string, Held>,
  amendments: Amendment[],
  purchases: Purchases = new Purchases(),
): AmendmentDecision[] {
  const bought = purchases.copy();
  const left = new Map([...stock.values()].map((row) => [row.productId, available(row)]));
  const holding = new Map(held);
  return amendments.map((amendment) => {
    const { orderId, number } = amendment;
    const before = holding.get(orderId) ?? nothing;
    const refusal = refusalOf(amendment, before) ?? shortage(amendment, before, stock, { left, bought });
    holding.set(orderId, { ...before, lastNumber: Math.max(before.lastNumber, number) });
    if (refusal) return { type: 'rejected', orderId, number, ...refusal };
    const differences = differencesOf(before.lines, amendment.lines);
    for (const { productId, units } of differences) {
      left.set(productId, left.get(productId)! - units);
      bought.add(productId, before.customerId, units);
    }
    const lines = amendment.lines.map((line) => priced(line, before.lines, stock));
    holding.set(orderId, { ...before, isActive: true, lines, lastNumber: number });
    return { type: 'amended', orderId, number, lines, differences };
  });
}

/** What must move so that `wanted` is held instead of `held`, by product id; lines that stay as they are are left out. */
export function differencesOf(held: WishedLine[], wanted: WishedLine[]): Difference[] {
  const units = new Map(held.map(({ productId, quantity }) => [productId, -quantity]));
  for (const { productId, quantity } of wanted) units.set(productId, (units.get(productId) ?? 0) + quantity);
  const differences = [...units].map(([productId, difference]) => ({ productId, units: difference }));
  return differences.filter((difference) => difference.units !== 0).sort((a, b) => a.productId - b.productId);
}

type Refusal = Pick<AmendmentDecision & { type: 'rejected' }, 'code' | 'reason' | 'lines'>;

const nothing: Held = { isActive: false, lines: [], lastNumber: 0 };

/** What no stock can help. */
function refusalOf({ number, isLate }: Amendment, { isActive, lastNumber }: Held): Refusal | undefined {
  if (!isActive) return { code: 'NOT_HELD', reason: 'Nothing is reserved for the order any more', lines: [] };
  if (number <= lastNumber) return { code: 'OVERTAKEN', reason: 'A later change of the order was decided before', lines: [] };
  if (isLate) return { code: 'EXPIRED', reason: 'The change came to inventory after its time', lines: [] };
  return undefined;
}

/** Which lines cannot grow as far as they should. A line that shrinks or stays is never at fault. */
function shortage(
  { lines }: Amendment,
  before: Held,
  stock: ReadonlyMap<number, Stock>,
  { left, bought }: { left: ReadonlyMap<number, number>; bought: Purchases },
): Refusal | undefined {
  const growing = differencesOf(before.lines, lines).filter(({ units }) => units > 0);
  const faults = growing.flatMap((difference) => {
    const row = stock.get(difference.productId);
    const own = before.lines.find(({ productId }) => productId === difference.productId)?.quantity;
    return faultOf(difference, lines, row, { left, room: bought.room(row, before.customerId, own) }) ?? [];
  });
  const [first] = faults;
  return first && { code: first.code, reason: reasons[first.code], lines: faults };
}

/** `available` counts what the order holds already: as many could it have in all. */
function faultOf(
  { productId, units }: Difference,
  wanted: WishedLine[],
  stock: Stock | undefined,
  { left, room }: { left: ReadonlyMap<number, number>; room: number },
): RejectedLine | undefined {
  const requested = wanted.find((line) => line.productId === productId)!.quantity;
  if (!stock) return { product_id: productId, requested, available: 0, code: 'UNKNOWN_PRODUCT' };
  const more = left.get(productId)!;
  const fault = { product_id: productId, requested, available: requested - units + Math.max(0, Math.min(more, room)) };
  if (!stock.active) return { ...fault, code: 'PRODUCT_INACTIVE' };
  if (room < units) return { ...fault, code: 'PURCHASE_LIMIT' };
  return more < units ? { ...fault, code: 'INSUFFICIENT_STOCK' } : undefined;
}

function priced(line: WishedLine, held: HeldLine[], stock: ReadonlyMap<number, Stock>): HeldLine {
  const before = held.find(({ productId }) => productId === line.productId);
  return { ...line, unitPrice: before?.unitPrice ?? stock.get(line.productId)!.unitPrice };
}
