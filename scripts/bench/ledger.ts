import { type Database } from '../../src/database';
import { rounded, type Percentiles } from '../simulate/report';

/** What the database says of a round's orders, by its own clock. */
export interface Ledger {
  stored: number;
  confirmed: number;
  /** Orders sent in the measured part, by the seconds from its beginning to the last of their decisions. */
  settledPerSecond: number;
  /** From `decidedFromMs`, or the first decision, to the last. */
  decidedPerSecond: number;
  /** Decisions since `decidedFromMs`. */
  decided: number;
  /** Milliseconds since 1970; 0 when nothing was decided. */
  lastDecidedAtMs: number;
  /** From the sending of an order of the measured part to its decision. */
  decisionMs: Percentiles;
}

export interface RoundMark {
  tag: string;
  startedAtMs: number;
  measuredFromMs: number;
  measuredToMs: number;
  /** No decision before counts for the pace of deciding, unless most were before; all do when it is not given. */
  decidedFromMs?: number;
}

/** The time of sending stands in the idempotency key, and ids begin with their time: no list of orders has to be kept or sent. */
export async function readLedger(
  watch: Database,
  { tag, startedAtMs, measuredFromMs, measuredToMs, decidedFromMs = 0 }: RoundMark,
): Promise<Ledger> {
  const [row] = await watch.$queryRaw<LedgerRow[]>`
    WITH ours AS (
      SELECT orders.id, status, history.at, split_part(idempotency_key, '.', 3)::float8 / 10 AS sent_ms
      FROM orders.orders
      LEFT JOIN orders.order_history AS history ON history.order_id = orders.id AND history.from_status = 'PENDING'
      WHERE orders.id >= ${firstIdAt(startedAtMs - CLOCK_MARGIN_MS)} AND starts_with(idempotency_key, ${`${tag}.`})
    ), decided AS (
      SELECT *, extract(epoch FROM at)::float8 * 1000 AS at_ms,
             sent_ms BETWEEN ${measuredFromMs}::float8 AND ${measuredToMs}::float8 AS is_measured
      FROM ours
    )
    SELECT count(*)::int AS stored, count(*) FILTER (WHERE status = 'CONFIRMED')::int AS confirmed,
           count(*) FILTER (WHERE is_measured) AS measured, max(at_ms) FILTER (WHERE is_measured) AS settled_at,
           count(*) FILTER (WHERE at_ms >= ${decidedFromMs}) AS decided,
           min(at_ms) AS first_at, max(at_ms) AS last_at,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]::float8[]) WITHIN GROUP (ORDER BY at_ms - sent_ms)
             FILTER (WHERE is_measured) AS percentiles
    FROM decided`;
  const { stored, confirmed, measured, settled_at: settledAt, percentiles } = row!;
  const { decided, first_at: firstAt, last_at: lastAt } = row!;
  const [p50 = 0, p95 = 0, p99 = 0] = (percentiles ?? []).map(rounded);
  return {
    stored,
    confirmed,
    settledPerSecond: settledAt === null ? 0 : (Number(measured) * 1_000) / (settledAt - measuredFromMs),
    decidedPerSecond:
      Number(decided) > stored / 2
        ? perSecond(Number(decided), Math.max(firstAt!, decidedFromMs), lastAt)
        : perSecond(stored, firstAt, lastAt),
    decided: Number(decided),
    lastDecidedAtMs: lastAt ?? 0,
    decisionMs: { p50, p95, p99 },
  };
}

function perSecond(count: number, fromMs: number | null, toMs: number | null): number {
  return fromMs === null || toMs === null || toMs <= fromMs ? 0 : (count * 1_000) / (toMs - fromMs);
}

interface LedgerRow {
  stored: number;
  confirmed: number;
  measured: bigint;
  settled_at: number | null;
  decided: bigint;
  first_at: number | null;
  last_at: number | null;
  percentiles: number[] | null;
}

/** Ids are made by another process; its clock is ours, but not to the last tick. */
const CLOCK_MARGIN_MS = 2_000;

/** Before every id that is made at this time or later. */
function firstIdAt(ms: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, '0');
  return `ORD-${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}

/**
 * Whether anything is. Asked all the while, beside what is measured, so it must cost nothing: it begins with the latest order, which is
 * decided last, and looks no further once it has found one. An EXISTS would begin anywhere, and walk over all that is decided already.
 */
export async function isUnderWay(watch: Database): Promise<boolean> {
  const [row] = await watch.$queryRaw<{ some: boolean }[]>`
    SELECT (SELECT true FROM orders.orders WHERE status = 'PENDING' ORDER BY watch_at DESC LIMIT 1) IS NOT NULL
           OR EXISTS (SELECT FROM orders.outbox) OR EXISTS (SELECT FROM inventory.outbox) AS some`;
  return row!.some;
}

/** What is still under way, counted: orders that wait for their decision, and events that wait for their publication. */
export async function underWay(watch: Database): Promise<{ pending: number; unpublished: number }> {
  const [row] = await watch.$queryRaw<{ pending: number; unpublished: number }[]>`
    SELECT (SELECT count(*) FROM orders.orders WHERE status = 'PENDING')::int AS pending,
           (SELECT count(*) FROM orders.outbox)::int + (SELECT count(*) FROM inventory.outbox)::int AS unpublished`;
  return row!;
}
