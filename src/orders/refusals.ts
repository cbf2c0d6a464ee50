/** Why an order was not placed, found or closed: one sentence for every door. */
export const refusals = {
  keyConflict: (orderId: string, idempotencyKey: string) =>
    `The idempotency key ${JSON.stringify(idempotencyKey)} belongs to order ${orderId}, which has other lines or another payment. Use a new key for a new order.`,
  unknownOrder: (orderId: string) => `There is no order ${orderId}.`,
  wrongStatus: (orderId: string, status: string, verb: string) => `Order ${orderId} is ${status} and cannot be ${verb}.`,
};
