import { type OrderStatus } from '../../src/contracts';

/** What should become of orders and stock, said as simply as it can be said. Orders are known by number, in the order of placing. */
export interface ShopModel {
  stock: { onHand: number; reserved: number }[];
  orders: ModelOrder[];
}

export interface ModelOrder {
  status: OrderStatus;
  /** What inventory keeps for it. */
  held: 'nothing' | 'ACTIVE' | 'COMMITTED' | 'RELEASED' | 'REJECTED';
  lines: ModelLine[];
  /** The lines that inventory holds: of an update that was granted, before the order has heard of it. */
  holds: ModelLine[];
  /** Every update that was asked for, with inventory's answer. */
  updates: { lines: ModelLine[]; isGranted?: boolean }[];
  /** Which of them is under way, counted from 1. */
  amending?: number;
}

export interface ModelLine {
  product: number;
  quantity: number;
}

export const aModelOrder = (lines: ModelLine[]): ModelOrder => ({
  status: 'PENDING',
  held: 'nothing',
  lines,
  holds: [],
  updates: [],
});

/** What is said because of it; null when the message can never be right. */
type Said = string[] | null;

/** What each message does when it is delivered, by its event. */
export const deliver: Record<string, (model: ShopModel, order: ModelOrder, amendment: number) => Said> = {
  OrderCreated(model, order) {
    if (order.held === 'nothing') {
      const isEnough = order.lines.every(({ product, quantity }) => free(model, product) >= quantity);
      order.held = isEnough ? 'ACTIVE' : 'REJECTED';
      if (isEnough) order.holds = order.lines;
      move(model, order, 0, 1);
    }
    return [
      { ACTIVE: 'StockReserved', COMMITTED: 'StockReserved', RELEASED: 'StockReleased', REJECTED: 'StockRejected' }[order.held],
    ];
  },
  OrderCancelled(model, order) {
    const wasActive = order.held === 'ACTIVE';
    if (wasActive) move(model, order, 0, -1);
    if (wasActive || order.held === 'nothing') order.held = 'RELEASED';
    return ['StockReleased'];
  },
  OrderFulfilled(model, order) {
    if (order.held === 'ACTIVE') move(model, order, -1, -1);
    if (order.held === 'ACTIVE') order.held = 'COMMITTED';
    return order.held === 'COMMITTED' ? ['StockCommitted'] : null;
  },
  AmendReservation(model, order, amendment) {
    const update = order.updates[amendment - 1]!;
    update.isGranted ??= order.held === 'ACTIVE' && hold(model, order, update.lines);
    return [update.isGranted ? 'StockAmended' : 'AmendmentRejected'];
  },
  StockAmended(_model, order, amendment) {
    if (order.amending !== amendment) return [];
    order.lines = order.updates[amendment - 1]!.lines;
    order.amending = undefined;
    return ['OrderUpdated'];
  },
  AmendmentRejected(_model, order, amendment) {
    if (order.amending === amendment) order.amending = undefined;
    return [];
  },
  StockReserved: (_model, order) =>
    order.status === 'CANCELLED' ? ['OrderCancelled'] : become(order, 'PENDING', 'CONFIRMED', 'OrderConfirmed'),
  StockRejected: (_model, order) => become(order, 'PENDING', 'CANCELLED', 'OrderCancelled'),
  StockReleased: () => [],
  StockCommitted: () => [],
};

export const expire = (order: ModelOrder): Said => become(order, 'PENDING', 'CANCELLED', 'OrderCancelled');
export const cancel = (order: ModelOrder): Said =>
  become(order, order.status === 'CONFIRMED' ? 'CONFIRMED' : 'PENDING', 'CANCELLED', 'OrderCancelled');
export const fulfil = (order: ModelOrder): Said =>
  order.amending ? [] : become(order, 'CONFIRMED', 'FULFILLED', 'OrderFulfilled');

export function update(order: ModelOrder, quantities: ModelLine[]): Said {
  const isNamed = ({ product }: ModelLine) => quantities.some((other) => other.product === product);
  const lines = sorted([...order.lines.filter((line) => !isNamed(line)), ...quantities.filter(({ quantity }) => quantity > 0)]);
  const isNews = lines.length > 0 && inWords(lines) !== inWords(order.lines);
  if (order.status !== 'CONFIRMED' || order.amending || !isNews) return [];
  order.amending = order.updates.push({ lines });
  return ['AmendReservation'];
}

export function adjust({ stock }: ShopModel, product: number, delta: number): void {
  if (stock[product]!.onHand + delta >= stock[product]!.reserved) stock[product]!.onHand += delta;
}

function become(order: ModelOrder, from: ModelOrder['status'], to: ModelOrder['status'], said: string): Said {
  if (order.status !== from) return [];
  order.status = to;
  order.amending = undefined;
  return [said];
}

const free = ({ stock }: ShopModel, product: number) => stock[product]!.onHand - stock[product]!.reserved;

/** All that is wanted more is there, or nothing moves. */
function hold(model: ShopModel, order: ModelOrder, lines: ModelLine[]): boolean {
  move(model, order, 0, -1);
  const isEnough = lines.every(({ product, quantity }) => free(model, product) >= quantity);
  if (isEnough) order.holds = lines;
  move(model, order, 0, 1);
  return isEnough;
}

function move({ stock }: ShopModel, { holds }: ModelOrder, onHand: 0 | -1, reserved: 1 | -1): void {
  for (const { product, quantity } of holds) {
    stock[product]!.onHand += onHand * quantity;
    stock[product]!.reserved += reserved * quantity;
  }
}

const sorted = (lines: ModelLine[]) => [...lines].sort((a, b) => a.product - b.product);
export const inWords = (lines: ModelLine[]) =>
  sorted(lines)
    .map(({ product, quantity }) => `${quantity} × ${product}`)
    .join(', ');
