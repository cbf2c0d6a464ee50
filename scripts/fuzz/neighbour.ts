import { setTimeout as delay } from 'node:timers/promises';

import { build, type Histogram } from 'hdr-histogram-js';
import { Pool } from 'undici';

import { percentiles, rounded, type Percentiles } from '../simulate/report';
import { ANSWER_LIMIT_MS } from './judge';
import { type Violation } from './violation';

/** A customer who orders something ordinary at a gentle pace, whatever else goes on. */
export interface Neighbour {
  /** What falls due from now on is counted as of this part; before the first it is a warm-up. */
  enter(part: Part): void;
  /** Places no more orders, and resolves when the last is answered. */
  stop(): Promise<NeighbourOutcome>;
}

/** Alone; beside requests that mean no harm; beside the attack. */
export type Part = 'alone' | 'ordinary' | 'attacked';

export interface NeighbourOptions {
  /** Where the gateway answers GraphQL. */
  url: string;
  /** Who orders, and the header that the gateway knows them by. */
  customerId: string;
  authorization: string;
  productId: number;
  ordersPerSecond: number;
}

export type NeighbourOutcome = Record<Part, OrderAnswers> & { violations: Violation[] };

/** How orders were answered, in milliseconds from when each was due. */
export interface OrderAnswers extends Percentiles {
  orders: number;
  /** How many were answered by anything but an order, or not at all. */
  refused: number;
  max: number;
}

export function startNeighbour({ url, authorization, ordersPerSecond, ...order }: NeighbourOptions): Neighbour {
  const { origin, pathname } = new URL(url);
  // As many connections as it takes: an order waits for no other one of the customer.
  const pool = new Pool(origin, { headersTimeout: GIVE_UP_MS, bodyTimeout: GIVE_UP_MS });
  const headers = { authorization, 'content-type': 'application/json' };
  const items = [{ productId: order.productId, quantity: 1 }];
  const body = JSON.stringify({ query: creation, variables: { input: { customerId: order.customerId, items } } });
  const violations: Violation[] = [];
  const ordinary = { pool, path: pathname, headers, body, violations };
  const tallies = { alone: newTally(), ordinary: newTally(), attacked: newTally() };
  let part: Part | undefined;
  let isOver = false;

  async function placeAll(): Promise<void> {
    const underWay = new Set<Promise<void>>();
    const startedAt = performance.now();
    for (let number = 0; !isOver; number++) {
      const dueAt = startedAt + (number * 1_000) / ordersPerSecond;
      await delay(Math.max(0, dueAt - performance.now()));
      const placing: Promise<void> = place(ordinary, { number, dueAt, tally: part && tallies[part] }).then(
        () => void underWay.delete(placing),
      );
      underWay.add(placing);
    }
    await Promise.all(underWay);
  }

  const placing = placeAll();
  return {
    enter: (next) => void (part = next),
    async stop() {
      isOver = true;
      await placing;
      await pool.destroy();
      const { alone, ordinary, attacked } = tallies;
      return { alone: answersOf(alone), ordinary: answersOf(ordinary), attacked: answersOf(attacked), violations };
    },
  };
}

interface Ordinary {
  pool: Pool;
  path: string;
  headers: Record<string, string>;
  body: string;
  violations: Violation[];
}

/** Places one order. What it was not answered by, or how late, is a violation; during the warm-up no tally counts it. */
async function place(
  { pool, path, headers, body, violations }: Ordinary,
  { number, dueAt, tally }: { number: number; dueAt: number; tally: Tally | undefined },
): Promise<void> {
  const refusal = await pool
    .request({ method: 'POST', path, headers, body })
    .then(async (response) => refusalIn(await response.body.text()))
    .catch((error: unknown) => `no answer: ${String(error)}`);
  const ms = performance.now() - dueAt;
  if (tally) note(tally, ms, refusal);
  const where = `neighbour ${number}`;
  if (refusal !== undefined) violations.push({ what: 'an ordinary order was refused', where, sample: refusal });
  if (ms > ANSWER_LIMIT_MS) violations.push({ what: `waited ${Math.round(ms)} ms`, where, sample: body });
}

const creation =
  'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ... on Order { id } ... on ErrorResult { code message } } }';

/** Longer than anybody may have to wait, so that a late answer is seen to be late. */
const GIVE_UP_MS = 30_000;

/** What came instead of an order. */
function refusalIn(text: string): string | undefined {
  return /^\{"data":\{"createOrder":\{"id":"[^"]+"\}\}/.test(text) ? undefined : text.slice(0, 600);
}

interface Tally {
  orders: number;
  refused: number;
  /** In microseconds. */
  times: Histogram;
}

function newTally(): Tally {
  const range = { lowestDiscernibleValue: 1, highestTrackableValue: 600_000_000, numberOfSignificantValueDigits: 3 as const };
  return { orders: 0, refused: 0, times: build(range) };
}

function note(tally: Tally, ms: number, refusal: string | undefined): void {
  tally.orders++;
  if (refusal !== undefined) tally.refused++;
  tally.times.recordValue(Math.max(1, Math.round(ms * 1_000)));
}

function answersOf({ orders, refused, times }: Tally): OrderAnswers {
  return { orders, refused, ...percentiles(times, 1_000), max: rounded(times.getValueAtPercentile(100) / 1_000) };
}
