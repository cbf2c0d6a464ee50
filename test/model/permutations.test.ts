import { decideCaptures, decideClosing, type ClosingCommand } from '../../src/accounts/payment';
import { type PaymentStatus } from '../../src/database';
import {
  decide,
  tellingOf,
  transitions,
  type Order,
  type OrderChange,
  type OrderStatus,
  type OrderTrigger,
} from '../../src/orders/order';

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
  const reason = { code: 'EXPIRED' as const, message: happening, lines: [] };
  const decision = decide(machine.order, { orderId: 'ORD-1', trigger: trigger!, reason, amendment: 0, lines: [] } as OrderChange);
  const lets = decision.type === 'release' || (decision.type === 'changed' && decision.order.status === 'CANCELLED');
  return { ...machine, order: decision.order, releases: machine.releases + (lets ? 1 : 0) };
}

/** Every sequence of so many happenings, duplicates and all. */
function* sequences(length: number): Generator<Happening[]> {
  if (length === 0) yield [];
  else for (const before of sequences(length - 1)) for (const happening of happenings) yield [...before, happening];
}

const start: Machine = {
  order: {
    ...{ id: 'ORD-1', customerId: 'CUST-1', status: 'PENDING', payment: 'NONE', version: 1 },
    ...{ correlationId: 'r', currency: 'EUR', lines: [] },
  },
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

/**
 * The same with a payment, where orders, inventory and accounts each know only what they were told. Everything that was ever said may
 * arrive at any time, again and again or not at all; so instead of sequences of some length every state that can be reached is
 * visited, which covers sequences of every length.
 */
interface PaidMachine {
  status: OrderStatus;
  stock: 'none' | 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'REJECTED';
  payment?: PaymentStatus;
  /** What accounts took and gave back, in entries. */
  entries: string;
  /** Every message that was ever sent, in the order of the alphabet. */
  sent: readonly string[];
}

const commands = ['CancelOrder', 'ExpireOrder', 'FulfilOrder'] as const;
const ofOrders: readonly string[] = ['StockReserved', 'StockRejected', 'PaymentCaptured', 'PaymentDeclined', 'PaymentRefunded'];
const placed: PaidMachine = { status: 'PENDING', stock: 'none', entries: '', sent: ['OrderCreated'] };
const price = 10;

interface World {
  hasStock: boolean;
  balance: number;
}

/** What one message or command does to whom it reaches. */
function happen(machine: PaidMachine, what: string, world: World): PaidMachine {
  if (ofOrders.includes(what) || commands.some((command) => command === what)) return atOrders(machine, what as OrderTrigger);
  if (['OrderReserved', 'VoidPayment', 'RefundPayment'].includes(what)) return atAccounts(machine, what, world);
  return atInventory(machine, what, world);
}

function atOrders(machine: PaidMachine, trigger: OrderTrigger): PaidMachine {
  const reason = { code: 'REQUESTED' as const, message: trigger, lines: [] };
  const change = { orderId: 'ORD-1', trigger, reason, amount: price, lines: [] } as OrderChange;
  const decision = decide({ ...start.order, payment: 'BALANCE', status: machine.status }, change);
  return told({ ...machine, status: decision.order.status }, ...tellingOf(decision, trigger));
}

function atAccounts(machine: PaidMachine, what: string, { balance }: World): PaidMachine {
  const { payment } = machine;
  if (what !== 'OrderReserved') {
    const closed = decideClosing(payment, what as ClosingCommand);
    const now = closed === 'kept' ? payment! : closed;
    const entries = closed === 'REFUNDED' ? `${machine.entries}+` : machine.entries;
    const isBack = what === 'RefundPayment' || now === 'REFUNDED' || now === 'VOIDED';
    return told({ ...machine, payment: now, entries }, isBack ? 'PaymentRefunded' : answerOf[now]);
  }
  if (payment) return told(machine, answerOf[payment]);
  const wish = { orderId: 'ORD-1', customerId: 'CUST-1', total: price, currency: 'EUR' };
  const [decision] = decideCaptures(new Map([['CUST-1', { customerId: 'CUST-1', balance, currency: 'EUR' }]]), [wish]);
  const isCaptured = decision!.type === 'captured';
  const now = isCaptured ? 'CAPTURED' : 'DECLINED';
  return told({ ...machine, payment: now, entries: isCaptured ? '-' : '' }, answerOf[now]);
}

const answerOf = {
  ...{ CAPTURED: 'PaymentCaptured', DECLINED: 'PaymentDeclined', REFUNDED: 'PaymentRefunded', VOIDED: 'PaymentRefunded' },
};

function atInventory(machine: PaidMachine, what: string, { hasStock }: World): PaidMachine {
  const { stock } = machine;
  if (what === 'OrderCancelled') return { ...machine, stock: stock === 'none' || stock === 'ACTIVE' ? 'RELEASED' : stock };
  if (what === 'OrderFulfilled') return { ...machine, stock: stock === 'ACTIVE' ? 'COMMITTED' : stock };
  if (what !== 'OrderCreated' || stock === 'RELEASED') return machine;
  const now = stock === 'none' ? (hasStock ? 'ACTIVE' : 'REJECTED') : stock;
  return told({ ...machine, stock: now }, now === 'REJECTED' ? 'StockRejected' : 'StockReserved');
}

function told(machine: PaidMachine, ...messages: string[]): PaidMachine {
  return { ...machine, sent: [...new Set([...machine.sent, ...messages])].sort() };
}

/** All that was said arrives in the end: no watchdog rests before it was answered. What is still undecided then is overdue. */
function atRest(machine: PaidMachine, world: World): PaidMachine {
  const arrived = machine.sent.reduce((now, message) => happen(now, message, world), machine);
  if (JSON.stringify(arrived) !== JSON.stringify(machine)) return atRest(arrived, world);
  const overdue = happen(machine, 'ExpireOrder', world);
  return JSON.stringify(overdue) === JSON.stringify(machine) ? machine : atRest(overdue, world);
}

/** What is wrong with a state, whatever is still under way. */
function wrongNow({ status, stock, payment, entries }: PaidMachine, { balance, hasStock }: World): string[] {
  const isSold = status === 'CONFIRMED' || status === 'FULFILLED';
  return [
    ...(isSold && payment !== 'CAPTURED' ? ['goods without money'] : []),
    ...(isSold && stock !== 'ACTIVE' && stock !== 'COMMITTED' ? ['sold without stock'] : []),
    ...(entries.includes('-') && (balance < price || !hasStock) ? ['money taken that was not there, or for nothing'] : []),
    ...(['', '-', '-+'].includes(entries) ? [] : [`booked ${entries}`]),
  ];
}

function wrongAtRest(machine: PaidMachine): string[] {
  const { status, stock, payment } = machine;
  const isSold = status === 'CONFIRMED' || status === 'FULFILLED';
  return [
    ...(isSold || status === 'CANCELLED' ? [] : [`hangs in ${status}`]),
    ...(payment === 'CAPTURED' && !isSold ? ['money without goods'] : []),
    ...(status === 'CANCELLED' && (stock === 'ACTIVE' || stock === 'COMMITTED') ? ['stock is kept for nothing'] : []),
  ];
}

const worlds: [string, World][] = [
  ['stock and money', { hasStock: true, balance: price }],
  ['stock and too little money', { hasStock: true, balance: price - 1 }],
  ['money and too little stock', { hasStock: false, balance: price }],
];

it.each(worlds)(
  'with %s every state that any order of events leads to keeps goods and money together (S3.6, S3.7)',
  (_what, world) => {
    const seen = new Map<string, string[]>([[JSON.stringify(placed), []]]);
    const broken: string[] = [];
    for (const [state, path] of seen) {
      const machine = JSON.parse(state) as PaidMachine;
      const faults = [...wrongNow(machine, world), ...wrongAtRest(atRest(machine, world))];
      if (faults.length > 0) broken.push(`${path.join(' ')}: ${faults.join(', ')}`);
      for (const what of [...commands, ...machine.sent]) {
        const next = JSON.stringify(happen(machine, what, world));
        if (!seen.has(next)) seen.set(next, [...path, what]);
      }
    }
    expect(broken).toEqual([]);
    const ends = new Set([...seen.keys()].map((state) => (JSON.parse(state) as PaidMachine).status));
    expect(ends.has('FULFILLED')).toBe(world.hasStock && world.balance >= price);
  },
);
