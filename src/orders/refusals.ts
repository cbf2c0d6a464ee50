import { shown, type RejectedLine } from '../contracts';
import { type CloseOrderResult } from './closeOrder';
import { type CreateOrderResult } from './createOrder';
import { isDecided, type OrderStatus } from './order';
import { type UpdateOrderResult } from './updateOrder';

/** Why an order was not placed, found, closed or updated: every door tells it in these words, and decides by these codes. */
export interface OrderRefusal {
  code: string;
  message: string;
  /** The same request may succeed a moment later, without anybody doing anything else. */
  isRetryable: boolean;
  orderId: string;
  status?: OrderStatus;
  version?: number;
  /** The lines that inventory could not hold. */
  lines?: RejectedLine[];
}

/** What the use cases refuse for another reason than their input. */
export type RefusedResult =
  | Extract<CreateOrderResult, { type: 'key-conflict' }>
  | Exclude<CloseOrderResult, { type: 'done' }>
  | Extract<UpdateOrderResult, { type: 'refused' | 'paid' | 'amending' | 'version-moved' | 'rejected' }>;

/** `verb`: what it could not be. */
export function refusalOf(result: RefusedResult, verb: 'cancelled' | 'fulfilled' | 'updated' = 'updated'): OrderRefusal {
  const orderId = shown(result.orderId);
  const final = { orderId, isRetryable: false };
  switch (result.type) {
    case 'key-conflict':
      return { ...final, code: 'IDEMPOTENCY_CONFLICT', message: refusals.keyConflict(orderId, result.idempotencyKey) };
    case 'unknown-order':
      return { ...final, code: 'UNKNOWN_ORDER', message: refusals.unknownOrder(orderId) };
    case 'refused': {
      const { status } = result;
      if ('amending' in result && result.amending) return underWay(orderId);
      const message = refusals.wrongStatus(orderId, status, verb);
      return { orderId, isRetryable: !isDecided(status), code: 'ORDER_STATE_CONFLICT', message, status };
    }
    case 'paid':
      return { ...final, code: 'ORDER_STATE_CONFLICT', message: refusals.paid(orderId), status: 'CONFIRMED' };
    case 'amending':
      return underWay(orderId);
    case 'version-moved': {
      const { version, expectedVersion } = result;
      const message = refusals.versionMoved(orderId, version, expectedVersion);
      return { ...final, code: 'ORDER_VERSION_CONFLICT', message, version };
    }
    case 'rejected': {
      const { code, message, lines } = result.reason;
      return { ...final, code, message: refusals.updateRejected(orderId, message), lines };
    }
    default:
      return result satisfies never;
  }
}

/** Only a CONFIRMED order has one. */
function underWay(orderId: string): OrderRefusal {
  const message = refusals.amending(orderId);
  return { code: 'UPDATE_UNDER_WAY', message, isRetryable: true, orderId, status: 'CONFIRMED' };
}

/** The sentences. */
export const refusals = {
  keyConflict: (orderId: string, idempotencyKey: string) =>
    `The idempotency key ${JSON.stringify(idempotencyKey)} belongs to order ${orderId}, which has other lines or another payment. Use a new key for a new order.`,
  busy: (retryAfterSeconds: number) =>
    `Too many orders wait to be decided, so no more are taken; nothing was placed. Try again in ${retryAfterSeconds} s.`,
  unknownOrder: (orderId: string) => `There is no order ${orderId}.`,
  wrongStatus: (orderId: string, status: string, verb: string) => `Order ${orderId} is ${status} and cannot be ${verb}.`,
  amending: (orderId: string) =>
    `A change of order ${orderId} is under way, and nothing was done. Inventory decides it within moments: try again then.`,
  paid: (orderId: string) =>
    `Order ${orderId} is paid: its price was captured for the quantities it has. Cancel it, which gives the money back, and order anew.`,
  versionMoved: (orderId: string, version: number, expected: number) =>
    `Order ${orderId} is at version ${version}, not ${expected}: somebody changed it meanwhile. Look again, then decide again.`,
  updateRejected: (orderId: string, reason: string) => `Order ${orderId} keeps its lines. ${reason}.`,
};
