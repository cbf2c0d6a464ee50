import { exchanges, productDesk, queues, routes, rpcs, type EventType, type Rpc } from '../contracts';
import { type Binding, type QueueDeclaration, type Topology } from './broker';

/**
 * Everything that is declared on the broker, by every role at its start: so a queue is there, and fills, before its consumer
 * has ever run. The alternate exchange keeps what no binding wanted; broadcasts have none, for nobody listening is normal there.
 */
export const topology: Topology = {
  exchanges: [
    { name: exchanges.unrouted, type: 'fanout' },
    { name: exchanges.deadLetters, type: 'topic' },
    { name: exchanges.orders, type: 'topic', alternate: exchanges.unrouted },
    { name: exchanges.inventory, type: 'topic', alternate: exchanges.unrouted },
    { name: exchanges.accounts, type: 'topic', alternate: exchanges.unrouted },
    { name: exchanges.orderEvents, type: 'fanout' },
    { name: exchanges.stockEvents, type: 'fanout' },
    { name: exchanges.accountEvents, type: 'fanout' },
    { name: exchanges.newOrders, type: 'direct', alternate: exchanges.unrouted },
    { name: exchanges.notifications, type: 'topic' },
  ],
  queues: [
    { name: queues.orderCreated, kind: 'work' },
    { name: queues.orderCancelled, kind: 'work' },
    { name: queues.orderFulfilled, kind: 'work' },
    { name: queues.amendReservation, kind: 'work' },
    { name: queues.stockReplies, kind: 'work' },
    { name: queues.orderReserved, kind: 'work' },
    { name: queues.paymentClosings, kind: 'work' },
    { name: queues.paymentReplies, kind: 'work' },
    { name: queues.newOrders, kind: 'work' },
    { name: queues.orderCreateCommands, kind: 'work' },
    { name: queues.orderUpdateCommands, kind: 'work' },
    { name: queues.paymentCommands, kind: 'work' },
    ...Object.values(rpcs).map(requestsOf),
    { name: queues.unrouted, kind: 'bounded', lengthMax: 10_000 },
  ],
  bindings: [
    { exchange: exchanges.unrouted, key: '', to: { queue: queues.unrouted } },
    bind('OrderCreated', queues.orderCreated),
    bind('OrderCancelled', queues.orderCancelled),
    bind('OrderFulfilled', queues.orderFulfilled),
    bind('StockReserved', queues.stockReplies),
    bind('StockRejected', queues.stockReplies),
    bind('StockAmended', queues.stockReplies),
    bind('AmendmentRejected', queues.stockReplies),
    bind('StockReleased', queues.stockReplies),
    bind('StockCommitted', queues.stockReplies),
    bind('OrderReserved', queues.orderReserved),
    bind('PaymentCaptured', queues.paymentReplies),
    bind('PaymentDeclined', queues.paymentReplies),
    bind('PaymentRefunded', queues.paymentReplies),
    bind('PaymentUnknown', queues.paymentReplies),
    bind('OrderRequested', queues.newOrders),
    ...copies(exchanges.orders, exchanges.orderEvents),
    ...copies(exchanges.inventory, exchanges.stockEvents),
    ...copies(exchanges.accounts, exchanges.accountEvents),
  ],
};

/** Nobody waits for an answer longer than a minute; and who asks more than is answered loses the oldest questions. */
function requestsOf({ queue: name }: Rpc): QueueDeclaration {
  return { name, kind: 'requests', lengthMax: 1_000, ttlMs: 60_000 };
}

function bind(type: EventType, queue: string): Binding {
  return { exchange: routes[type].exchange, key: routes[type].key, to: { queue } };
}

/**
 * What the notifications role adds. Only that role declares it, so that where nobody runs it no queue fills for nobody; once it has
 * run, its queues are kept for it. Customers bind queues of their own to the exchange.
 */
export const notificationsTopology: Topology = {
  exchanges: [],
  queues: [
    { name: queues.orderCreations, kind: 'work' },
    { name: queues.orderUpdates, kind: 'work' },
  ],
  bindings: [
    { exchange: exchanges.orderEvents, key: '', to: { queue: queues.orderCreations } },
    bind('OrderCreated', queues.orderUpdates),
    bind('OrderReserved', queues.orderUpdates),
    bind('OrderConfirmed', queues.orderUpdates),
    bind('OrderUpdated', queues.orderUpdates),
    bind('OrderCancelled', queues.orderUpdates),
    bind('OrderFulfilled', queues.orderUpdates),
  ],
};

/** What goes between a gateway and the inventory role, and is nobody else's business: those two declare it. */
export const deskTopology: Topology = { exchanges: [], queues: [requestsOf(productDesk)], bindings: [] };

/**
 * A copy of every event of one exchange for whoever listens. By exact key, not `#`: so that an event which nobody happens to
 * want is at home here, while a misspelt key ends in `unrouted`, where someone can find it.
 */
function copies(exchange: string, fanout: string): Binding[] {
  const keys = Object.values(routes).filter((route) => route.exchange === exchange);
  return keys.map(({ key }) => ({ exchange, key, to: { exchange: fanout } }));
}
