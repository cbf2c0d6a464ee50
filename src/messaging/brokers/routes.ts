import { type Binding, type ExchangeDeclaration } from '../broker';

/** Which queues a publication reaches: AMQP's routing over declared exchanges and bindings, for the in-process broker. */
export interface Routes {
  addExchange(exchange: ExchangeDeclaration): void;
  addBinding(binding: Binding): void;
  removeQueue(queue: string): void;
  /** The queues, each once however many bindings lead to it; undefined when there is no such exchange. */
  match(exchange: string, routingKey: string): Iterable<string> | undefined;
}

/** Tells whether a routing key fits a topic pattern. */
export type TopicPattern = (pattern: string) => { test(routingKey: string): boolean };

/**
 * As in RabbitMQ: one copy per queue, cycles between exchanges end, and an exchange turns to its alternate only when none of
 * its own bindings fits.
 */
export function createRoutes(topicPattern: TopicPattern): Routes {
  const exchanges = new Map<string, Exchange>();

  function collect(name: string, routingKey: string, queues: Set<string>, seen: Set<string>): void {
    const exchange = exchanges.get(name);
    if (!exchange || seen.has(name)) return;
    seen.add(name);
    let matched = false;
    for (const route of exchange.routes) {
      if (!route.fits(routingKey)) continue;
      matched = true;
      if ('queue' in route.binding.to) queues.add(route.binding.to.queue);
      else collect(route.binding.to.exchange, routingKey, queues, seen);
    }
    if (!matched && exchange.alternate !== undefined) collect(exchange.alternate, routingKey, queues, seen);
  }

  return {
    addExchange({ name, type, alternate }) {
      const present = exchanges.get(name);
      if (!present) exchanges.set(name, { type, alternate, routes: [] });
      else if (present.type !== type) throw mismatch(name, present.type, type);
      else present.alternate = alternate ?? present.alternate;
    },
    addBinding(binding) {
      const exchange = exchanges.get(binding.exchange);
      if (!exchange) throw new Error(`Cannot bind to exchange "${binding.exchange}": it is not declared.`);
      if (exchange.routes.some((route) => isSame(route.binding, binding))) return;
      exchange.routes.push({ binding, fits: fitting(exchange.type, binding.key, topicPattern) });
    },
    removeQueue(queue) {
      for (const exchange of exchanges.values()) {
        exchange.routes = exchange.routes.filter(({ binding }) => !('queue' in binding.to && binding.to.queue === queue));
      }
    },
    match(exchange, routingKey) {
      if (!exchanges.has(exchange)) return undefined;
      const queues = new Set<string>();
      collect(exchange, routingKey, queues, new Set());
      return queues;
    },
  };
}

interface Exchange {
  type: ExchangeDeclaration['type'];
  alternate?: string;
  routes: { binding: Binding; fits: (routingKey: string) => boolean }[];
}

function fitting(type: Exchange['type'], key: string, topicPattern: TopicPattern): (routingKey: string) => boolean {
  switch (type) {
    case 'fanout':
      return () => true;
    case 'direct':
      return (routingKey) => routingKey === key;
    case 'topic': {
      const pattern = topicPattern(key);
      return (routingKey) => pattern.test(routingKey);
    }
  }
}

function isSame(a: Binding, b: Binding): boolean {
  return a.key === b.key && JSON.stringify(a.to) === JSON.stringify(b.to);
}

function mismatch(name: string, present: string, wanted: string): Error {
  return new Error(`Exchange "${name}" is declared as ${present} and cannot also be ${wanted}: give one of them another name.`);
}
