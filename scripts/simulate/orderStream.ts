import { createHash } from 'node:crypto';

import { below, seededRandom, type Random } from '../random';

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
  /** Of the orders that are not cancelled; none unless given. */
  fulfils?: number;
  /** Of how many orders the customer's balance pays; none unless given. */
  paid?: number;
  /** The first product is wanted most, the n-th 1/n as much: a shop as it is. All alike unless given. */
  skewed?: boolean;
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
  fulfil: boolean;
  /** By its customer's balance. */
  paid: boolean;
  /** Comes as a bare message from another order service. */
  foreign: boolean;
}

export const PRODUCT_COUNT = 20;
export const CUSTOMER_COUNT = 500;

/** The orders of a run. The same shape gives the same stream on every machine. */
export function orderStream(shape: StreamShape): PlannedOrder[] {
  const random = seededRandom(shape.seed);
  const chance = (share: number) => random() < share;
  const anyProduct = shape.skewed ? () => skewed(random) : () => below(PRODUCT_COUNT, random);
  return Array.from({ length: shape.orders }, (_, number) => ({
    number,
    customer: below(CUSTOMER_COUNT, random),
    lines: shape.hot ? [{ product: 0, quantity: 1 }] : mixedLines(shape.lines, random, anyProduct),
    duplicate: chance(shape.duplicates) ? (chance(0.5) ? ('beside' as const) : ('after' as const)) : ('none' as const),
    conflict: chance(shape.conflicts),
    cancel: chance(shape.cancels),
    foreign: chance(shape.foreign),
    fulfil: shape.fulfils !== undefined && chance(shape.fulfils),
    paid: shape.paid ? chance(shape.paid) : false,
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

function mixedLines([single, few]: StreamShape['lines'], random: Random, anyProduct: () => number) {
  const draw = random();
  const count = draw < single ? 1 : draw < single + few ? 2 + below(4, random) : 6 + below(5, random);
  const products = new Set<number>();
  while (products.size < count) products.add(anyProduct());
  return [...products].map((product) => ({ product, quantity: 1 + below(3, random) }));
}

/** Zipf's law with exponent 1 over the products. */
function skewed(random: Random): number {
  let left = random() * harmonic;
  const product = weights.findIndex((weight) => (left -= weight) < 0);
  return product === -1 ? PRODUCT_COUNT - 1 : product;
}

const weights = Array.from({ length: PRODUCT_COUNT }, (_, rank) => 1 / (rank + 1));
const harmonic = weights.reduce((sum, weight) => sum + weight, 0);
