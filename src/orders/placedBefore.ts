import { text } from '../contracts';
import { type Transaction } from '../database';
import { type CreateOrderResult } from './createOrder';
import { callersKey, KEY_LENGTH_MAX, storedKey } from './idempotencyKeys';
import { faultsIn, findProducts, type NamingOptions, type OrderWish, type WishedItem } from './nameProducts';
import { type OrderLine } from './orderLines';
import { findOrders, type OrderView } from './readOrders';
import { findByKeys } from './saveOrders';

type PlacedBefore = Extract<CreateOrderResult, { type: 'placed' | 'key-conflict' }>;

/**
 * The results, each in its place; but where a wish is refused whose key has placed an order before, what that key answers. What is
 * wrong with the wish now was right when it came first: a product was renamed or taken off sale since, a limit was lowered, or no
 * orders are taken this moment. The same wish gets its order, another is told whose key it is. Only what is refused is looked up.
 */
export async function orPlacedBefore<Result extends { type: string }>(
  on: Transaction,
  naming: NamingOptions,
  wishes: OrderWish[],
  results: Result[],
): Promise<(Result | PlacedBefore)[]> {
  const isRefused = ({ type }: Result) => type === 'invalid' || type === 'busy';
  const keys = wishes.map((wish, index) => (isRefused(results[index]!) ? keyOf(wish) : undefined));
  const holders = await findByKeys(
    on,
    keys.flatMap((key) => key ?? []),
  );
  const answers = results.map((result, index) => {
    const holder = holders.find(
      ({ customerId, idempotencyKey }) =>
        customerId === keys[index]?.customerId && idempotencyKey === keys[index]?.idempotencyKey,
    );
    return holder ? answerOf(on, naming, wishes[index]!, holder) : Promise.resolve(result);
  });
  return Promise.all(answers);
}

/** undefined where no order can be under it. */
function keyOf({ customerId, idempotencyKey, callKey }: OrderWish): { customerId: string; idempotencyKey: string } | undefined {
  const given = idempotencyKey ?? callKey?.key;
  if (given == null || !text(KEY_LENGTH_MAX).safeParse(given).success || !text(100).safeParse(customerId).success)
    return undefined;
  return { customerId, idempotencyKey: storedKey(idempotencyKey, callKey)! };
}

async function answerOf(
  on: Transaction,
  naming: NamingOptions,
  wish: OrderWish,
  { id: orderId, idempotencyKey }: { id: string; idempotencyKey: string },
): Promise<PlacedBefore> {
  const order = (await findOrders(on, [orderId]))[0]!;
  const isSame = (wish.payment ?? 'NONE') === order.payment && (await hasLinesOf(on, naming, wish, order));
  return isSame
    ? { type: 'placed', order, repeated: true }
    : { type: 'key-conflict', orderId, idempotencyKey: callersKey(idempotencyKey) };
}

async function hasLinesOf(
  on: Transaction,
  { products }: NamingOptions,
  { items }: OrderWish,
  order: OrderView,
): Promise<boolean> {
  if (faultsIn(items, LINES_EVER_MAX).length > 0) return false;
  const idsOf = await findProducts(products, items);
  return areLinesOf(
    items.map((item) => ({ item, ids: idsOf(item) })),
    await linesAsPlaced(on, order),
  );
}

/** More than any shop allows, or ever did. */
const LINES_EVER_MAX = 1_000;

/** Its lines may have been changed by updates; the first of them knows what they were before. */
async function linesAsPlaced(on: Transaction, { id: orderId, items }: OrderView): Promise<OrderLine[]> {
  const first = await on.amendment.findUnique({ where: { orderId_number: { orderId, number: 1 } }, select: { before: true } });
  return first ? (first.before as unknown as OrderLine[]) : items;
}

/**
 * Whether what was asked for are these lines. A name that leads to no product now, or to several, may have led to any product then: it
 * stands for the one that is left over with as many units.
 */
export function areLinesOf(asked: { item: WishedItem; ids: number[] }[], lines: OrderLine[]): boolean {
  const left = new Map(lines.map(({ productId, quantity }) => [productId, quantity]));
  const lost = new Map<string, number>();
  for (const { item, ids } of asked) {
    if (!isLine(item)) return false;
    const [productId] = ids;
    if (ids.length === 1) left.set(productId!, (left.get(productId!) ?? 0) - item.quantity);
    // The sku of a product never changes.
    else if (item.name == null) return false;
    else lost.set(item.name, (lost.get(item.name) ?? 0) + item.quantity);
  }
  const units = (rest: Map<unknown, number>) =>
    [...rest.values()]
      .filter((quantity) => quantity !== 0)
      .sort((a, b) => a - b)
      .join();
  return units(left) === units(lost);
}

function isLine({ productId, sku, name, quantity }: WishedItem): boolean {
  const ways = [productId, sku, name].filter((way) => way != null);
  return ways.length === 1 && Number.isInteger(quantity) && quantity > 0;
}
