import { type Transaction } from '../database';
import { failpoint } from '../faults';
import { type Outbox } from '../messaging';
import { changeOrders, type ChangeOptions, type ChangeOutcome } from './changeOrders';
import { type OrderChange, type OrderStatus } from './order';
import { lockOrders } from './orderRows';

export type CloseOrderResult =
  /** It is so: by this call, or already before it (`repeated`). */
  | { type: 'done'; orderId: string; repeated: boolean }
  | { type: 'unknown-order'; orderId: string }
  /** Its status does not allow it; or a change of its lines is under way (`amending`), which must be decided first. */
  | { type: 'refused'; orderId: string; status: OrderStatus; amending?: true };

export interface CloseOrderOptions {
  outbox: Outbox;
  changing: ChangeOptions;
  onChanged: (outcomes: ChangeOutcome[]) => void;
}

/**
 * Cancels an order that is not FULFILLED. Cancelling it again is no error. What is reserved for it is released, and what was or will
 * be paid for it is given back. `owner`: the customer who asks; an order of another is unknown to it.
 */
export function cancelOrderUseCase(options: CloseOrderOptions) {
  return (orderId: string, message?: string, owner?: string): Promise<CloseOrderResult> =>
    close(options, cancellation(orderId, message), owner);
}

/** A cancel that somebody asked for. No words about it are a reason not to do it: they are cut, and what no database can store is left out. */
export function cancellation(orderId: string, message?: string): OrderChange {
  return {
    orderId,
    trigger: 'CancelOrder',
    reason: { code: 'REQUESTED', message: inBrief(message) || 'Cancelled on request', lines: [] },
  };
}

/** The first 500 characters, of which an emoji is one, though it may be two units of a JavaScript string. */
function inBrief(message = ''): string {
  const enough = message.replaceAll('\u0000', '').slice(0, 2 * MESSAGE_CHARACTERS_MAX + 1);
  return [...enough.toWellFormed()].slice(0, MESSAGE_CHARACTERS_MAX).join('').trim();
}

const MESSAGE_CHARACTERS_MAX = 500;

/** Fulfils a CONFIRMED order: its goods have left, so what was reserved leaves the stock. Fulfilling it again is no error. */
export function fulfilOrderUseCase(options: CloseOrderOptions) {
  return (orderId: string): Promise<CloseOrderResult> => close(options, { orderId, trigger: 'FulfilOrder' });
}

async function close(
  { outbox, changing, onChanged }: CloseOrderOptions,
  change: OrderChange,
  owner?: string,
): Promise<CloseOrderResult> {
  failpoint('closeOrder.starting');
  const outcome = await outbox.transaction(async (tx) => {
    const isForeign = owner !== undefined && !(await isOrderOf(tx, change.orderId, owner));
    const [result] = isForeign ? [unknownTo(change)] : await changeOrders(tx, [change], changing);
    failpoint('closeOrder.saved');
    return { result: result!, messages: result!.messages };
  });
  failpoint('closeOrder.committed');
  onChanged([outcome]);
  return closeResultOf(outcome);
}

/** What became of a cancel or of a fulfilment, for who asked. */
export function closeResultOf(outcome: ChangeOutcome): CloseOrderResult {
  const { orderId } = outcome.change;
  switch (outcome.type) {
    case 'unknown':
      return { type: 'unknown-order', orderId };
    case 'changed':
      return { type: 'done', orderId, repeated: false };
    case 'already':
      return { type: 'done', orderId, repeated: true };
    default:
      return { type: 'refused', orderId, status: outcome.order.status, amending: outcome.order.amending ? true : undefined };
  }
}

async function isOrderOf(tx: Transaction, orderId: string, owner: string): Promise<boolean> {
  return (await lockOrders(tx, [orderId])).get(orderId)?.customerId === owner;
}

function unknownTo(change: OrderChange): ChangeOutcome {
  return { type: 'unknown', change, messages: [] };
}
