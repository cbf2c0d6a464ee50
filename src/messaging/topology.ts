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
    { name: exchanges.stockEvents, type: 'fanout' },
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
    bind('StockReleased', queues.stockReplies),
    bind('StockCommitted', queues.stockReplies),
    ...copies(exchanges.orders, exchanges.orderEvents),
    ...copies(exchanges.inventory, exchanges.stockEvents),
  ],
};

function bind(type: EventType, queue: string): Binding {
  return { exchange: routes[type].exchange, key: routes[type].key, to: { queue } };
}

/**
 * A copy of every event of one exchange for whoever listens. By exact key, not `#`: so that an event which nobody happens to
 * want is at home here, while a misspelt key ends in `unrouted`, where someone can find it.
 */
function copies(exchange: string, fanout: string): Binding[] {
  const keys = Object.values(routes).filter((route) => route.exchange === exchange);
  return keys.map(({ key }) => ({ exchange, key, to: { exchange: fanout } }));
}
