import { build, type Histogram } from 'hdr-histogram-js';

import { type Acknowledged, type AuditedLine, type ForeignOrder } from '../audit';
import { RefusedRequest, type Client } from './client';
import { type ForeignDesk } from './foreignDesk';
import { type PlannedOrder } from './orderStream';

/** What a run did and was told: kept here, outside the database, to be held against it. */
export interface Journal {
  acknowledged: Acknowledged[];
  foreign: ForeignOrder[];
  /** Orders that got an answer, whichever. */
  placed: number;
  /** Orders that were refused, each with the reason; none should be. */
  refused: string[];
  /** Keys used again for other lines, and refused as they must be. */
  conflicts: number;
  cancels: number;
  /** From the first attempt to the answer, in microseconds, as the client saw it. */
  answerTimes: Histogram;
}

export interface Placing {
  client: Client;
  desk?: ForeignDesk;
  run: string;
  productIds: number[];
  concurrency: number;
  /** Aborted: no further order is begun. */
  signal: AbortSignal;
}

export function createJournal(): Journal {
  const answerTimes = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 3_600_000_000,
    numberOfSignificantValueDigits: 3,
  });
  return { acknowledged: [], foreign: [], placed: 0, refused: [], conflicts: 0, cancels: 0, answerTimes };
}

/**
 * Places the stream in a closed loop: each of the workers begins an order when its last one is answered. When one fails, the
 * others finish the order they have in hand; then the failure is thrown.
 */
export async function placeOrders(stream: PlannedOrder[], journal: Journal, placing: Placing): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < stream.length && !placing.signal.aborted) {
      await placeOne(stream[next++]!, journal, placing);
      journal.placed++;
    }
  };
  const stopAll = (error: unknown): never => {
    next = stream.length;
    throw error;
  };
  const outcomes = await Promise.allSettled(Array.from({ length: placing.concurrency }, () => work().catch(stopAll)));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

async function placeOne(planned: PlannedOrder, journal: Journal, placing: Placing): Promise<void> {
  if (planned.foreign) return askForeign(planned, journal, placing);
  const order = toInput(planned, placing);
  const copies = planned.duplicate === 'beside' ? 2 : 1;
  const [orderId] = await Promise.all(Array.from({ length: copies }, () => send(order, journal, placing)));
  if (planned.duplicate === 'after') await send(order, journal, placing);
  if (planned.conflict) await sendConflict(order, journal, placing);
  if (planned.cancel && orderId) {
    await placing.client.ask(cancellation, { orderId });
    journal.cancels++;
  }
}

interface OrderInput {
  customerId: string;
  idempotencyKey: string;
  items: AuditedLine[];
  payment: 'NONE' | 'BALANCE';
}

function toInput({ number, customer, lines, paid }: PlannedOrder, { run, productIds }: Placing): OrderInput {
  const items = lines.map(({ product, quantity }) => ({ productId: productIds[product]!, quantity }));
  const payment = paid ? ('BALANCE' as const) : ('NONE' as const);
  return { customerId: customerOf(run, customer), idempotencyKey: `${run}-${number}`, items, payment };
}

export function customerOf(run: string, customer: number): string {
  return `sim-${run}-${customer}`;
}

/** Whatever the gateway calls an order goes into the journal, with the lines that were sent for it. */
async function send(input: OrderInput, journal: Journal, placing: Placing): Promise<string | undefined> {
  const startedAt = performance.now();
  const answer = await placed(input, placing);
  journal.answerTimes.recordValue(Math.max(1, Math.round((performance.now() - startedAt) * 1_000)));
  if (answer.id !== undefined) {
    const { customerId, idempotencyKey, items: lines } = input;
    journal.acknowledged.push({ orderId: answer.id, customerId, idempotencyKey, lines });
    return answer.id;
  }
  if (answer.code === 'IDEMPOTENCY_CONFLICT') journal.conflicts++;
  else journal.refused.push(answer.message ?? 'refused without a reason');
  return undefined;
}

/** Who is told BUSY comes back, as a shop's customers do. */
async function placed(input: OrderInput, { client, signal }: Placing): Promise<OrderAnswer> {
  for (;;) {
    const answer = await client.ask<{ createOrder: OrderAnswer }>(creation, { input }).then(
      ({ createOrder }) => createOrder,
      (error: unknown): OrderAnswer => {
        if (error instanceof RefusedRequest) return { message: error.message };
        throw error;
      },
    );
    if (answer.code !== 'BUSY' || signal.aborted) return answer;
    await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
  }
}

const BUSY_PAUSE_MS = 1_000;

/** Should it be taken for an order after all, the journal has the lines that were sent, and they will not be the stored ones. */
async function sendConflict(order: OrderInput, journal: Journal, placing: Placing): Promise<void> {
  const items = order.items.map(({ productId, quantity }) => ({ productId, quantity: quantity + 1 }));
  await send({ ...order, items }, journal, placing);
}

async function askForeign(
  { number, lines, duplicate }: PlannedOrder,
  journal: Journal,
  { desk, run, productIds }: Placing,
): Promise<void> {
  const orderId = `SIM-${run}-${number}`;
  const wished = lines.map(({ product, quantity }) => ({ productId: productIds[product]!, quantity }));
  const answers = await desk!.order(orderId, wished, duplicate === 'none' ? 1 : 2);
  journal.foreign.push({ orderId, lines: wished, answers });
}

const creation = `mutation ($input: CreateOrderInput!) {
  createOrder(input: $input) { ... on Order { id } ... on ErrorResult { code message } }
}`;

const cancellation = 'mutation ($orderId: ID!) { cancelOrder(orderId: $orderId) { __typename } }';

interface OrderAnswer {
  id?: string;
  code?: string;
  message?: string;
}
