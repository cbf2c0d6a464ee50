import { exchanges, type AnyEvent } from '../../src/contracts';
import { type Delivery, type Publication } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { type HeardEvent } from '../audit';

/** A subscriber to everything Holdfast tells the world, as any team might attach one: what it never hears was never told. */
export interface Tap {
  /** Each event of an order once, however often it was published. */
  heard(): HeardEvent[];
  /** Events published so far, repetitions included, and how many of these were repetitions under the same id. */
  counts(): { published: number; repeated: number };
  /** Something that went by lately, word for word, to be delivered once more. */
  sample(index: number): { queue: string; publication: Publication } | undefined;
  /** Publishes straight to a queue; resolves when the broker has it. */
  publish(publication: Publication): Promise<void>;
  /** Messages that wait in the queues named. */
  waiting(queues: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

const TAP_QUEUE = 'chaos.tap';
const SAMPLES_MAX = 200;

export async function openTap(brokerUrl: string, random: () => number): Promise<Tap> {
  const broker = await connectRabbitmq({ url: brokerUrl, random, connectionName: 'holdfast chaos tap' });
  const heard = new Map<string, HeardEvent>();
  const ids = new Set<string>();
  const samples: { queue: string; publication: Publication }[] = [];
  let [published, repeated] = [0, 0];

  await broker.declare({
    exchanges: [exchanges.orderEvents, exchanges.stockEvents].map((name) => ({ name, type: 'fanout' })),
    queues: [{ name: TAP_QUEUE, kind: 'work' }],
    bindings: [exchanges.orderEvents, exchanges.stockEvents].map((exchange) => ({ exchange, key: '', to: { queue: TAP_QUEUE } })),
  });
  await broker.consume(TAP_QUEUE, { prefetch: 500 }, (delivery) => {
    listen(delivery);
    delivery.ack();
  });

  function listen(delivery: Delivery) {
    const body = JSON.parse(delivery.body.toString()) as AnyEvent;
    const { messageId = '' } = delivery.properties;
    const isRepetition = ids.has(messageId);
    // One that was handed to us before and not acked in time is no publication of its own.
    if (!(isRepetition && delivery.redelivered)) published++;
    if (isRepetition && !delivery.redelivered) repeated++;
    ids.add(messageId);
    if (typeof body.order_id !== 'string') return;
    const version = typeof body.version === 'number' ? body.version : null;
    heard.set(`${body.event} ${body.order_id} ${version}`, { event: body.event, orderId: body.order_id, version });
    keepSample(body.event, delivery);
  }

  function keepSample(event: string, { body, properties }: Delivery) {
    const queue = queueOf[event];
    if (queue === undefined) return;
    samples[published % SAMPLES_MAX] = {
      queue,
      publication: { exchange: '', routingKey: queue, body, properties, mandatory: true },
    };
  }

  return {
    heard: () => [...heard.values()],
    counts: () => ({ published, repeated }),
    sample: (index) => samples[index % Math.max(1, samples.length)],
    publish: (publication) => broker.publish(publication),
    async waiting(queues) {
      const depths = await Promise.all([TAP_QUEUE, ...queues].map((queue) => broker.depth(queue)));
      return depths.reduce((sum, depth) => sum + (depth?.ready ?? 0), 0);
    },
    close: () => broker.close(),
  };
}

/** Which work queue an event goes to, so that it can be delivered there a second time. */
const queueOf: Record<string, string> = {
  OrderCreated: 'order.created.inventory',
  OrderCancelled: 'order.cancelled.inventory',
  OrderFulfilled: 'order.fulfilled.inventory',
  StockReserved: 'stock.replies.orders',
  StockRejected: 'stock.replies.orders',
};
