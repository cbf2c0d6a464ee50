import { z } from 'zod';

import { faultsOf, INT_MAX, text, type FieldFault } from '../contracts';
import { type Database, type Transaction } from '../database';
import { failpoint } from '../faults';
import { type Outbox, type Outcome } from '../messaging';
import { findUnderWay, insertAmendment } from './amendmentRows';
import { amendReservation } from './amendments';
import { decide, type AmendmentReason, type OrderStatus } from './order';
import { amendLines, coversExactly, type OrderLine } from './orderLines';
import { lockOrders, type LockedOrder } from './orderRows';
import { type OrderWatch } from './orderWatch';
import { nameProducts, type ProductNames, type WishedItem } from './nameProducts';
import { readAmendment } from './readAmendments';
import { findOrders, type OrderView } from './readOrders';
import { type OrderTimes } from './saveOrders';

/** Other quantities for an order; not yet checked. */
export interface UpdateOrderInput {
  orderId: string;
  /** New quantities of products: 0 takes a product off the order, one that is not on it is added, the others stay as they are. */
  items: WishedItem[];
  /** Change nothing unless the order is at this version. */
  expectedVersion?: number | null;
}

export type UpdateOrderResult =
  /** The order has these quantities: by this call, or already before it. */
  | { type: 'updated'; order: OrderView }
  /** The change is safe, and inventory has not decided it yet. */
  | { type: 'under-way'; order: OrderView }
  /** Inventory said no; the order keeps its lines. */
  | { type: 'rejected'; orderId: string; reason: AmendmentReason }
  | { type: 'invalid'; fields: FieldFault[] }
  | { type: 'unknown-order'; orderId: string }
  /** Its status does not allow it, or no longer: it was cancelled meanwhile. */
  | { type: 'refused'; orderId: string; status: OrderStatus }
  /** It is paid: its price was captured for the lines that it has. */
  | { type: 'paid'; orderId: string }
  /** Another change of it is under way. */
  | { type: 'amending'; orderId: string }
  | { type: 'version-moved'; orderId: string; version: number; expectedVersion: number };

export type UpdateOrder = (
  input: UpdateOrderInput,
  correlationId: string,
  signal?: AbortSignal,
  /** The customer who asks: an order of another is unknown to it. */
  owner?: string,
) => Promise<UpdateOrderResult>;

export interface UpdateOrderOptions {
  database: Database;
  outbox: Outbox;
  times: OrderTimes;
  limits: { linesMax: number; quantityMax: number };
  products: ProductNames;
  watch: OrderWatch;
  newId: () => string;
}

/**
 * Changes the quantities of a CONFIRMED order that nothing was paid for. What is wanted is written down as an amendment, one at a time for an order, and
 * inventory is asked to hold it instead: only the difference of stock moves, all of it or nothing. When inventory has answered, the
 * order follows. This waits for that a little while, so that a shortage is told at once; a caller who is told `under-way` looks at the
 * order later. Quantities are absolute, so repeating a call is safe; where somebody else may change the order too, `expectedVersion`
 * keeps the one from undoing what the other did.
 */
export function updateOrderUseCase(options: UpdateOrderOptions): UpdateOrder {
  const schema = inputSchema(options.limits);
  return async (input, correlationId, signal, owner) => {
    const parsed = schema.safeParse(input);
    if (!parsed.success) return { type: 'invalid', fields: faultsOf(parsed.error) };
    const [wish] = await nameProducts(options, [parsed.data]);
    if (Array.isArray(wish)) return { type: 'invalid', fields: wish };
    failpoint('updateOrder.starting');
    const answer = await options.outbox.transaction(
      (tx) => amend(tx, { ...wish!, owner }, correlationId, options),
      'updateOrder.written',
    );
    failpoint('updateOrder.committed');
    return answer.type === 'asked' ? outcomeOf(answer, options, signal) : answer;
  };
}

interface Wish {
  orderId: string;
  items: OrderLine[];
  expectedVersion?: number | null;
  owner?: string;
}

interface Asked {
  type: 'asked';
  orderId: string;
  number: number;
}

type Answer = Asked | UpdateOrderResult;

/** Under the order's lock: is it so already, is it allowed, is it asked for already? Else it is written down, and inventory asked. */
async function amend(
  tx: Transaction,
  { orderId, items, expectedVersion, owner }: Wish,
  correlationId: string,
  options: UpdateOrderOptions,
): Promise<Outcome<Answer>> {
  const order = (await lockOrders(tx, [orderId])).get(orderId);
  if (!order || (owner ?? order.customerId) !== order.customerId) return answered({ type: 'unknown-order', orderId });
  const decision = decide(order, { orderId, trigger: 'AmendOrder' });
  if (decision.type !== 'ask') return answered(refusalOf(order));
  const lines = amendLines(order.lines, items);
  const faults = faultsIn(items, lines, options.limits);
  if (faults.length > 0) return answered({ type: 'invalid', fields: faults });
  const underWay = (await findUnderWay(tx, [orderId])).get(orderId);
  if (underWay && coversExactly(underWay.lines, lines)) return answered({ type: 'asked', orderId, number: underWay.number });
  if (underWay) return answered({ type: 'amending', orderId });
  if (coversExactly(order.lines, lines)) return answered({ type: 'updated', order: (await findOrders(tx, [orderId]))[0]! });
  const { version } = order;
  if (expectedVersion != null && version !== expectedVersion)
    return answered({ type: 'version-moved', orderId, version, expectedVersion });
  return ask(tx, order, lines, correlationId, options);
}

/** CONFIRMED is the status that allows it, and only to an order that nothing was captured for. */
function refusalOf({ id: orderId, status, payment }: LockedOrder): UpdateOrderResult {
  return status === 'CONFIRMED' && payment !== 'NONE' ? { type: 'paid', orderId } : { type: 'refused', orderId, status };
}

async function ask(
  tx: Transaction,
  { id: orderId, lines: before }: LockedOrder,
  lines: OrderLine[],
  correlationId: string,
  { times, newId }: UpdateOrderOptions,
): Promise<Outcome<Answer>> {
  const wanted = { orderId, before, lines, correlationId };
  const amendment = await insertAmendment(tx, wanted, { ...times, tellAgainAfterMs: times.republishAfterMs });
  return { result: { type: 'asked', orderId, number: amendment.number }, messages: [amendReservation(amendment, newId)] };
}

/** Longer than inventory takes when all is well; a caller who is not answered within it is told that the change is under way. */
const ANSWER_WAIT_MS = 5_000;

async function outcomeOf(
  { orderId, number }: Asked,
  { database, watch }: UpdateOrderOptions,
  signal?: AbortSignal,
): Promise<UpdateOrderResult> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_WAIT_MS);
  const patience = signal ? AbortSignal.any([signal, limit.signal]) : limit.signal;
  try {
    await watch.untilDecided(orderId, number, patience);
  } finally {
    clearTimeout(timer);
  }
  const amendment = (await readAmendment(database, orderId, number))!;
  const order = (await findOrders(database, [orderId]))[0]!;
  switch (amendment.status) {
    case 'APPLIED':
      return { type: 'updated', order };
    case 'PENDING':
      return { type: 'under-way', order };
    case 'REJECTED':
      return { type: 'rejected', orderId, reason: amendment.reason! };
    case 'OVERTAKEN':
      return { type: 'refused', orderId, status: order.status };
    default:
      return amendment.status satisfies never;
  }
}

function answered(result: Answer): Outcome<Answer> {
  return { result, messages: [] };
}

function faultsIn(items: OrderLine[], lines: OrderLine[], { linesMax }: UpdateOrderOptions['limits']): FieldFault[] {
  const named = items.map(({ productId }) => productId);
  const twice = named.find((id, index) => named.indexOf(id) !== index);
  if (twice !== undefined) return [{ path: 'items', code: 'duplicate', message: `names product ${twice} more than once` }];
  if (lines.length === 0) {
    return [{ path: 'items', code: 'too_small', message: 'would leave nothing on the order: cancel it instead' }];
  }
  if (lines.length <= linesMax) return [];
  return [{ path: 'items', code: 'too_big', message: `would make ${lines.length} lines; at most ${linesMax} are allowed` }];
}

function inputSchema({ linesMax, quantityMax }: UpdateOrderOptions['limits']) {
  const item = z.object({
    productId: z.int().min(1, 'must be the id of a product').max(INT_MAX).nullish(),
    sku: z.string().max(1_000).nullish(),
    name: z.string().max(1_000).nullish(),
    quantity: z.int('must be a whole number').min(0, 'must not be negative').max(quantityMax, `must be at most ${quantityMax}`),
  });
  return z.object({
    orderId: text(200),
    items: z.array(item).min(1, 'must hold at least one item').max(linesMax, `must hold at most ${linesMax} items`),
    expectedVersion: z.int().min(1).nullish(),
  });
}
