import { shown } from '../contracts';

/** Why an order was not placed, found, closed or updated: one sentence for every door. */
export const refusals = {
  keyConflict: (orderId: string, idempotencyKey: string) =>
    `The idempotency key ${JSON.stringify(idempotencyKey)} belongs to order ${orderId}, which has other lines or another payment. Use a new key for a new order.`,
  unknownOrder: (orderId: string) => `There is no order ${shown(orderId)}.`,
  wrongStatus: (orderId: string, status: string, verb: string) => `Order ${orderId} is ${status} and cannot be ${verb}.`,
  amending: (orderId: string) =>
    `A change of order ${orderId} is under way, and nothing was done. Inventory decides it within moments: try again then.`,
  paid: (orderId: string) =>
    `Order ${orderId} is paid: its price was captured for the quantities it has. Cancel it, which gives the money back, and order anew.`,
  versionMoved: (orderId: string, version: number, expected: number) =>
    `Order ${orderId} is at version ${version}, not ${expected}: somebody changed it meanwhile. Look again, then decide again.`,
  updateRejected: (orderId: string, reason: string) => `Order ${orderId} keeps its lines. ${reason}.`,
};
