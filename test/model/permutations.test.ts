import { decide, transitions, type Order, type OrderStatus, type OrderTrigger } from '../../src/orders/order';

/**
 * T6: everything that can happen to an order and its reservation, in every order and with duplicates. The pure machine of both
 * sides: what the order decides, and what inventory holds for it.
 */
const happenings = ['Created', 'Reserved', 'Rejected', 'Cancel', 'Expire', 'Released'] as const;
type Happening = (typeof happenings)[number];

interface Machine {
  order: Order;
  held: 'none' | 'ACTIVE' | 'RELEASED';
  /** Inventory was told, and will be told as often as it takes, to let go. */
  releases: number;
}

const triggers: Partial<Record<Happening, OrderTrigger>> = {
  Reserved: 'StockReserved',
  Rejected: 'StockRejected',
  Cancel: 'CancelOrder',
  Expire: 'ExpireOrder',
};

function step(machine: Machine, happening: Happening): Machine {
  const trigger = triggers[happening];
  if (happening === 'Created') return { ...machine, held: machine.held === 'none' ? 'ACTIVE' : machine.held };
  if (happening === 'Released') return machine.releases > 0 ? { ...machine, held: 'RELEASED' } : machine;
  const reason = { code: 'REQUESTED' as const, message: happening, lines: [] };
  const decision = decide(machine.order, { orderId: 'ORD-1', trigger: trigger!, reason, lines: [] });
  const lets = decision.type === 'release' || (decision.type === 'changed' && decision.order.status === 'CANCELLED');
  return { ...machine, order: decision.order, releases: machine.releases + (lets ? 1 : 0) };
}

/** Every sequence of so many happenings, duplicates and all. */
function* sequences(length: number): Generator<Happening[]> {
  if (length === 0) yield [];
  else for (const before of sequences(length - 1)) for (const happening of happenings) yield [...before, happening];
}

const start: Machine = {
  order: { id: 'ORD-1', customerId: 'CUST-1', status: 'PENDING', version: 1, correlationId: 'r', currency: 'EUR', lines: [] },
  held: 'none',
  releases: 0,
};

it('every sequence of up to six: decided once, never undone, and what is cancelled is let go in the end (T6)', () => {
  let count = 0;
  const broken: string[] = [];
  const final: OrderStatus[] = ['CANCELLED', 'FULFILLED'];
  for (const length of [1, 2, 3, 4, 5, 6]) {
    for (const sequence of sequences(length)) {
      count++;
      let machine = start;
      for (const happening of sequence) {
        const before = machine;
        machine = step(machine, happening);
        const isSame = machine.order.status === before.order.status;
        const isAllowed = isSame || transitions[before.order.status][triggers[happening]!] === machine.order.status;
        const isVersioned = machine.order.version === before.order.version + (isSame ? 0 : 1);
        const isFinal = isSame || !final.includes(before.order.status);
        if (!isAllowed || !isVersioned || !isFinal) broken.push(`${sequence.join(' ')}: at ${happening}`);
      }
      // What was said to inventory arrives at last.
      const end = step(machine, 'Released');
      if (end.order.status === 'CANCELLED' && end.held === 'ACTIVE') broken.push(`${sequence.join(' ')}: leaks`);
      if (end.order.status === 'CONFIRMED' && end.held === 'RELEASED') broken.push(`${sequence.join(' ')}: holds nothing`);
    }
  }
  expect(broken).toEqual([]);
  expect(count).toBe(55_986);
});
