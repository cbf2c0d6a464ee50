import { exchanges } from '../contracts';
import { type Broker, type Delivery } from '../messaging';
import { type Logger } from '../observability';

/** Says that something has happened, and not what: who hears it looks in the database. */
export interface Pulse {
  /** Has `onBeat` called after every event, until what it returns is called. Nothing is certain: look from time to time all the same. */
  follow(onBeat: () => void): () => void;
}

export interface PulseOptions {
  broker: Broker;
  newId: () => string;
  log: Logger;
}

/**
 * A queue of this process alone, bound to all events of orders and stock, that keeps the latest two of them and is handed out one at a
 * time: however many there are, a process hears of them every 20 ms at most, and it is the broker that drops the others. It is there
 * only while somebody follows.
 */
export function createPulse({ broker, newId, log }: PulseOptions): Pulse {
  const queue = `live.pulse.${newId()}`;
  const followers = new Set<() => void>();
  let listening: Promise<void> | undefined;

  return {
    follow(onBeat) {
      // A listener of its own, so that the same function may follow twice.
      const follower = () => onBeat();
      followers.add(follower);
      listening ??= listenOn().finally(() => (listening = undefined));
      return () => void followers.delete(follower);
    },
  };

  /** Again, for who comes while the queue is closed, or cannot be had. */
  async function listenOn() {
    while (followers.size > 0 && broker.status().state !== 'closed') await listen();
  }

  async function listen() {
    try {
      await broker.declare({
        exchanges: [],
        queues: [{ name: queue, kind: 'temporary', lengthMax: 2 }],
        bindings: [exchanges.orderEvents, exchanges.stockEvents].map((exchange) => ({ exchange, key: '', to: { queue } })),
      });
      const consumption = await broker.consume(queue, { prefetch: 1 }, beat);
      while (followers.size > 0) await pause(IDLE_LOOK_MS);
      await consumption.cancel();
    } catch (error) {
      if (broker.status().state === 'closed') return;
      log.warn({ err: error }, 'events are not heard of; the database is looked at from time to time');
      await pause(RETRY_MS);
    }
  }

  function beat(delivery: Delivery) {
    for (const follower of followers) follower();
    setTimeout(() => delivery.ack(), BEAT_PAUSE_MS).unref();
  }
}

/** Longer than a look takes, and shorter than anybody notices. */
const BEAT_PAUSE_MS = 20;
/** How long a queue is kept that nobody needs any more. */
const IDLE_LOOK_MS = 2_000;
const RETRY_MS = 2_000;

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
