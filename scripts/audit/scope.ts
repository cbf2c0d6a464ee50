import { type Sql } from '../../src/database';

/** What is audited: the orders of some customers and the stock of some products, or everything there is. */
export interface AuditScope {
  customers: string[] | 'all';
  productIds: number[] | 'all';
  /** What clients were told, from a journal kept outside the database: only that can show that an order was lost. */
  acknowledged: Acknowledged[];
  /** Orders of another order service, which live in inventory alone. */
  foreign: ForeignOrder[];
  /** Products that more was wanted of than there was: these must be sold to the last unit. */
  soldOutProductIds: number[];
  /** Orders of which a client was told that they are cancelled, or fulfilled. */
  closed?: { orderId: string; status: 'CANCELLED' | 'FULFILLED' }[];
  /** What a subscriber heard of orders, each once; left out when nobody listened. */
  heard?: HeardEvent[];
  /** Ids of messages that nobody can understand, sent on purpose; left out when dead letters are not to be judged. */
  poison?: string[];
  /** How long a session may hold a transaction open and say nothing: 30 s unless given. */
  idleSecondsMax?: number;
}

/** The whole shop, when there is nothing to hold against it but itself. */
export const everything: AuditScope = {
  ...{ customers: 'all', productIds: 'all', acknowledged: [], foreign: [], soldOutProductIds: [] },
};

export interface HeardEvent {
  event: string;
  orderId: string;
  /** Null where the event carries none. */
  version: number | null;
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
export const auditGroups = ['lost', 'duplicated', 'stuck', 'oversold', 'unpaid', 'unearned', 'leaked', 'mismatched'] as const;
export type AuditGroup = (typeof auditGroups)[number];
