import { strictEqual } from 'node:assert/strict';

import { type AnyEvent } from '../../src/contracts';
import { PoisonMessage } from '../../src/messaging';
import { decide, transitions, type Order, type OrderChange, type OrderTrigger } from '../../src/orders/order';
import { amendLines, coversExactly, mergeLines } from '../../src/orders/orderLines';
import { decideAmendments } from '../../src/inventory/amendment';
import { decideReservations, mergeWish, type HeldLine, type Stock } from '../../src/inventory/stock';
import { type Shop } from './shop';
import { inWords, type ModelLine, type ModelOrder } from './shopModel';

interface Reservation {
  status: Exclude<ModelOrder['held'], 'nothing'>;
  lines: HeldLine[];
  answer?: AnyEvent;
}

interface Update {
  lines: Order['lines'];
  answer?: AnyEvent;
}

/** The pure rules, with the smallest books around them that they can work on. */
export function createPureShop(units: number[]): Shop {
  const orders: Order[] = [];
  const updates = new Map<string, Update[]>();
  const reservations = new Map<string, Reservation>();
  const stock = new Map(units.map((onHand, productId): [number, Stock] => [productId, aStock(productId, onHand)]));

  const change = (orderId: string, trigger: OrderTrigger, amendment = 0): AnyEvent[] => {
    const index = orders.findIndex((order) => order.id === orderId);
    const before = orders[index]!;
    const reason = { code: 'EXPIRED' as const, message: trigger, lines: [] };
    const lines = (updates.get(orderId)?.[amendment - 1]?.lines ?? []).map((line) => ({ ...line, unitPrice: 100 }));
    const decision = decide(before, { orderId, trigger, reason, amendment, lines } as OrderChange);
    orders[index] = decision.order;
    if (decision.type === 'release') return [saying('OrderCancelled', orderId)];
    if (decision.type !== 'changed') return [];
    strictEqual(decision.order.status, transitions[before.status][trigger]);
    if (trigger === 'StockAmended') return [saying('OrderUpdated', orderId)];
    return [saying(`Order${capitalised(decision.order.status)}`, orderId)];
  };

  const move = (lines: HeldLine[], onHand: number, reserved: number) => {
    for (const { productId, quantity } of lines) {
      const row = stock.get(productId)!;
      stock.set(productId, { ...row, onHand: row.onHand + onHand * quantity, reserved: row.reserved + reserved * quantity });
    }
  };

  const heard: Partial<Record<AnyEvent['event'], (orderId: string, amendment: number) => AnyEvent[]>> = {
    OrderCreated(orderId) {
      const known = reservations.get(orderId);
      if (known) return [known.status === 'RELEASED' ? saying('StockReleased', orderId) : known.answer!];
      const [decision] = decideReservations(stock, [mergeWish(orderId, orders[numberOf(orderId)]!.lines)]);
      const isReserved = decision!.type === 'reserved';
      const answer = saying(isReserved ? 'StockReserved' : 'StockRejected', orderId);
      const lines = decision!.type === 'reserved' ? decision!.lines : [];
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
    AmendReservation(orderId, number) {
      const asked = updates.get(orderId)![number - 1]!;
      asked.answer ??= amend(orderId, number, asked.lines);
      return [asked.answer];
    },
    StockReleased: () => [],
    StockCommitted: () => [],
  };

  const amend = (orderId: string, number: number, lines: Order['lines']): AnyEvent => {
    const reservation = reservations.get(orderId)!;
    const held = { isActive: reservation.status === 'ACTIVE', lines: reservation.lines, lastNumber: number - 1 };
    const amendment = { ...mergeWish(orderId, lines), number, isLate: false };
    const [decision] = decideAmendments(stock, new Map([[orderId, held]]), [amendment]);
    if (decision!.type === 'rejected') return { ...saying('AmendmentRejected', orderId), amendment: number };
    for (const { productId, units } of decision!.differences) move([{ productId, quantity: units, unitPrice: 0 }], 0, 1);
    reservation.lines = decision!.lines;
    return { ...saying('StockAmended', orderId), amendment: number };
  };

  const acts: Acts = {
    place(lines) {
      orders.push(anOrder(`ORD-${orders.length}`, mergeLines(lines.map(toLine))));
      return [saying('OrderCreated', orders.at(-1)!.id)];
    },
    deliver({ event, order_id, amendment }) {
      const [orderId, number] = [order_id as string, amendment as number];
      return heard[event]?.(orderId, number) ?? change(orderId, event as OrderTrigger, number);
    },
    update(order, quantities) {
      const before = orders[order]!;
      const lines = amendLines(before.lines, quantities.map(toLine));
      const isAsked = decide(before, { orderId: before.id, trigger: 'AmendOrder' }).type === 'ask' && !before.amending;
      if (!isAsked || lines.length === 0 || coversExactly(before.lines, lines)) return [];
      const asked = [...(updates.get(before.id) ?? []), { lines }];
      updates.set(before.id, asked);
      orders[order] = { ...before, amending: asked.length };
      return [{ ...saying('AmendReservation', before.id), amendment: asked.length }];
    },
    cancel: (order) => change(`ORD-${order}`, 'CancelOrder'),
    fulfil: (order) => change(`ORD-${order}`, 'FulfilOrder'),
    expire: (order) => change(`ORD-${order}`, 'ExpireOrder'),
    adjust(product, delta) {
      const row = stock.get(product)!;
      if (row.onHand + delta >= row.reserved) stock.set(product, { ...row, onHand: row.onHand + delta });
    },
    state: () => ({
      stock: [...stock.values()].map(({ onHand, reserved }) => ({ onHand, reserved })),
      orders: orders.map(({ id, status, lines }) => ({
        ...{ status, held: reservations.get(id)?.status ?? 'nothing' },
        lines: inWords(lines.map(({ productId: product, quantity }) => ({ product, quantity }))),
      })),
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

const toLine = ({ product, quantity }: ModelLine) => ({ productId: product, quantity });
const numberOf = (orderId: string) => Number(orderId.slice('ORD-'.length));
const saying = (event: string, order_id: string) => ({ event, order_id }) as AnyEvent;
const capitalised = (word: string) => word[0] + word.slice(1).toLowerCase();
