import { type Database } from '../database';
import { type Caller } from '../identity';
import { type Logger } from '../observability';
import { removeForgotten, settleLevels, type Used } from './rateLevels';

export interface RateLimitsOptions {
  /** Requests of one customer, and of one address, in a minute; 0 for no limit. */
  customerPerMinute: number;
  addressPerMinute: number;
  /** Where gateways tell one another what they counted; undefined for a process that is alone. */
  database?: Database;
  log: Logger;
  /** Milliseconds of a clock that is never set. */
  now?: () => number;
  settleIntervalMs?: number;
  /** How many customers and addresses are remembered. */
  keysMax?: number;
}

/** Somebody asks more often than is allowed. Each door says it in its own words. */
export class RateLimited extends Error {
  override name = 'RateLimited';

  constructor(readonly retryAfterSeconds: number) {
    super(`Too many requests: try again in ${retryAfterSeconds} s.`);
  }
}

/**
 * Rate limits per customer and per address, shared between gateways. Each key has a level that every request raises by a point and
 * that falls steadily; at the limit it is full. So a minute's worth can be had at once, and after that as much as has fallen.
 *
 * Requests are counted in this process alone, which costs no statement; every quarter of a second what was counted goes to the
 * table that all gateways share, in one statement for all keys, and comes back with what the others counted. What that promises:
 * over any time T, N gateways let through at most `limit * T + N * limit`, and so much only if all of them were idle before
 * and were asked within the same quarter of a second. What was too much then is paid back: everybody waits until it has fallen.
 * While the database is away each gateway goes by its own count, and nobody is refused for its sake.
 *
 * `rate-limiter-flexible` was looked at first: its Postgres store asks the database once for every request, and its way of keeping
 * counts in memory shares nothing but the news that somebody is blocked. A request here costs three microseconds.
 */
export class RateLimits {
  private readonly levels = new Map<string, Level>();
  /** Keys with points that the others do not know of. */
  private unsent = new Set<string>();
  private readonly limits: Record<Kind, Limit>;
  private timer: NodeJS.Timeout | undefined;
  private settling: Promise<void> = Promise.resolve();
  private isStopped = false;
  private isAway = false;
  private sweptAt: number;
  private readonly now: () => number;

  constructor(private readonly options: RateLimitsOptions) {
    this.now = options.now ?? (() => performance.now());
    this.sweptAt = this.now();
    this.limits = { customer: limitOf(options.customerPerMinute), address: limitOf(options.addressPerMinute) };
  }

  start(): void {
    this.schedule();
  }

  /** Tells the others what it counted last, and is done. */
  async stop(): Promise<void> {
    this.isStopped = true;
    clearTimeout(this.timer);
    await this.settling;
    await this.settle();
  }

  /**
   * Counts a request, or throws RateLimited for one that is too many, which then is not counted: whoever keeps trying is not locked
   * out for ever. Operators and services are not limited: one of them asks for all customers of a shop. Returns how to count more
   * for a request that turns out to be a large one; undefined where nothing is counted.
   */
  admit(caller: Caller | undefined, addressOf: () => string | undefined): ((points: number) => void) | undefined {
    const keys = this.keysOf(caller, addressOf);
    if (keys.length === 0) return undefined;
    const waitMs = Math.max(...keys.map(([kind, key]) => this.waitMs(kind, key)));
    if (waitMs > 0) throw new RateLimited(Math.ceil(waitMs / 1_000));
    const count = (points: number) => keys.forEach(([kind, key]) => this.count(kind, key, points));
    count(1);
    return count;
  }

  /** How many customers and addresses are remembered now. */
  size(): number {
    return this.levels.size;
  }

  private keysOf(caller: Caller | undefined, addressOf: () => string | undefined): [Kind, string][] {
    if (caller !== undefined && caller.role !== 'customer') return [];
    const keys: [Kind, string][] = [];
    if (caller !== undefined && this.limits.customer.points > 0) keys.push(['customer', `customer:${caller.customerId}`]);
    const address = this.limits.address.points > 0 ? addressOf() : undefined;
    if (address !== undefined) keys.push(['address', `address:${address}`]);
    return keys;
  }

  private waitMs(kind: Kind, key: string): number {
    const level = this.levels.get(key);
    const { points, perMs } = this.limits[kind];
    return level === undefined ? 0 : (this.fallen(level).points + 1 - points) / perMs;
  }

  private count(kind: Kind, key: string, points: number) {
    const level = this.levels.get(key) ?? this.remember(kind, key);
    this.fallen(level).points += points;
    if (!this.options.database) return;
    level.unsent += points;
    this.unsent.add(key);
  }

  /** A flood of addresses drives out the oldest keys, and takes no more memory. */
  private remember(kind: Kind, key: string): Level {
    const { keysMax = KEYS_MAX } = this.options;
    if (this.levels.size >= keysMax) this.forget(this.levels.keys().next().value!);
    const level = { kind, points: 0, at: this.now(), unsent: 0 };
    this.levels.set(key, level);
    return level;
  }

  private forget(key: string) {
    this.levels.delete(key);
    this.unsent.delete(key);
  }

  private fallen(level: Level): Level {
    const now = this.now();
    level.points = Math.max(0, level.points - (now - level.at) * this.limits[level.kind].perMs);
    level.at = now;
    return level;
  }

  private schedule() {
    if (this.isStopped) return;
    this.timer = setTimeout(() => {
      this.settling = this.settle().finally(() => this.schedule());
    }, this.options.settleIntervalMs ?? SETTLE_INTERVAL_MS).unref();
  }

  /** What cannot be told is not told later: it stays in this process's own level, and a count that may have arrived is not sent twice. */
  private async settle(): Promise<void> {
    const { database, log } = this.options;
    if (this.now() - this.sweptAt >= SWEEP_INTERVAL_MS) await this.sweep();
    if (!database || this.unsent.size === 0) return;
    try {
      const shared = await settleLevels(database, this.takeUnsent());
      for (const [key, points] of shared) this.learn(key, points);
      this.isAway = false;
    } catch (error) {
      if (!this.isAway) log.warn({ err: error }, 'Rate limits go by what this process counts, until the database is back.');
      this.isAway = true;
    }
  }

  private takeUnsent(): Used[] {
    const keys = [...this.unsent].slice(0, KEYS_PER_STATEMENT);
    return keys.map((key) => {
      const level = this.levels.get(key)!;
      const used = { key, points: level.unsent, pointsPerSecond: this.limits[level.kind].perMs * 1_000 };
      level.unsent = 0;
      this.unsent.delete(key);
      return used;
    });
  }

  /** Never less than this process counted itself; what came in while the statement ran is on top of what the others know. */
  private learn(key: string, points: number) {
    const level = this.levels.get(key);
    if (level) level.points = Math.max(this.fallen(level).points, points + level.unsent);
  }

  private async sweep() {
    const { database } = this.options;
    this.sweptAt = this.now();
    for (const [key, level] of this.levels) if (this.fallen(level).points === 0 && level.unsent === 0) this.forget(key);
    if (!database) return;
    // What is left is found by the next sweep, of whichever gateway.
    await removeForgotten(database, ROWS_REMOVED_MAX).catch(() => undefined);
  }
}

const SETTLE_INTERVAL_MS = 250;
const SWEEP_INTERVAL_MS = 5_000;
const KEYS_MAX = 50_000;
/** A flood of keys is told in several statements, none of which keeps a connection for long. */
const KEYS_PER_STATEMENT = 5_000;
/** As many as all statements between two sweeps can have written. */
const ROWS_REMOVED_MAX = (KEYS_PER_STATEMENT * SWEEP_INTERVAL_MS) / SETTLE_INTERVAL_MS;

type Kind = 'customer' | 'address';

interface Limit {
  /** How many requests fill it. */
  points: number;
  /** How fast they are forgotten. */
  perMs: number;
}

interface Level {
  kind: Kind;
  points: number;
  /** When `points` was right. */
  at: number;
  unsent: number;
}

function limitOf(perMinute: number): Limit {
  return { points: perMinute, perMs: perMinute / 60_000 };
}
