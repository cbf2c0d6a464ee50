import { randomInt, randomUUID } from 'node:crypto';

import { exchanges, routes } from '../../src/contracts';
import { type Broker, type Delivery, type MessageProperties } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { type AuditedLine } from '../audit';
import { outOfReach } from '../exit';

/** Another order service, as Holdfast meets it: bare messages in, answers out of a queue of its own. */
export interface ForeignDesk {
  /**
   * Publishes an order `copies` times and resolves with what was heard for it, an answer a copy. What is not answered within some
   * seconds is published again; resolves with fewer answers when the time is over.
   */
  order(orderId: string, lines: AuditedLine[], copies?: number): Promise<string[]>;
  /** Says that an order is off; resolves with what was heard. */
  cancel(orderId: string): Promise<string[]>;
  close(): Promise<void>;
}

export interface ForeignDeskOptions {
  url: string;
  timeoutMs: number;
  /** Hears every message that goes out or comes in. */
  onMessage?: (direction: 'published' | 'heard', route: string, body: string) => void;
}

export async function openForeignDesk({ url, timeoutMs, onMessage }: ForeignDeskOptions): Promise<ForeignDesk> {
  const options = {
    url,
    random: () => randomInt(2 ** 32) / 2 ** 32,
    connectionName: 'another order service',
    bootTimeoutMs: 5_000,
  };
  const broker = await connectRabbitmq(options).catch((error: Error) => {
    throw outOfReach(error.message);
  });
  const awaited = new Map<string, { answers: string[]; heard: () => void }>();
  await listen(broker, (delivery) => {
    const { order_id: orderId, event } = JSON.parse(delivery.body.toString()) as { order_id: string; event: string };
    const entry = awaited.get(orderId);
    if (!entry) return;
    onMessage?.('heard', `${delivery.exchange} / ${delivery.routingKey}`, delivery.body.toString());
    entry.answers.push(event);
    entry.heard();
  });

  async function ask(orderId: string, route: Route, message: object, copies: number): Promise<string[]> {
    const body = Buffer.from(JSON.stringify(message));
    const entry = { answers: [] as string[], heard: () => undefined as void };
    awaited.set(orderId, entry);
    const deadline = performance.now() + timeoutMs;
    while (entry.answers.length < copies && performance.now() < deadline) {
      for (let copy = entry.answers.length; copy < copies; copy++) {
        onMessage?.('published', `${route.exchange} / ${route.key}`, body.toString());
        await publish(broker, route, body, deadline);
      }
      await untilHeard(entry, copies, Math.min(deadline, performance.now() + REPEAT_AFTER_MS));
    }
    awaited.delete(orderId);
    return entry.answers;
  }

  return {
    order: (orderId, lines, copies = 1) => {
      const items = lines.map(({ productId, quantity }) => ({ product_id: productId, quantity }));
      return ask(orderId, routes.OrderCreated, { event: 'OrderCreated', order_id: orderId, items }, copies);
    },
    cancel: (orderId) => ask(orderId, routes.OrderCancelled, { event: 'OrderCancelled', order_id: orderId }, 1),
    close: () => broker.close(),
  };
}

const REPEAT_AFTER_MS = 10_000;

type Route = { exchange: string; key: string };

/** An exclusive queue, gone with the connection, on every answer of inventory. */
async function listen(broker: Broker, onAnswer: (delivery: Delivery) => void): Promise<void> {
  const queue = `another-order-service.${randomUUID()}`;
  await broker.declare({
    exchanges: [
      { name: exchanges.orders, type: 'topic' },
      { name: exchanges.inventory, type: 'topic' },
    ],
    queues: [{ name: queue, kind: 'temporary' }],
    bindings: ['stock.reserved', 'stock.rejected', 'stock.released'].map((key) => ({
      exchange: exchanges.inventory,
      key,
      to: { queue },
    })),
  });
  await broker.consume(queue, { prefetch: 200 }, (delivery) => {
    onAnswer(delivery);
    delivery.ack();
  });
}

/** Bare: no id, no type, no content type, as any client in any language would send it. */
async function publish(broker: Broker, { exchange, key }: Route, body: Buffer, deadline: number): Promise<void> {
  const properties: MessageProperties = { headers: {} };
  for (;;) {
    try {
      return await broker.publish({ exchange, routingKey: key, body, properties, mandatory: true });
    } catch (error) {
      if (performance.now() >= deadline) throw outOfReach((error as Error).message);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

function untilHeard(entry: { answers: string[]; heard: () => void }, copies: number, deadline: number): Promise<void> {
  if (entry.answers.length >= copies) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, Math.max(0, deadline - performance.now()));
    entry.heard = () => {
      if (entry.answers.length < copies) return;
      clearTimeout(timer);
      resolve();
    };
  });
}
