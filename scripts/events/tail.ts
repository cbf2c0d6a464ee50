import { randomUUID } from 'node:crypto';
import { type Writable } from 'node:stream';

import { exchanges, routes, type EventType } from '../../src/contracts';
import { topology, type Broker, type Delivery } from '../../src/messaging';
import { usageFault } from '../exit';
import { visible } from '../visible';

export interface TailOptions {
  broker: Broker;
  types: EventType[];
  /** Only what is about this order. */
  order?: string;
  countMax: number;
  json: boolean;
  /** With `columns` where it is a terminal. */
  out: Writable & { columns?: number };
}

/**
 * Shows events as they go by, on a queue that ends with the connection. It is bound by exact keys and never by `#`: a misspelt key
 * must still fit no binding, so that it ends in `unrouted`, where someone can find it.
 */
export async function tail({ broker, types, order, countMax, json, out }: TailOptions): Promise<{ enough: Promise<void> }> {
  const queue = `events-tail.${randomUUID()}`;
  const bindings = [...new Set(types.map(placeOf))].map((place) => {
    const [exchange, key] = JSON.parse(place) as [string, string];
    return { exchange, key, to: { queue } };
  });
  await broker.declare({ exchanges: topology.exchanges, queues: [{ name: queue, kind: 'temporary' }], bindings });
  let shown = 0;
  let stop: () => void;
  const enough = new Promise<void>((resolve) => (stop = resolve));
  // Who reads us and goes away, as `head` does, has had enough.
  out.on('error', () => stop());
  await broker.consume(queue, { prefetch: 200 }, (delivery) => {
    const seen = seenIn(delivery);
    if (shown >= countMax || !isWanted(seen, types, order)) return delivery.ack();
    shown += 1;
    const isLast = shown === countMax;
    // Acked when it is written: a reader that is slow fills the broker's queue and not our memory.
    out.write(`${json ? JSON.stringify(seen) : clipped(lineOf(seen), out.columns)}\n`, () => {
      delivery.ack();
      if (isLast) stop();
    });
  });
  return { enough };
}

/** What to listen to. Commands go straight into the queue of whom they are for, and pass nobody else. */
export function tailedTypes(named: string[] | undefined): EventType[] {
  const all = (Object.keys(routes) as EventType[]).filter((type) => routes[type].exchange !== exchanges.default);
  for (const name of named ?? []) {
    if (all.includes(name as EventType)) continue;
    if (Object.hasOwn(routes, name))
      throw usageFault(
        `--type ${name} is a command: it goes straight into the queue ${routes[name as EventType].key}, and passes nobody else.`,
      );
    throw usageFault(`--type ${name}: there is no such event. There are ${all.join(', ')}.`);
  }
  return (named as EventType[] | undefined) ?? all;
}

/** Exchange and binding key; what a routing key takes from the body is any word. */
function placeOf(type: EventType): string {
  const { exchange, key } = routes[type];
  return JSON.stringify([exchange, key.replace(/\{\w+\}/g, '*')]);
}

interface Seen {
  at: string;
  event?: string;
  about?: string;
  exchange: string;
  routingKey: string;
  messageId?: string;
  correlationId?: string;
  causationId?: unknown;
  /** As text where it is no JSON. */
  body: unknown;
}

/** Anybody may publish: nothing about a message is taken for granted. */
function seenIn({ exchange, routingKey, body, properties }: Delivery): Seen {
  const { messageId, correlationId, headers } = properties;
  const published = new Date(String(headers['cloudEvents:time']));
  const at = Number.isNaN(published.getTime()) ? new Date() : published;
  const json = jsonIn(body);
  const { event, order_id: order, product_id: product } = isRecord(json) ? json : {};
  return {
    at: at.toISOString(),
    event: typeof event === 'string' ? event : undefined,
    about: typeof order === 'string' ? order : typeof product === 'number' ? `product:${product}` : undefined,
    ...{ exchange, routingKey, messageId, correlationId, causationId: headers['cloudEvents:causationid'] },
    body: json ?? body.toString('utf8'),
  };
}

function isWanted({ event, about, body, exchange }: Seen, types: EventType[], order: string | undefined): boolean {
  // Two kinds of notice share their keys; an order by message comes without `event`, and an exchange of its own.
  const isNamed = event !== undefined && Object.hasOwn(routes, event) && !types.includes(event as EventType);
  if (isNamed && exchange !== exchanges.newOrders) return false;
  return order === undefined || about === order || (isRecord(body) && body.reference === order);
}

function lineOf({ at, event, about, exchange, routingKey, body }: Seen): string {
  const time = new Date(at);
  const clock = `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, '0')}`;
  const route = `${exchange} / ${routingKey}`;
  const rest = isRecord(body) ? JSON.stringify({ ...body, event: undefined, order_id: undefined }) : JSON.stringify(body);
  const line = `${clock}  ${(event ?? '-').padEnd(20)}  ${(about ?? '-').padEnd(32)}  ${route.padEnd(28)}  ${rest}`;
  // What others wrote must not steer a terminal.
  return visible(line);
}

function clipped(line: string, columns: number | undefined): string {
  return columns !== undefined && line.length > columns ? `${line.slice(0, Math.max(1, columns - 1))}…` : line;
}

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function isRecord(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
