import { type Database } from '../../src/database';
import { audit, auditChecks, isOurs, type AuditScope } from '../audit';

/** How the orders of some customers stand. */
export interface Standing {
  confirmed: number;
  cancelled: number;
  pending: number;
}

export async function standing(database: Database, customers: AuditScope['customers']): Promise<Standing> {
  const [row] = await database.$queryRaw<Standing[]>`
    SELECT count(*) FILTER (WHERE status IN ('CONFIRMED', 'FULFILLED'))::int AS confirmed,
           count(*) FILTER (WHERE status = 'CANCELLED')::int AS cancelled,
           count(*) FILTER (WHERE status IN ('PENDING', 'RESERVED'))::int AS pending
    FROM orders.orders WHERE ${isOurs({ customers })}`;
  return row!;
}

/**
 * Waits until the orders are at rest: each decided, every event of theirs out, what is cancelled let go. Returns when they are,
 * or when the time is over: then the audit names what is not. A database that is away meanwhile is waited for too.
 */
export async function untilAtRest(database: Database, scope: AuditScope, deadline: number, signal: AbortSignal): Promise<void> {
  for (const isReached of [areDecided, isAtRest]) {
    while (!signal.aborted && performance.now() < deadline) {
      if (await isReached(database, scope).catch(() => false)) break;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Cheap, so asked first and often. */
async function areDecided(database: Database, scope: AuditScope): Promise<boolean> {
  return (await standing(database, scope.customers)).pending === 0;
}

async function isAtRest(database: Database, scope: AuditScope): Promise<boolean> {
  const outcomes = await audit(
    database,
    scope,
    auditChecks.filter((check) => check.atRest),
  );
  return outcomes.every(({ broken }) => broken === 0);
}

/** Times by the database's clock. */
export interface DecisionTimes {
  /** From the first order to the last change of any of them, in seconds. */
  settledInSeconds: number;
  /** From the first order to the last one placed, in seconds. */
  placedInSeconds: number;
  /** How many orders were decided after so many milliseconds: from the order's row to the row of its decision. */
  byMs: { ms: number; orders: number }[];
}

export async function decisionTimes(database: Database, customers: AuditScope['customers']): Promise<DecisionTimes> {
  const [span] = await database.$queryRaw<{ settled: number; placed: number }[]>`
    SELECT coalesce(extract(epoch FROM max(updated_at) - min(created_at)), 0)::float8 AS settled,
           coalesce(extract(epoch FROM max(created_at) - min(created_at)), 0)::float8 AS placed
    FROM orders.orders WHERE ${isOurs({ customers })}`;
  const byMs = await database.$queryRaw<{ ms: number; orders: number }[]>`
    SELECT round(extract(epoch FROM history.at - orders.created_at) * 1000)::int AS ms, count(*)::int AS orders
    FROM orders.orders JOIN orders.order_history AS history ON history.order_id = orders.id AND history.from_status IN ('PENDING', 'RESERVED')
      AND history.to_status <> 'RESERVED'
    WHERE ${isOurs({ customers })}
    GROUP BY 1 ORDER BY 1`;
  return { settledInSeconds: span!.settled, placedInSeconds: span!.placed, byMs };
}
