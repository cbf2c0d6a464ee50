import { strictEqual } from 'node:assert/strict';

import { type AnyEvent } from '../../src/contracts';
import { PoisonMessage } from '../../src/messaging';
import { decide, transitions, type Order, type OrderChange, type OrderTrigger } from '../../src/orders/order';
import { decideReservations, mergeWish, type Stock, type WishedLine } from '../../src/inventory/stock';
import { type Shop } from './shop';
import { type ModelOrder } from './shopModel';

interface Reservation {
  status: Exclude<ModelOrder['held'], 'nothing'>;
  lines: WishedLine[];
  answer?: AnyEvent;
}

/** The pure rules, with the smallest books around them that they can work on. */
export function createPureShop(units: number[]): Shop {
  const orders: Order[] = [];
  const reservations = new Map<string, Reservation>();
  const stock = new Map(units.map((onHand, productId): [number, Stock] => [productId, aStock(productId, onHand)]));

  const change = (orderId: string, trigger: OrderTrigger): AnyEvent[] => {
    const index = orders.findIndex((order) => order.id === orderId);
    const before = orders[index]!;
    const reason = { code: 'REQUESTED' as const, message: trigger, lines: [] };
    const decision = decide(before, { orderId, trigger, reason, lines: [] } as OrderChange);
    orders[index] = decision.order;
    if (decision.type === 'release') return [saying('OrderCancelled', orderId)];
    if (decision.type !== 'changed') return [];
    strictEqual(decision.order.status, transitions[before.status][trigger]);
    return [saying(`Order${capitalised(decision.order.status)}`, orderId)];
  };

  const move = (lines: WishedLine[], onHand: number, reserved: number) => {
    for (const { productId, quantity } of lines) {
      const row = stock.get(productId)!;
      stock.set(productId, { ...row, onHand: row.onHand + onHand * quantity, reserved: row.reserved + reserved * quantity });
    }
  };

  const heard: Partial<Record<AnyEvent['event'], (orderId: string) => AnyEvent[]>> = {
    OrderCreated(orderId) {
      const known = reservations.get(orderId);
      if (known) return [known.status === 'RELEASED' ? saying('StockReleased', orderId) : known.answer!];
      const [decision] = decideReservations(stock, [mergeWish(orderId, orders[numberOf(orderId)]!.lines)]);
      const isReserved = decision!.type === 'reserved';
      const answer = saying(isReserved ? 'StockReserved' : 'StockRejected', orderId);
      const lines = isReserved ? decision!.lines.map(({ productId, quantity }: WishedLine) => ({ productId, quantity })) : [];
      reservations.set(orderId, { status: isReserved ? 'ACTIVE' : 'REJECTED', lines, answer });
      move(lines, 0, 1);
      return [answer];
    },
    OrderCancelled(orderId) {
      const held = reservations.get(orderId);
      if (!held) reservations.set(orderId, { status: 'RELEASED', lines: [] });
      if (held?.status === 'ACTIVE') {
        move(held.lines, 0, -1);
        held.status = 'RELEASED';
      }
      return [saying('StockReleased', orderId)];
    },
    OrderFulfilled(orderId) {
      const held = reservations.get(orderId);
      if (held?.status !== 'ACTIVE' && held?.status !== 'COMMITTED') throw new PoisonMessage('nothing is held');
      if (held.status === 'ACTIVE') move(held.lines, -1, -1);
      held.status = 'COMMITTED';
      return [saying('StockCommitted', orderId)];
    },
    StockReleased: () => [],
    StockCommitted: () => [],
  };

  const acts: Acts = {
    place(lines) {
      const ordered = lines.map(({ product, quantity }) => ({ productId: product, quantity }));
      orders.push(anOrder(`ORD-${orders.length}`, ordered));
      return [saying('OrderCreated', orders.at(-1)!.id)];
    },
    deliver: ({ event, order_id }) => heard[event]?.(order_id as string) ?? change(order_id as string, event as OrderTrigger),
    cancel: (order) => change(`ORD-${order}`, 'CancelOrder'),
    fulfil: (order) => change(`ORD-${order}`, 'FulfilOrder'),
    expire: (order) => change(`ORD-${order}`, 'ExpireOrder'),
    adjust(product, delta) {
      const row = stock.get(product)!;
      if (row.onHand + delta >= row.reserved) stock.set(product, { ...row, onHand: row.onHand + delta });
    },
    state: () => ({
      stock: [...stock.values()].map(({ onHand, reserved }) => ({ onHand, reserved })),
      orders: orders.map(({ id, status }) => ({ status, held: reservations.get(id)?.status ?? 'nothing' })),
    }),
    broken: () => [...stock.values()].flatMap((row) => brokenOf(row, [...reservations.values()])),
  };
  return asynchronous(acts);
}

/** The same acts, done at once. */
type Acts = { [Act in keyof Shop]: (...given: Parameters<Shop[Act]>) => Awaited<ReturnType<Shop[Act]>> };

function asynchronous(acts: Acts): Shop {
  const all = Object.entries(acts) as [string, (...given: unknown[]) => unknown][];
  return Object.fromEntries(
    all.map(([name, act]) => [name, (...given: unknown[]) => Promise.resolve().then(() => act(...given))]),
  ) as unknown as Shop;
}

/** I1 and I3; the rest the model compares. */
function brokenOf({ productId, onHand, reserved }: Stock, reservations: Reservation[]): string[] {
  const active = reservations.filter((held) => held.status === 'ACTIVE').flatMap((held) => held.lines);
  const held = active.reduce((sum, line) => sum + (line.productId === productId ? line.quantity : 0), 0);
  const isRight = 0 <= reserved && reserved <= onHand && reserved === held;
  return isRight ? [] : [`product ${productId}: on hand ${onHand}, reserved ${reserved}, held ${held}`];
}

function aStock(productId: number, onHand: number): Stock {
  return { productId, sku: `SKU-${productId}`, active: true, unitPrice: 100, onHand, reserved: 0 };
}

function anOrder(id: string, lines: Order['lines']): Order {
  const envelope = { version: 1, correlationId: 'request', currency: 'EUR' };
  return { id, customerId: 'CUST-1', status: 'PENDING', payment: 'NONE', ...envelope, lines };
}

const numberOf = (orderId: string) => Number(orderId.slice('ORD-'.length));
const saying = (event: string, order_id: string) => ({ event, order_id }) as AnyEvent;
const capitalised = (word: string) => word[0] + word.slice(1).toLowerCase();
