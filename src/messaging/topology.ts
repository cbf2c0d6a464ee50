import { exchanges, queues, routes, type EventType } from '../contracts';
import { type Binding, type Topology } from './broker';

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
    { name: exchanges.orderEvents, type: 'fanout' },
  ],
  queues: [
    { name: queues.orderCreated, kind: 'work' },
    { name: queues.orderCancelled, kind: 'work' },
    { name: queues.orderFulfilled, kind: 'work' },
    { name: queues.stockReplies, kind: 'work' },
    { name: queues.unrouted, kind: 'bounded', lengthMax: 10_000 },
  ],
  bindings: [
    { exchange: exchanges.unrouted, key: '', to: { queue: queues.unrouted } },
    bind('OrderCreated', queues.orderCreated),
    bind('OrderCancelled', queues.orderCancelled),
    bind('OrderFulfilled', queues.orderFulfilled),
    bind('StockReserved', queues.stockReplies),
    bind('StockRejected', queues.stockReplies),
    ...orderEvents().map((route) => ({ exchange: route.exchange, key: route.key, to: { exchange: exchanges.orderEvents } })),
  ],
};

function bind(type: EventType, queue: string): Binding {
  return { exchange: routes[type].exchange, key: routes[type].key, to: { queue } };
}

/** By exact key, not `#`: so that a misspelt key on `orders` still ends in `unrouted`, where someone can find it. */
function orderEvents() {
  return Object.values(routes).filter((route) => route.exchange === exchanges.orders);
}
