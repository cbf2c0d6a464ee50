import { type Database, type OrderModel, type Prisma } from '../database';
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
  createdFrom?: Date | null;
  createdBefore?: Date | null;
  sort?: 'NEWEST_FIRST' | 'OLDEST_FIRST';
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

/** A page of orders, newest first unless asked otherwise, after the order with id `after`. The id sorts by time, so it is the cursor too. */
export async function listOrders(database: Database, filter: OrderFilter, first: number, after?: string): Promise<OrderView[]> {
  const isOldestFirst = filter.sort === 'OLDEST_FIRST';
  const rows = await database.order.findMany({
    where: { AND: [...conditionsOf(filter), after === undefined ? {} : { id: isOldestFirst ? { gt: after } : { lt: after } }] },
    orderBy: { id: isOldestFirst ? 'asc' : 'desc' },
    take: first,
    include: { items: { orderBy: { productId: 'asc' } } },
  });
  return rows.map(toView);
}

/** Who filters by a customer and is one sees what fits both. Times are asked of the ids too, which have an index and the times nearly. */
function conditionsOf({ customerId, owner, status, createdFrom, createdBefore }: OrderFilter): Prisma.OrderWhereInput[] {
  return [
    customerId == null ? {} : { customerId },
    owner === undefined ? {} : { customerId: owner },
    status == null ? {} : { status },
    createdFrom == null ? {} : { createdAt: { gte: createdFrom }, id: { gt: idAt(createdFrom.getTime() - CLOCKS_APART_MS) } },
    createdBefore == null
      ? {}
      : { createdAt: { lt: createdBefore }, id: { lt: idAt(createdBefore.getTime() + CLOCKS_APART_MS) } },
  ];
}

/** How far the clock that ids are made by and the database's, which says when an order was placed, may be apart. */
const CLOCKS_APART_MS = 3_600_000;

/** What ids that were made then begin with: `ORD-` and the 48 bits of time of a UUIDv7 (RFC 9562). */
function idAt(ms: number): string {
  const time = Math.min(Math.max(ms, 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0');
  return `ORD-${time.slice(0, 8)}-${time.slice(8)}`;
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
