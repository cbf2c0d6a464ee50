import { randomInt, randomUUID } from 'node:crypto';
import { z } from 'zod';

import { decimalOf, events, exchanges, routes, type EventOf } from '../../src/contracts';
import { customerKey, type Broker, type Delivery } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { outOfReach } from '../exit';
import { type Client } from '../simulate/client';

export interface CounterProduct {
  id: number;
  sku: string;
  name: string;
  price: string;
  available: number;
}

export interface Pick {
  product: CounterProduct;
  quantity: number;
}

/** An order as its customer sees it. `status` is REFUSED when there is none. */
export interface Told {
  orderId: string;
  status: string;
  message: string;
  total?: string;
}

/** Where a customer orders: over GraphQL, or by message alone. */
export interface Counter {
  /** Places the order and resolves with its decision; or with its last status when that takes longer than `timeoutMs`. */
  order(customerId: string, picks: Pick[], timeoutMs: number): Promise<Told>;
  close(): Promise<void>;
}

/** All that is for sale, page by page. */
export async function productsForSale(client: Client): Promise<CounterProduct[]> {
  const products: CounterProduct[] = [];
  let after: string | null = null;
  do {
    const page: Page = (await client.ask<{ products: Page }>(listing, { after })).products;
    products.push(...page.nodes.map(({ price, ...product }) => ({ ...product, price: `${price.decimal} ${price.currency}` })));
    after = page.pageInfo.hasNextPage ? page.pageInfo.endCursor : null;
  } while (after !== null);
  return products;
}

const listing = `query ($after: String) { products(first: 100, after: $after, active: true) {
  nodes { id sku name price { decimal currency } available } pageInfo { hasNextPage endCursor } } }`;

interface Page {
  nodes: (Omit<CounterProduct, 'price'> & { price: Price })[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

interface Price {
  decimal: string;
  currency: string;
}

/** Orders over GraphQL, and asks again until the order is decided. */
export function graphqlCounter(client: Client): Counter {
  return {
    async order(customerId, picks, timeoutMs) {
      const items = picks.map(({ product, quantity }) => ({ productId: product.id, quantity }));
      const input = { customerId, items, idempotencyKey: randomUUID() };
      const { createOrder } = await client.ask<{ createOrder: GraphqlOrder | Refusal }>(placing, { input });
      if (!('id' in createOrder)) return { orderId: '', status: 'REFUSED', message: createOrder.message };
      return followed(client, createOrder, timeoutMs);
    },
    // The client is its owner's to close.
    close: () => Promise.resolve(),
  };
}

/** What is read of an order wherever it is shown. */
export const orderFields = 'id status message total { decimal currency } reason { message }';
const placing = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) {
  ... on Order { ${orderFields} } ... on ErrorResult { message } } }`;
const reading = `query ($id: ID!) { order(id: $id) { ${orderFields} } }`;

export interface GraphqlOrder {
  id: string;
  status: string;
  message: string;
  total: Price | null;
  reason: { message: string } | null;
}

type Refusal = { message: string };

async function followed(client: Client, placed: GraphqlOrder, timeoutMs: number): Promise<Told> {
  const deadline = performance.now() + timeoutMs;
  let order = placed;
  while (order.status === 'PENDING' && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    // It is placed and safe: that Holdfast is away for a while only keeps its decision from us.
    order = await client.ask<{ order: GraphqlOrder }>(reading, { id: placed.id }).then(
      (data) => data.order,
      () => order,
    );
  }
  return toldOf(order);
}

export function toldOf({ id, status, message, total, reason }: GraphqlOrder): Told {
  const inWords = reason ? `${message} ${reason.message}` : message;
  return { orderId: id, status, message: inWords, ...(total && { total: `${total.decimal} ${total.currency}` }) };
}

type Notice = EventOf<'OrderStatusChanged' | 'OrderRefused'>;

/** Orders by message alone: publishes the order, and hears what becomes of it on the customer's own queue. */
export async function messageCounter(url: string): Promise<Counter> {
  const broker = await connectCounter(url);
  return {
    async order(customerId, picks, timeoutMs) {
      const orderId = randomUUID();
      const order = picks.map(({ product, quantity }) => ({ sku: product.sku, quantity }));
      const created_at = new Date().toISOString();
      const body = { order_id: orderId, user_id: customerId, order, created_at, status: 'new_order' };
      const decided = await listenForDecision(broker, customerId, orderId, timeoutMs);
      const { exchange, key: routingKey } = routes.OrderRequested;
      const properties = { contentType: 'application/json', headers: {} };
      await broker.publish({ exchange, routingKey, properties, body: Buffer.from(JSON.stringify(body)), mandatory: true });
      return decided();
    },
    close: () => broker.close(),
  };
}

/** Hears everything about this customer's orders, on a queue that ends with the connection. */
export async function listenTo(broker: Broker, customerId: string, onNotice: (notice: Notice) => void): Promise<void> {
  const queue = `customer.${randomUUID()}`;
  await broker.declare({
    exchanges: [{ name: exchanges.notifications, type: 'topic' }],
    queues: [{ name: queue, kind: 'temporary' }],
    bindings: [{ exchange: exchanges.notifications, key: customerKey(customerId), to: { queue } }],
  });
  await broker.consume(queue, { prefetch: 100 }, (delivery: Delivery) => {
    delivery.ack();
    const notice = noticeIn(delivery.body);
    if (notice) onNotice(notice);
  });
}

/** Anybody may publish to the exchange: what is no notice of ours is passed over. */
function noticeIn(body: Buffer): Notice | undefined {
  try {
    const json: unknown = JSON.parse(body.toString('utf8'));
    return notices.safeParse(json).data;
  } catch {
    return undefined;
  }
}

const notices = z.discriminatedUnion('event', [events.OrderStatusChanged, events.OrderRefused]);

export async function connectCounter(url: string): Promise<Broker> {
  const random = () => randomInt(2 ** 32) / 2 ** 32;
  return connectRabbitmq({ url, random, connectionName: 'a customer', bootTimeoutMs: 5_000 }).catch((error: Error) => {
    throw outOfReach(error.message);
  });
}

/** Listens before the order goes out, so that no answer is missed; the function it gives waits for the decision. */
async function listenForDecision(broker: Broker, customerId: string, reference: string, timeoutMs: number) {
  const heard: Notice[] = [];
  let settle: () => void;
  const decided = new Promise<void>((resolve) => (settle = resolve));
  const state = () => noticesAbout(reference, heard).map(toldBy).reduce(later, unanswered(reference));
  await listenTo(broker, customerId, (notice) => {
    heard.push(notice);
    if (state().status !== 'PENDING') settle();
  });
  return async () => {
    const timer = setTimeout(() => settle(), timeoutMs);
    await decided;
    clearTimeout(timer);
    return state();
  };
}

/** The answer names our id of the order; what came under it before the answer counts, too. */
function noticesAbout(reference: string, heard: Notice[]): Notice[] {
  const answer = heard.find((notice) => notice.event === 'OrderStatusChanged' && notice.reference === reference);
  return heard.filter(({ event, order_id: id }) => id === (event === 'OrderRefused' ? reference : answer?.order_id));
}

function unanswered(orderId: string): Told {
  return { orderId, status: 'PENDING', message: 'No answer yet.' };
}

/** A decision is never taken back by a notice that came late. */
function later(before: Told, now: Told): Told {
  return now.status === 'PENDING' && before.status !== 'PENDING' ? before : now;
}

export function toldBy(notice: Notice): Told {
  if (notice.event === 'OrderRefused') return { orderId: notice.order_id, status: 'REFUSED', message: notice.message };
  const { order_id: orderId, status, message, reason, total, currency } = notice;
  const inWords = reason === undefined ? message : `${message} ${reason}`;
  return {
    orderId,
    status,
    message: inWords,
    ...(total !== undefined && { total: `${decimalOf(total, currency!)} ${currency}` }),
  };
}
