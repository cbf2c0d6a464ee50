/** Names on the wire. Other programs rely on every one of them: change none, add beside. */

export const exchanges = {
  orders: 'orders',
  inventory: 'inventory',
  orderEvents: 'order_events',
  stockEvents: 'stock_events',
  unrouted: 'unrouted',
  deadLetters: 'dead_letters',
} as const;

export const queues = {
  /** What inventory must answer: a reservation asked for. */
  orderCreated: 'order.created.inventory',
  /** What inventory must let go. */
  orderCancelled: 'order.cancelled.inventory',
  /** What has left the house. */
  orderFulfilled: 'order.fulfilled.inventory',
  /** What decides an order, and what says that its closing was heard: the answers of inventory. */
  stockReplies: 'stock.replies.orders',
  /** What nobody was bound to receive. */
  unrouted: 'unrouted',
} as const;

/** Where each event goes. `mandatory`: an event that some role must act on, so a missing binding is a fault and not a choice. */
export const routes = {
  OrderCreated: { exchange: exchanges.orders, key: 'order.created', mandatory: true },
  OrderConfirmed: { exchange: exchanges.orders, key: 'order.confirmed', mandatory: false },
  OrderUpdated: { exchange: exchanges.orders, key: 'order.updated', mandatory: false },
  OrderCancelled: { exchange: exchanges.orders, key: 'order.cancelled', mandatory: true },
  OrderFulfilled: { exchange: exchanges.orders, key: 'order.fulfilled', mandatory: true },
  StockReserved: { exchange: exchanges.inventory, key: 'stock.reserved', mandatory: true },
  StockRejected: { exchange: exchanges.inventory, key: 'stock.rejected', mandatory: true },
  StockReleased: { exchange: exchanges.inventory, key: 'stock.released', mandatory: true },
  StockCommitted: { exchange: exchanges.inventory, key: 'stock.committed', mandatory: true },
  StockChanged: { exchange: exchanges.inventory, key: 'stock.changed', mandatory: false },
  ProductCreated: { exchange: exchanges.inventory, key: 'product.created', mandatory: false },
  ProductUpdated: { exchange: exchanges.inventory, key: 'product.updated', mandatory: false },
} as const;
