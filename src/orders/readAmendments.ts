import { type RejectedLine } from '../contracts';
import { type AmendmentModel, type Database } from '../database';
import { type AmendmentReason } from './order';
import { type OrderLine } from './orderLines';

/** A change of an order's lines as callers see it. */
export interface AmendmentView {
  number: number;
  status: AmendmentModel['status'];
  /** All lines as they were to be. */
  lines: OrderLine[];
  /** Null unless it was rejected. */
  reason: AmendmentReason | null;
  requestedAt: Date;
  decidedAt: Date | null;
}

export async function readAmendment(database: Database, orderId: string, number: number): Promise<AmendmentView | undefined> {
  const row = await database.amendment.findUnique({ where: { orderId_number: { orderId, number } } });
  return row ? toView(row) : undefined;
}

/** The latest amendment of each of these orders; those that were never to be changed are left out. */
export async function latestAmendments(database: Database, orderIds: string[]): Promise<Map<string, AmendmentView>> {
  const rows = await database.amendment.findMany({
    where: { orderId: { in: orderIds } },
    orderBy: [{ orderId: 'asc' }, { number: 'desc' }],
    distinct: ['orderId'],
  });
  return new Map(rows.map((row) => [row.orderId, toView(row)]));
}

function toView({ number, status, lines, requestedAt, decidedAt, ...row }: AmendmentModel): AmendmentView {
  return { number, status, lines: lines as unknown as OrderLine[], reason: toReason(row), requestedAt, decidedAt };
}

function toReason(row: Pick<AmendmentModel, 'reasonCode' | 'reasonMessage' | 'reasonLines'>): AmendmentReason | null {
  if (row.reasonCode === null) return null;
  const lines = (row.reasonLines ?? []) as unknown as RejectedLine[];
  return { code: row.reasonCode as AmendmentReason['code'], message: row.reasonMessage ?? '', lines };
}
