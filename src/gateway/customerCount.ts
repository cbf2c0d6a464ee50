import { type Caller } from '../identity';

/** What customers hold open here: connections, or streams. */
export interface CustomerCount {
  /** False for one that would be too many; it is not counted. */
  add(caller: Caller | undefined): boolean;
  /** One that was counted. */
  remove(caller: Caller | undefined): void;
}

/** Those who run the shop are not counted: a program of the house connects for many. */
export function createCustomerCount(max: number): CustomerCount {
  const open = new Map<string, number>();
  return {
    add(caller) {
      if (caller?.role !== 'customer') return true;
      const count = (open.get(caller.customerId) ?? 0) + 1;
      if (count > max) return false;
      open.set(caller.customerId, count);
      return true;
    },
    remove(caller) {
      if (caller?.role !== 'customer') return;
      const count = (open.get(caller.customerId) ?? 0) - 1;
      if (count > 0) open.set(caller.customerId, count);
      else open.delete(caller.customerId);
    },
  };
}
