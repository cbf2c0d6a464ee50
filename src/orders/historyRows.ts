import { empty, sql, type Database, type Sql } from '../database';
import { type TimelineEntry } from './readOrders';

/** A step of the life of an order, among the steps of all orders. */
export interface OrderStep extends TimelineEntry {
  orderId: string;
  customerId: string;
}

/** Whose steps are meant; all of them where nothing is said. */
export interface StepFilter {
  orderId?: string | null;
  customerId?: string | null;
  /** The customer who asks: there are no orders but its own. */
  owner?: string;
}

/** Steps after a position, in their order. Raw, because it is asked many times a second while anybody listens. */
export function stepsAfter(database: Database, after: bigint, limit: number): Promise<OrderStep[]> {
  return steps(database, sql`position > ${after}`, limit);
}

/** The steps that somebody has missed. */
export function missedSteps(
  database: Database,
  filter: StepFilter,
  { after, upTo, limit }: { after: bigint; upTo: bigint; limit: number },
): Promise<OrderStep[]> {
  return steps(database, sql`position > ${after} AND position <= ${upTo} ${matching(filter)}`, limit);
}

/** The position of the latest step of an order; undefined when there is no such order, or `owner` has none such. */
export async function latestStep(database: Database, filter: StepFilter): Promise<bigint | undefined> {
  const [row] = await database.$queryRaw<{ position: bigint | null }[]>`
    SELECT max(position) AS position FROM orders.order_history JOIN orders.orders ON id = order_id WHERE TRUE ${matching(filter)}`;
  return row?.position ?? undefined;
}

export function isOf({ orderId, customerId, owner }: StepFilter): (step: OrderStep) => boolean {
  return (step) =>
    (orderId == null || step.orderId === orderId) &&
    (customerId == null || step.customerId === customerId) &&
    (owner === undefined || step.customerId === owner);
}

function steps(database: Database, condition: Sql, limit: number): Promise<OrderStep[]> {
  return database.$queryRaw`
    SELECT position, order_id AS "orderId", customer_id AS "customerId", order_history.version, event,
           from_status::text AS "fromStatus", to_status::text AS "toStatus", detail, at
    FROM orders.order_history JOIN orders.orders ON id = order_id
    WHERE ${condition} ORDER BY position LIMIT ${limit}`;
}

function matching({ orderId, customerId, owner }: StepFilter): Sql {
  const ofOrder = orderId == null ? empty : sql`AND order_id = ${orderId}`;
  const ofCustomer = customerId == null ? empty : sql`AND customer_id = ${customerId}`;
  return sql`${ofOrder} ${ofCustomer} ${owner === undefined ? empty : sql`AND customer_id = ${owner}`}`;
}
