import { type Database, type OrderModel } from '../database';
import { type PaymentMethod, type RejectedLine } from '../contracts';
import { type CancellationReason, type OrderStatus } from './order';

/** An order as callers see it. Money in minor units of `currency`; prices are null until stock was reserved. */
export interface OrderView {
  id: string;
  customerId: string;
  status: OrderStatus;
  version: number;
  currency: string;
  payment: PaymentMethod;
  items: { productId: number; quantity: number; unitPrice: number | null }[];
  total: number | null;
  reason: CancellationReason | null;
  createdAt: Date;
  updatedAt: Date;
}

/** One step of an order's life. */
export interface TimelineEntry {
  /** Where it stands among the steps of all orders. */
  position: bigint;
  version: number;
  event: string;
  fromStatus: OrderStatus | null;
  toStatus: OrderStatus;
  detail: string | null;
  at: Date;
}

export interface OrderFilter {
  customerId?: string | null;
  status?: OrderStatus | null;
  /** The customer who asks: there are no orders but its own. */
  owner?: string;
}

/** The orders with these ids, in the order of the ids; unknown ones are left out, and with an `owner` those of others. */
export async function findOrders(database: Pick<Database, 'order'>, ids: string[], owner?: string): Promise<OrderView[]> {
  if (ids.length === 0) return [];
  const rows = await database.order.findMany({
    where: { id: { in: ids }, ...(owner === undefined ? {} : { customerId: owner }) },
    include: { items: { orderBy: { productId: 'asc' } } },
  });
  const views = new Map(rows.map((row) => [row.id, toView(row)]));
  return ids.flatMap((id) => views.get(id) ?? []);
}

/** A page of orders, newest first, after the order with id `after`. The id sorts by time, so it is the cursor too. */
export async function listOrders(database: Database, filter: OrderFilter, first: number, after?: string): Promise<OrderView[]> {
  const rows = await database.order.findMany({
    where: {
      ...(filter.customerId == null ? {} : { customerId: filter.customerId }),
      ...(filter.owner === undefined ? {} : { AND: { customerId: filter.owner } }),
      ...(filter.status == null ? {} : { status: filter.status }),
      ...(after ? { id: { lt: after } } : {}),
    },
    orderBy: { id: 'desc' },
    take: first,
    include: { items: { orderBy: { productId: 'asc' } } },
  });
  return rows.map(toView);
}

/** The lives of these orders, each step in its order. */
export async function readTimelines(database: Database, orderIds: string[]): Promise<Map<string, TimelineEntry[]>> {
  const rows = await database.orderHistory.findMany({
    where: { orderId: { in: orderIds } },
    orderBy: [{ orderId: 'asc' }, { version: 'asc' }],
  });
  const timelines = new Map<string, TimelineEntry[]>(orderIds.map((id) => [id, []]));
  for (const { orderId, position, version, event, fromStatus, toStatus, detail, at } of rows) {
    timelines.get(orderId)?.push({ position, version, event, fromStatus, toStatus, detail, at });
  }
  return timelines;
}

/** How many orders wait for a decision, and for how many seconds the oldest has. */
export async function pendingOrders(database: Database): Promise<{ pending: number; oldestSeconds: number }> {
  const [row] = await database.$queryRaw<{ pending: number; oldest: number }[]>`
    SELECT count(*)::int AS pending, coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS oldest
    FROM (
      SELECT created_at FROM orders.orders WHERE status = 'PENDING'
      UNION ALL SELECT created_at FROM orders.orders WHERE status = 'RESERVED'
    ) AS undecided`;
  return { pending: row?.pending ?? 0, oldestSeconds: row?.oldest ?? 0 };
}

type Row = OrderModel & { items: { productId: number; quantity: number; unitPriceMinor: bigint | null }[] };

function toView(row: Row): OrderView {
  const { id, customerId, status, version, currency, payment, createdAt, updatedAt } = row;
  return {
    ...{ id, customerId, status, version, currency, payment, createdAt, updatedAt },
    items: row.items.map(({ productId, quantity, unitPriceMinor }) => ({
      productId,
      quantity,
      unitPrice: toNumber(unitPriceMinor),
    })),
    total: toNumber(row.totalMinor),
    reason: toReason(row),
  };
}

function toReason(row: Row): CancellationReason | null {
  if (row.reasonCode === null) return null;
  const lines = (row.reasonLines ?? []) as unknown as RejectedLine[];
  return { code: row.reasonCode as CancellationReason['code'], message: row.reasonMessage ?? '', lines };
}

function toNumber(minor: bigint | null): number | null {
  return minor === null ? null : Number(minor);
}
