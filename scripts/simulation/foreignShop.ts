import { exchanges, routes, type AnyEvent } from '../../src/contracts';
import { type OrderLine } from '../../src/orders/orderLines';
import { below } from '../random';
import { type World } from './world';

/** An order of another order service, which knows Holdfast by its queues alone. */
export interface ForeignOrder {
  orderId: string;
  lines: OrderLine[];
  isCancelled: boolean;
}

/** Sends a few bare messages: orders, and cancels of some, which may come before the order itself. Only with a broker to share. */
export function openForeignShop(world: World): ForeignOrder[] {
  const { plan, scheduler } = world;
  if (plan.shape === 'embedded') return [];
  return Array.from({ length: below(5, scheduler.random) }, (_, number) => {
    const orderId = `FOREIGN-${number}`;
    const isCancelled = scheduler.chance(0.6);
    const lines = [{ productId: 1 + below(plan.stock.length, scheduler.random), quantity: 1 + below(2, scheduler.random) }];
    const items = lines.map(({ productId, quantity }) => ({ product_id: productId, quantity }));
    const comesAtMs = scheduler.between(1_000, plan.stormMs - 2_000);
    send(world, comesAtMs, { event: 'OrderCreated', order_id: orderId, items });
    if (isCancelled) send(world, comesAtMs + scheduler.between(-500, 2_000), { event: 'OrderCancelled', order_id: orderId });
    return { orderId, lines, isCancelled };
  });
}

function send(world: World, atMs: number, body: AnyEvent): void {
  const { event } = body;
  world.later(atMs, `a foreign ${event}`, () => {
    const properties = { type: `foreign ${event}`, headers: { 'cloudEvents:subject': body.order_id } };
    const publication = { exchange: exchanges.orders, routingKey: routes[event].key, body: Buffer.from(JSON.stringify(body)) };
    world.send({ ...publication, properties, mandatory: true });
  });
}
