import { type AuditedLine } from '../../audit';
import { below, seededRandom } from '../../random';
import { type OrderShape } from './requests';

/** Makes orders of one shape, each for another customer: the same seed makes the same ones. */
export interface OrderMaker {
  customer(): string;
  lines(): AuditedLine[];
}

export function orderMaker({ lines, productIds, hotProductId, seed }: OrderShape): OrderMaker {
  const random = seededRandom(seed);
  const others = hotProductId === undefined ? lines : lines - 1;
  return {
    customer: () => customerNamed(below(CUSTOMER_COUNT, random)),
    lines() {
      const first = below(productIds.length, random);
      const chosen = Array.from({ length: others }, (_, line) => productIds[(first + line * STRIDE) % productIds.length]!);
      const all = hotProductId === undefined ? chosen : [hotProductId, ...chosen];
      return all.map((productId) => ({ productId, quantity: 1 }));
    },
  };
}

/** Prime, so that the lines of one order are of different products. */
const STRIDE = 7;
const CUSTOMER_COUNT = 5_000;

/** Spread evenly over the preloaded customers, so that a large index is written all over and not at one end. */
function customerNamed(index: number): string {
  return `customer-${String(index * 20).padStart(6, '0')}`;
}

/** Everyone who orders in a bench. */
export function allCustomers(): string[] {
  return Array.from({ length: CUSTOMER_COUNT }, (_, index) => customerNamed(index));
}
