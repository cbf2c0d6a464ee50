/** Names on the wire. Other programs rely on every one of them: change none, add beside. */

export const exchanges = {
  orders: 'orders',
  inventory: 'inventory',
  accounts: 'accounts',
  orderEvents: 'order_events',
  stockEvents: 'stock_events',
  notifications: 'notification_exchange',
  newOrders: 'new_orders_exchange',
  unrouted: 'unrouted',
  deadLetters: 'dead_letters',
  /** AMQP's own: reaches every queue by its name. For commands, which are one service's business and no news. */
  default: '',
} as const;

export const queues = {
  /** What inventory must answer: a reservation asked for. */
  orderCreated: 'order.created.inventory',
  /** What inventory must let go. */
  orderCancelled: 'order.cancelled.inventory',
  /** What has left the house. */
  orderFulfilled: 'order.fulfilled.inventory',
  /** What inventory must hold instead: a change of an order's lines. */
  amendReservation: 'reservation.amend.inventory',
  /** What decides an order, and what says that its closing was heard: the answers of inventory. */
  stockReplies: 'stock.replies.orders',
  /** What accounts must answer: a total to be taken. */
  orderReserved: 'order.reserved.accounts',
  /** What accounts must end: payments that are overdue, or whose order is off. */
  paymentClosings: 'payment.closings.accounts',
  /** What decides an order that waits for its payment, and what says that its refund was heard: the answers of accounts. */
  paymentReplies: 'payment.replies.orders',
  /** Orders placed by message. */
  newOrders: 'new_orders_queue',
  /** Commands on the default exchange: place an order, as in `newOrders`. */
  orderCreateCommands: 'order.create',
  /** And: cancel or fulfil one. */
  orderUpdateCommands: 'order.update',
  /** Every order event, for the reaction that speaks of creations. */
  orderCreations: 'order.creations.notifications',
  /** What happens to orders, for the reaction that tells customers. */
  orderUpdates: 'order.updates.notifications',
  /** What nobody was bound to receive. */
  unrouted: 'unrouted',
} as const;

/** Where each event goes; what stands in braces is filled in from its body. `mandatory`: an event that some role must act on, so a missing binding is a fault and not a choice. */
export const routes = {
  OrderCreated: { exchange: exchanges.orders, key: 'order.created', mandatory: true },
  OrderReserved: { exchange: exchanges.orders, key: 'order.reserved', mandatory: true },
  OrderConfirmed: { exchange: exchanges.orders, key: 'order.confirmed', mandatory: false },
  OrderUpdated: { exchange: exchanges.orders, key: 'order.updated', mandatory: false },
  OrderCancelled: { exchange: exchanges.orders, key: 'order.cancelled', mandatory: true },
  OrderFulfilled: { exchange: exchanges.orders, key: 'order.fulfilled', mandatory: true },
  OrderRequested: { exchange: exchanges.newOrders, key: '', mandatory: true },
  OrderChangeRequested: { exchange: exchanges.default, key: queues.orderUpdateCommands, mandatory: true },
  OrderRefused: { exchange: exchanges.notifications, key: 'client.{customer_id}.order.{order_id}', mandatory: false },
  OrderStatusChanged: { exchange: exchanges.notifications, key: 'client.{customer_id}.order.{order_id}', mandatory: false },
  StockReserved: { exchange: exchanges.inventory, key: 'stock.reserved', mandatory: true },
  StockRejected: { exchange: exchanges.inventory, key: 'stock.rejected', mandatory: true },
  AmendReservation: { exchange: exchanges.default, key: queues.amendReservation, mandatory: true },
  StockAmended: { exchange: exchanges.inventory, key: 'stock.amended', mandatory: true },
  AmendmentRejected: { exchange: exchanges.inventory, key: 'amendment.rejected', mandatory: true },
  StockReleased: { exchange: exchanges.inventory, key: 'stock.released', mandatory: true },
  StockCommitted: { exchange: exchanges.inventory, key: 'stock.committed', mandatory: true },
  VoidPayment: { exchange: exchanges.default, key: queues.paymentClosings, mandatory: true },
  RefundPayment: { exchange: exchanges.default, key: queues.paymentClosings, mandatory: true },
  PaymentCaptured: { exchange: exchanges.accounts, key: 'payment.captured', mandatory: true },
  PaymentDeclined: { exchange: exchanges.accounts, key: 'payment.declined', mandatory: true },
  PaymentRefunded: { exchange: exchanges.accounts, key: 'payment.refunded', mandatory: true },
  StockChanged: { exchange: exchanges.inventory, key: 'stock.changed', mandatory: false },
  ProductCreated: { exchange: exchanges.inventory, key: 'product.created', mandatory: false },
  ProductUpdated: { exchange: exchanges.inventory, key: 'product.updated', mandatory: false },
} as const;
