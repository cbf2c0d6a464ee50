import { v7 as uuidv7 } from 'uuid';

import { auditChecks, type AuditScope } from '../../scripts/audit';
import { type AnyEvent } from '../../src/contracts';
import { join, sql, type Database } from '../../src/database';
import { inventoryHandlers } from '../../src/inventory/handlers';
import { createOutbox, type Handler, type Handlers, type Outbox, type OutboxSchema } from '../../src/messaging';
import { type createMetrics } from '../../src/observability';
import { createOrders } from '../../src/orders';
import { changeOrders } from '../../src/orders/changeOrders';
import { aProduct, incoming, inventoryOn, leaveOut } from '../support/anOrder';
import { type Shop } from './shop';
import { inWords, type ModelOrder } from './shopModel';

/** The use cases and handlers as they are, on a real Postgres, with the post in the hands of the test. */
export async function createPostgresShop(
  database: Database,
  metrics: ReturnType<typeof createMetrics>,
  units: number[],
): Promise<Shop> {
  const customerId = `customer-${uuidv7()}`;
  const inventory = inventoryOn(database);
  const productIds: number[] = [];
  for (const onHand of units) productIds.push(await aProduct(inventory, onHand));
  const orderIds: string[] = [];
  let said: AnyEvent[] = [];
  const outboxOf = (schema: OutboxSchema): Outbox =>
    createOutbox({
      ...{ database, schema, leaseMs: 60_000 },
      handOver: (rows) => void said.push(...rows.map((row) => JSON.parse(row.json) as AnyEvent)),
    });
  const outbox = { orders: outboxOf('orders'), inventory: outboxOf('inventory') };
  const orders = createOrders({
    ...{ database, metrics, outbox: outbox.orders, newId: uuidv7, currency: 'EUR', room: () => Promise.resolve() },
    log: undefined as never,
    times: { deadlineMs: 600_000, republishAfterMs: 30_000 },
    limits: { linesMax: 10, quantityMax: 1_000, batchSizeMax: 10, concurrencyMax: 1 },
    watchdog: { intervalMs: 1_000, batchSizeMax: 10, queued: () => Promise.resolve(0) },
    products: { idsBySku: () => Promise.resolve(new Map()), idsByName: () => Promise.resolve(new Map()) },
  });
  const handlers = handlersOf(outbox, orders.handlers, inventoryHandlers(uuidv7));
  const changing = { newId: uuidv7, tellAgainAfterMs: 30_000 };
  const scope: AuditScope = { customers: [customerId], productIds, acknowledged: [], foreign: [], soldOutProductIds: [] };

  /** What is committed by this work is what is said by it. */
  const saying = async (work: () => Promise<unknown>): Promise<AnyEvent[]> => {
    said = [];
    await work();
    return said;
  };

  return {
    place: (lines) =>
      saying(async () => {
        const items = lines.map(({ product, quantity }) => ({ productId: productIds[product]!, quantity }));
        const result = await orders.create({ customerId, items }, 'model');
        if (result.type !== 'placed') throw new Error(`The order was refused: ${JSON.stringify(result)}`);
        orderIds.push(result.order.id);
      }),
    deliver: (body) => saying(() => handlers[body.event]!(body)),
    // Whoever delivers the post cannot wait for the answer.
    update: (order, quantities) =>
      saying(() => {
        const items = quantities.map(({ product, quantity }) => ({ productId: productIds[product]!, quantity }));
        return orders.update({ orderId: orderIds[order]!, items }, 'model', AbortSignal.abort());
      }),
    cancel: (order) => saying(() => orders.cancel(orderIds[order]!)),
    fulfil: (order) => saying(() => orders.fulfil(orderIds[order]!)),
    expire: (order) =>
      saying(() =>
        outbox.orders.transaction(async (tx) => {
          await tx.$executeRaw`UPDATE orders.orders SET deadline_at = clock_timestamp() WHERE id = ${orderIds[order]} AND status = 'PENDING'`;
          const reason = { code: 'EXPIRED' as const, message: 'too late', lines: [] };
          const [outcome] = await changeOrders(tx, [{ orderId: orderIds[order]!, trigger: 'ExpireOrder', reason }], changing);
          return { result: undefined, messages: outcome?.messages ?? [] };
        }),
      ),
    adjust: async (product, delta) => {
      await inventory.adjustStock({ product: { id: productIds[product]! }, delta, reason: 'RECEIVED' }, 'model');
    },
    state: () => stateOf(database, productIds, orderIds),
    broken: () => brokenIn(database, scope),
  };
}

/** Each event with the handler that gets it, in a transaction as the consumer's. */
function handlersOf(outbox: Record<'orders' | 'inventory', Outbox>, ...tables: Record<string, Handlers>[]) {
  const [orders, inventory] = tables.map((table) => Object.assign({}, ...Object.values(table)) as Record<string, Handler<never>>);
  const handled = (owner: Outbox, handler: Handler<never>) => (body: AnyEvent) =>
    owner.transaction(async (tx) => ({ result: undefined, messages: await handler(tx, [incoming(body) as never], leaveOut) }));
  return Object.fromEntries([
    ...Object.entries(orders!).map(([event, handler]) => [event, handled(outbox.orders, handler)] as const),
    ...Object.entries(inventory!).map(([event, handler]) => [event, handled(outbox.inventory, handler)] as const),
  ]);
}

async function stateOf(database: Database, productIds: number[], orderIds: string[]) {
  const [stock, orders, reservations] = await Promise.all([
    database.stock.findMany({ where: { productId: { in: productIds } }, orderBy: { productId: 'asc' } }),
    database.order.findMany({ where: { id: { in: orderIds } }, select: { id: true, status: true, items: true } }),
    database.reservation.findMany({ where: { orderId: { in: orderIds } }, select: { orderId: true, status: true } }),
  ]);
  const held = (id: string): ModelOrder['held'] => reservations.find((row) => row.orderId === id)?.status ?? 'nothing';
  const linesOf = (id: string) =>
    orders
      .find((row) => row.id === id)!
      .items.map(({ productId, quantity }) => ({ product: productIds.indexOf(productId), quantity }));
  return {
    stock: stock.map(({ onHand, reserved }) => ({ onHand, reserved })),
    orders: orderIds.map((id) => ({
      ...{ status: orders.find((row) => row.id === id)!.status, held: held(id) },
      lines: inWords(linesOf(id)),
    })),
  };
}

/** The audit's checks of what holds at any moment, all in one statement. */
async function brokenIn(database: Database, scope: AuditScope): Promise<string[]> {
  const always = auditChecks.filter((check) => !check.atRest);
  const asked = always.map(
    (check) => sql`SELECT ${check.name} || ': ' || line AS line FROM (${check.breaks(scope)}) AS found(line)`,
  );
  const rows = await database.$queryRaw<{ line: string }[]>`${join(asked, ' UNION ALL ')}`;
  return rows.map((row) => row.line);
}
