export interface OrderLine {
  productId: number;
  /** Units, at least one. */
  quantity: number;
}

export interface PricedLine extends OrderLine {
  /** Minor units of the order's currency, for one unit. */
  unitPrice: number;
}

/** The same product ordered in two lines is one line of both quantities; lines come out by product id. */
export function mergeLines(lines: OrderLine[]): OrderLine[] {
  const quantities = new Map<number, number>();
  for (const { productId, quantity } of lines) quantities.set(productId, (quantities.get(productId) ?? 0) + quantity);
  return [...quantities].map(([productId, quantity]) => ({ productId, quantity })).sort((a, b) => a.productId - b.productId);
}

/** The lines with these quantities instead: 0 takes a line off, a product that is not among them is a new line, the others stay. */
export function amendLines(lines: OrderLine[], quantities: OrderLine[]): OrderLine[] {
  const amended = new Map(lines.map(({ productId, quantity }) => [productId, quantity]));
  for (const { productId, quantity } of quantities) amended.set(productId, quantity);
  return mergeLines([...amended].map(([productId, quantity]) => ({ productId, quantity }))).filter(
    ({ quantity }) => quantity > 0,
  );
}

/** What is other in the second lines than in the first, for people. */
export function changeInWords(before: OrderLine[], after: OrderLine[]): string {
  const quantityIn = (lines: OrderLine[], id: number) => lines.find(({ productId }) => productId === id)?.quantity ?? 0;
  const products = mergeLines([...before, ...after]).map(({ productId }) => productId);
  const changed = products.filter((id) => quantityIn(before, id) !== quantityIn(after, id));
  return changed.map((id) => `product ${id}: ${quantityIn(before, id)} → ${quantityIn(after, id)}`).join('; ');
}

/** What the lines cost together, in minor units. */
export function totalOf(lines: PricedLine[]): number {
  return lines.reduce((sum, line) => sum + line.quantity * line.unitPrice, 0);
}

/** True when the second lines are exactly the first; these are merged. */
export function coversExactly(ordered: OrderLine[], reserved: OrderLine[]): boolean {
  const merged = mergeLines(reserved);
  return (
    merged.length === ordered.length &&
    merged.every((line, index) => line.productId === ordered[index]!.productId && line.quantity === ordered[index]!.quantity)
  );
}
