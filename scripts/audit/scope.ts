import { type Sql } from '../../src/database';

/** What is audited: the orders of some customers and the stock of some products. */
export interface AuditScope {
  customers: string[];
  productIds: number[];
  /** What clients were told, from a journal kept outside the database: only that can show that an order was lost. */
  acknowledged: Acknowledged[];
  /** Orders of another order service, which live in inventory alone. */
  foreign: ForeignOrder[];
  /** Products that more was wanted of than there was: these must be sold to the last unit. */
  soldOutProductIds: number[];
}

export interface Acknowledged {
  orderId: string;
  customerId: string;
  idempotencyKey: string;
  lines: AuditedLine[];
}

export interface ForeignOrder {
  orderId: string;
  lines: AuditedLine[];
  /** What was heard on the exchange `inventory`; both when it was told one thing and then another. */
  answers: string[];
}

export interface AuditedLine {
  productId: number;
  quantity: number;
}

/** A promise, and the statement that finds what breaks it. */
export interface AuditCheck {
  name: string;
  group: AuditGroup;
  promise: string;
  /** True for what holds only at rest: while events are on their way, waiting mends it. */
  atRest?: true;
  /** A SELECT of one text column `line`: a row for each break of the promise. */
  breaks: (scope: AuditScope) => Sql;
  /** True for the check of the journal, which is asked in parts. */
  byJournal?: true;
}

/** The promises, by what breaks when they do. */
export const auditGroups = ['oversold', 'lost', 'duplicated', 'stuck', 'mismatched'] as const;
export type AuditGroup = (typeof auditGroups)[number];
