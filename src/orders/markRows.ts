import { type Database } from '../database';

/** How far an order has come. */
export interface OrderMark {
  version: number;
  /** The number of the amendment under way; null when none is. */
  underWay: number | null;
}

/** The marks of these orders; unknown ones are left out. Raw and narrow, because it is asked many times a second while anybody waits. */
export async function readMarks(database: Database, orderIds: string[]): Promise<Map<string, OrderMark>> {
  const rows = await database.$queryRaw<(OrderMark & { id: string })[]>`
    SELECT id, version, number AS "underWay"
    FROM orders.orders LEFT JOIN orders.amendments ON order_id = id AND amendments.status = 'PENDING'
    WHERE id = ANY(${orderIds}::text[])`;
  return new Map(rows.map(({ id, version, underWay }) => [id, { version, underWay }]));
}
