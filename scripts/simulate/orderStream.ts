import { createHash } from 'node:crypto';

/** What decides the stream, beside the seed. Shares are from 0 to 1. */
export interface StreamShape {
  orders: number;
  seed: number;
  /** Every order takes one unit of one and the same product. */
  hot: boolean;
  /** Of how many orders the lines are single, 2 to 5, and up to 10; together 1. */
  lines: readonly [number, number, number];
  duplicates: number;
  conflicts: number;
  cancels: number;
  foreign: number;
}

/** An order as it will be placed; products and customers by their place in the run's own lists. */
export interface PlannedOrder {
  number: number;
  customer: number;
  lines: { product: number; quantity: number }[];
  /** The same order once more under the same key: at the same time, or after the answer. */
  duplicate: 'none' | 'beside' | 'after';
  /** Other lines under the same key, which must be refused. */
  conflict: boolean;
  cancel: boolean;
  /** Comes as a bare message from another order service. */
  foreign: boolean;
}

export const PRODUCT_COUNT = 20;
export const CUSTOMER_COUNT = 500;

/** The orders of a run. The same shape gives the same stream on every machine. */
export function orderStream(shape: StreamShape): PlannedOrder[] {
  const random = mulberry32(shape.seed);
  const chance = (share: number) => random() < share;
  const upTo = (limit: number) => Math.floor(random() * limit);
  return Array.from({ length: shape.orders }, (_, number) => ({
    number,
    customer: upTo(CUSTOMER_COUNT),
    lines: shape.hot ? [{ product: 0, quantity: 1 }] : mixedLines(shape.lines, random, upTo),
    duplicate: chance(shape.duplicates) ? (chance(0.5) ? ('beside' as const) : ('after' as const)) : ('none' as const),
    conflict: chance(shape.conflicts),
    cancel: chance(shape.cancels),
    foreign: chance(shape.foreign),
  }));
}

/** Units wished for of each product: what the stock must cover so that no order is refused. */
export function demandOf(stream: PlannedOrder[]): number[] {
  const demand = new Array<number>(PRODUCT_COUNT).fill(0);
  for (const { lines } of stream) for (const { product, quantity } of lines) demand[product]! += quantity;
  return demand;
}

/** Two runs with the same one placed the same orders. */
export function fingerprintOf(stream: PlannedOrder[]): string {
  return createHash('sha256').update(JSON.stringify(stream)).digest('hex').slice(0, 16);
}

function mixedLines([single, few]: StreamShape['lines'], random: () => number, upTo: (limit: number) => number) {
  const draw = random();
  const count = draw < single ? 1 : draw < single + few ? 2 + upTo(4) : 6 + upTo(5);
  const products = new Set<number>();
  while (products.size < count) products.add(upTo(PRODUCT_COUNT));
  return [...products].map((product) => ({ product, quantity: 1 + upTo(3) }));
}

/** Small, seeded and good enough for a load: Tommy Ettinger's mulberry32, which he put in the public domain. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
