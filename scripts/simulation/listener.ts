import { type OrderStatus, type OrderTrigger } from '../../src/orders/order';

/** What the simulation hears from inside the product; `substitutes.ts` makes the product speak. */
export interface Listener {
  /** A change is about to be decided. */
  decides(status: OrderStatus, trigger: OrderTrigger): void;
  /** A failpoint is passed. What this throws is thrown there. */
  passes(failpoint: string): void;
}

export const silent: Listener = { decides: () => undefined, passes: () => undefined };

let listening = silent;

export function listen(listener: Listener): void {
  listening = listener;
}

export function listener(): Listener {
  return listening;
}
