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
  lines: { product: number; quantity: number }[];
}

/** What is said because of it; null when the message can never be right. */
type Said = string[] | null;

/** What each message does when it is delivered, by its event. */
export const deliver: Record<string, (model: ShopModel, order: ModelOrder) => Said> = {
  OrderCreated(model, order) {
    if (order.held === 'nothing') {
      const isEnough = order.lines.every(({ product, quantity }) => free(model, product) >= quantity);
      order.held = isEnough ? 'ACTIVE' : 'REJECTED';
      if (isEnough) move(model, order, 0, 1);
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
  StockReserved: (_model, order) =>
    order.status === 'CANCELLED' ? ['OrderCancelled'] : become(order, 'PENDING', 'CONFIRMED', 'OrderConfirmed'),
  StockRejected: (_model, order) => become(order, 'PENDING', 'CANCELLED', 'OrderCancelled'),
  StockReleased: () => [],
  StockCommitted: () => [],
};

export const expire = (order: ModelOrder): Said => become(order, 'PENDING', 'CANCELLED', 'OrderCancelled');
export const cancel = (order: ModelOrder): Said =>
  become(order, order.status === 'CONFIRMED' ? 'CONFIRMED' : 'PENDING', 'CANCELLED', 'OrderCancelled');
export const fulfil = (order: ModelOrder): Said => become(order, 'CONFIRMED', 'FULFILLED', 'OrderFulfilled');

export function adjust({ stock }: ShopModel, product: number, delta: number): void {
  if (stock[product]!.onHand + delta >= stock[product]!.reserved) stock[product]!.onHand += delta;
}

function become(order: ModelOrder, from: ModelOrder['status'], to: ModelOrder['status'], said: string): Said {
  if (order.status !== from) return [];
  order.status = to;
  return [said];
}

const free = ({ stock }: ShopModel, product: number) => stock[product]!.onHand - stock[product]!.reserved;

function move({ stock }: ShopModel, { lines }: ModelOrder, onHand: 0 | -1, reserved: 1 | -1): void {
  for (const { product, quantity } of lines) {
    stock[product]!.onHand += onHand * quantity;
    stock[product]!.reserved += reserved * quantity;
  }
}
