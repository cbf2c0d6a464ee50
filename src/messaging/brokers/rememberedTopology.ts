import { type Binding, type ExchangeDeclaration, type QueueDeclaration, type Topology } from '../broker';

/** Everything declared so far, to be declared again after a reconnect. */
export interface RememberedTopology {
  remember(topology: Topology): void;
  /** A temporary queue went away with its consumer, and is not to come back. */
  forgetTemporary(queue: string): void;
  all(): Topology;
  /** What must be there before anything else is built. */
  durable(): Topology;
  /** The queues of this connection alone; after a cut the broker may still hold them for the connection that is gone. */
  temporary(): Topology;
}

export function createRememberedTopology(): RememberedTopology {
  const exchanges = new Map<string, ExchangeDeclaration>();
  const queues = new Map<string, QueueDeclaration>();
  const bindings = new Map<string, Binding>();

  const isTemporary = (queue: string) => queues.get(queue)?.kind === 'temporary';
  const leadsToTemporary = ({ to }: Binding) => 'queue' in to && isTemporary(to.queue);

  return {
    remember(topology) {
      for (const exchange of topology.exchanges) exchanges.set(exchange.name, exchange);
      for (const queue of topology.queues) queues.set(queue.name, queue);
      for (const binding of topology.bindings) bindings.set(JSON.stringify([binding.exchange, binding.key, binding.to]), binding);
    },
    forgetTemporary(queue) {
      if (!isTemporary(queue)) return;
      for (const [name, { to }] of bindings) if ('queue' in to && to.queue === queue) bindings.delete(name);
      queues.delete(queue);
    },
    all: () => ({ exchanges: [...exchanges.values()], queues: [...queues.values()], bindings: [...bindings.values()] }),
    durable: () => ({
      exchanges: [...exchanges.values()],
      queues: [...queues.values()].filter(({ kind }) => kind !== 'temporary'),
      bindings: [...bindings.values()].filter((binding) => !leadsToTemporary(binding)),
    }),
    temporary: () => ({
      exchanges: [],
      queues: [...queues.values()].filter(({ kind }) => kind === 'temporary'),
      bindings: [...bindings.values()].filter(leadsToTemporary),
    }),
  };
}
