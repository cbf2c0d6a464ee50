import { createHash } from 'node:crypto';
import { z } from 'zod';

import { faultsOf, INT_MAX, paymentMethod, text, type EventOf, type FieldFault, type PaymentMethod } from '../contracts';
import { type Database, type Transaction, classifyDatabaseError } from '../database';
import { failpoint, failpointAfterSending } from '../faults';
import { type Outbox, type OutgoingMessage, type Outcome } from '../messaging';
import { Unavailable } from '../observability';
import { groupCommit } from './groupCommit';
import { callersKey, KEY_LENGTH_MAX, ORDERS_PER_CALL_MAX, storedKey, type CallKey } from './idempotencyKeys';
import { mergeLines, type OrderLine } from './orderLines';
import { findOrders, type OrderView } from './readOrders';
import { findByKeys, saveOrders, saveOrdersAtOnce, type NewOrder, type OrderTimes } from './saveOrders';

/** What a customer wishes for; not yet checked. */
export interface CreateOrderInput {
  customerId: string;
  items: { productId: number; quantity: number }[];
  /** `BALANCE` to have it paid from the customer's balance before it is confirmed; `NONE` unless given. */
  payment?: string | null;
  /** The same key again gets the same order, for ever; at most 200 characters. */
  idempotencyKey?: string | null;
  /** Where it has no key of its own: that of its call, which goes on being its key at the place it has there. */
  callKey?: CallKey;
}

export type CreateOrderResult =
  /** PENDING, and safe: it will be decided. `repeated` when the key had placed it before, in whatever status it is now. */
  | { type: 'placed'; order: OrderView; repeated: boolean }
  | { type: 'invalid'; fields: FieldFault[] }
  /** The key belongs to that order, which wished for something else. */
  | { type: 'key-conflict'; orderId: string; idempotencyKey: string }
  /** Too many orders wait already; nothing was placed. */
  | { type: 'busy'; retryAfterSeconds: number };

export interface CreateOrderOptions {
  database: Database;
  outbox: Outbox;
  times: OrderTimes;
  limits: { linesMax: number; quantityMax: number; batchSizeMax: number; concurrencyMax: number };
  currency: string;
  newId: () => string;
  /** Resolves when intake may go on. */
  room: () => Promise<void>;
  /** False while too many orders wait for inventory; always true unless given. */
  takesOrders?: () => boolean;
}

export type CreateOrder = (input: CreateOrderInput, correlationId: string) => Promise<CreateOrderResult>;

/**
 * Places an order: checks it, commits it with its lines, history and OrderCreated in one transaction, and answers. Inventory
 * decides later. Orders that arrive together share the transaction.
 */
export function createOrderUseCase(options: CreateOrderOptions): CreateOrder {
  const { takesOrders = () => true } = options;
  const draft = draftOrder(options);
  const place = groupCommit({
    commit: (orders: NewOrder[]) => placeOrders(options, orders),
    isFaultOfOne: (error) => ['data', 'constraint', 'other'].includes(classifyDatabaseError(error)),
    batchSizeMax: options.limits.batchSizeMax,
    concurrencyMax: options.limits.concurrencyMax,
    room: options.room,
    roomWaitMaxMs: ROOM_WAIT_MAX_MS,
    noRoom: () =>
      new Unavailable('Orders are not being decided at the moment, so no more are taken; nothing was placed. Try again.'),
  });
  return async (input, correlationId) => {
    const drafted = draft(input, correlationId);
    if (drafted.type !== 'draft') return drafted;
    return takesOrders() ? place(drafted.order) : { type: 'busy', retryAfterSeconds: BUSY_RETRY_SECONDS };
  };
}

type Draft = { type: 'draft'; order: NewOrder } | Extract<CreateOrderResult, { type: 'invalid' }>;

/** Checks a wish and makes the order of it that can be written; pure, but for the new id. */
export function draftOrder({ limits, currency, newId }: DraftOptions): (input: CreateOrderInput, correlationId: string) => Draft {
  const schema = inputSchema(limits);
  return (input, correlationId) => {
    const parsed = schema.safeParse(input);
    if (!parsed.success) return { type: 'invalid', fields: faultsOf(parsed.error) };
    const lines = mergeLines(parsed.data.items);
    const tooMany = lines.find((line) => line.quantity > limits.quantityMax);
    if (tooMany) return { type: 'invalid', fields: [tooManyTogether(tooMany, limits.quantityMax)] };
    const { customerId, callKey } = parsed.data;
    const idempotencyKey = storedKey(parsed.data.idempotencyKey, callKey);
    const payment = parsed.data.payment ?? 'NONE';
    const fingerprint = idempotencyKey === null ? null : fingerprintOf(lines, payment);
    const id = `ORD-${newId()}`;
    return { type: 'draft', order: { id, customerId, lines, currency, payment, correlationId, idempotencyKey, fingerprint } };
  };
}

type DraftOptions = Pick<CreateOrderOptions, 'limits' | 'currency' | 'newId'>;

/** Longer than a queue at the door ever stands still while orders are decided: a caller is told, and not left hanging. */
const ROOM_WAIT_MAX_MS = 10_000;

/** A few looks of the intake, and time for inventory to work off thousands. */
const BUSY_RETRY_SECONDS = 5;

/** An order that came as far as to be written, or a reason why it is none; by then nobody is turned away any more. */
export type WrittenResult = Exclude<CreateOrderResult, { type: 'busy' }>;

/** In their places; what must be looked up first comes later, and fails for itself alone. */
type Answers = (WrittenResult | Promise<WrittenResult>)[];

/** One statement commits them, and its outcome answers all whose key was not taken: nothing can fail between the two. */
async function placeOrders(options: CreateOrderOptions, orders: NewOrder[]): Promise<Answers> {
  failpoint('createOrder.starting');
  const events = orders.map((order) => orderCreated(order, options.newId));
  try {
    const placed = await options.outbox.atOnce((at) => {
      const underWay = saveOrdersAtOnce(at, orders, events, options.times);
      failpointAfterSending('createOrder.written');
      return underWay;
    });
    failpoint('createOrder.committed');
    return answersTo(options.database, orders, placed!);
  } catch (error) {
    if (classifyDatabaseError(error) !== 'unknown-outcome') throw error;
    const answers = await readBack(options.database, orders).catch(() => undefined);
    if (answers) return answers;
    throw error;
  }
}

/** Writes orders inside the transaction it is given; answers in their places, and the events that must be written beside them. */
export async function writeOrders(
  tx: Transaction,
  options: Pick<CreateOrderOptions, 'times' | 'newId'>,
  orders: NewOrder[],
): Promise<Outcome<WrittenResult[]>> {
  const placed = await saveOrders(tx, orders, options.times);
  const messages = orders.filter((order) => placed.has(order.id)).map((order) => orderCreated(order, options.newId));
  return { result: await Promise.all(answersTo(tx, orders, placed).map(async (answer) => answer)), messages };
}

/** A commit whose answer got lost may have happened: the rows tell. */
async function readBack(database: Database, orders: NewOrder[]): Promise<Answers | undefined> {
  const ids = orders.map((order) => order.id);
  const found = await findOrders(database, ids);
  if (found.length === 0) return undefined;
  return answersTo(database, orders, new Map(found.map((order) => [order.id, order.createdAt])));
}

function answersTo(on: Transaction, orders: NewOrder[], placed: Map<string, Date>): Answers {
  const refused = orders.filter((order) => !placed.has(order.id));
  const holders = refused.length > 0 ? holdersOfKeys(on, refused) : undefined;
  return orders.map((order) => {
    const createdAt = placed.get(order.id);
    if (createdAt) return { type: 'placed', order: pendingView(order, createdAt), repeated: false };
    return holders!.then((answer) => answer(order));
  });
}

/** The event as it stands in the contract: an order service of any make publishes just this, with or without the customer. */
export function orderCreated(
  order: { id: string; customerId: string; lines: OrderLine[]; correlationId: string },
  newId: () => string,
): OutgoingMessage {
  const body: EventOf<'OrderCreated'> = {
    event: 'OrderCreated',
    order_id: order.id,
    items: order.lines.map(({ productId, quantity }) => ({ product_id: productId, quantity })),
    customer_id: order.customerId,
  };
  return { id: newId(), body, correlationId: order.correlationId };
}

/** Answers for orders whose key was taken: the same wish gets its order, another wish is told whose key it is. */
async function holdersOfKeys(tx: Transaction, orders: NewOrder[]): Promise<(order: NewOrder) => WrittenResult> {
  const keys = orders.map(({ customerId, idempotencyKey }) => ({ customerId, idempotencyKey: idempotencyKey! }));
  const holders = new Map((await findByKeys(tx, keys)).map((row) => [keyOf(row), row]));
  const views = new Map(
    (
      await findOrders(
        tx,
        [...holders.values()].map((row) => row.id),
      )
    ).map((view) => [view.id, view]),
  );
  return (order) => {
    const holder = holders.get(keyOf(order))!;
    if (holder.fingerprint !== order.fingerprint) {
      return { type: 'key-conflict', orderId: holder.id, idempotencyKey: callersKey(order.idempotencyKey!) };
    }
    return { type: 'placed', order: views.get(holder.id)!, repeated: true };
  };
}

function keyOf({ customerId, idempotencyKey }: { customerId: string; idempotencyKey: string | null }): string {
  return JSON.stringify([customerId, idempotencyKey]);
}

function pendingView(order: NewOrder, createdAt: Date): OrderView {
  return {
    id: order.id,
    customerId: order.customerId,
    status: 'PENDING',
    version: 1,
    currency: order.currency,
    payment: order.payment,
    items: order.lines.map((line) => ({ ...line, unitPrice: null })),
    total: null,
    reason: null,
    createdAt,
    updatedAt: createdAt,
  };
}

function inputSchema({ linesMax, quantityMax }: CreateOrderOptions['limits']) {
  const aProduct = 'must be the id of a product';
  const item = z.object({
    productId: z.int(aProduct).min(1, aProduct).max(INT_MAX, aProduct),
    quantity: z.int('must be a whole number').min(1, 'must be at least 1').max(quantityMax, `must be at most ${quantityMax}`),
  });
  return z.object({
    customerId: text(100),
    items: z.array(item).min(1, 'must hold at least one item').max(linesMax, `must hold at most ${linesMax} items`),
    payment: paymentMethod.nullish(),
    idempotencyKey: text(KEY_LENGTH_MAX).nullish(),
    callKey: z.object({ key: text(KEY_LENGTH_MAX), index: z.int().min(0).lt(ORDERS_PER_CALL_MAX) }).optional(),
  });
}

function tooManyTogether(line: OrderLine, quantityMax: number): FieldFault {
  const message = `product ${line.productId} is ordered ${line.quantity} times in all lines together; at most ${quantityMax} are allowed`;
  return { path: 'items', code: 'too_big', message };
}

/**
 * What the key stands for: the merged lines, and the payment where there is one (so that keys of older orders still fit). The
 * customer is part of the key itself.
 */
function fingerprintOf(lines: OrderLine[], payment: PaymentMethod): string {
  const wish = lines.map(({ productId, quantity }) => [productId, quantity]);
  return createHash('sha256')
    .update(JSON.stringify(payment === 'NONE' ? wish : [payment, wish]))
    .digest('base64url');
}
