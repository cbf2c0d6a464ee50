import { type Database } from '../database';
import { type Logger, type Metrics } from '../observability';
import { UnroutableError, type Broker } from './broker';
import { toPublication } from './message';
import { claimDue, removePublished, type OutboxRow, type OutboxSchema } from './outbox';

/**
 * Publishes what was committed to one outbox. Rows reach it in two ways: straight from the process that committed them, which
 * is fast, and through the sweep, which picks up what a crash, a broken broker or an overflow left behind. A row is removed
 * only after the broker has confirmed its event; a crash in between publishes it again under the same id.
 */
export interface Relay {
  /** Takes rows just committed. Never throws, never waits: what it cannot take stays in the table for the sweep. */
  handOver: (rows: OutboxRow[]) => void;
  /** Resolves when fewer than `intakeMax` messages are on their way: what a busy door waits for before it lets more in. */
  room: () => Promise<void>;
  /** Starts sweeping; the first sweep is over when it resolves. */
  start(): Promise<void>;
  /** Publishes what it has in hand, at most for `drainMs`, and stops. The rest stays in the table. */
  stop(): Promise<void>;
}

export interface RelayOptions {
  database: Database;
  schema: OutboxSchema;
  broker: Broker;
  log: Logger;
  metrics: Metrics;
  /** How long a claimed row is ours. */
  leaseMs: number;
  /** How often to look for rows that nobody published. */
  sweepIntervalMs: number;
  /** How many rows one sweep takes. */
  sweepBatchMax: number;
  /** How many publications may be unconfirmed at a time. */
  windowMax: number;
  /** How many rows wait in memory; beyond it they are left to the sweep. */
  backlogMax: number;
  /** How many messages may be on their way before `room` makes doors wait; Infinity where a real broker holds the queue. */
  intakeMax: number;
  /** True when no other process shares this database: then the first sweep takes everything, whosever lease it is under. */
  alone: boolean;
  drainMs: number;
}

export function createRelay(options: RelayOptions): Relay {
  const { database, schema, broker, log, metrics } = options;
  const waiting: OutboxRow[] = [];
  /** Every row in hand, waiting or on its way, so that our own sweep does not take it a second time. */
  const held = new Set<bigint>();
  let confirmed: bigint[] = [];
  let doorsWaiting: (() => void)[] = [];
  let removing: Promise<void> | undefined;
  let sweeping: Promise<void> = Promise.resolve();
  let sweepTimer: NodeJS.Timeout | undefined;
  let started = false;
  let stopped = false;

  return {
    handOver(rows) {
      if (!started || stopped || broker.status().state !== 'ready') return;
      take(rows.slice(0, Math.max(0, options.backlogMax - waiting.length)));
    },
    room() {
      if (isRoomy()) return Promise.resolve();
      return new Promise((resolve) => doorsWaiting.push(resolve));
    },
    async start() {
      started = true;
      await sweep(options.alone);
      scheduleSweep();
    },
    async stop() {
      stopped = true;
      clearTimeout(sweepTimer);
      await sweeping;
      await until(() => held.size === 0, options.drainMs);
      doorsWaiting.forEach((resolve) => resolve());
    },
  };

  function take(rows: OutboxRow[]) {
    for (const row of rows) {
      held.add(row.position);
      waiting.push(row);
    }
    pump();
  }

  function pump() {
    let sent = 0;
    while (sent < waiting.length && broker.unsettled() < options.windowMax) void publish(waiting[sent++]!);
    waiting.splice(0, sent);
    if (doorsWaiting.length > 0 && isRoomy()) {
      const doors = doorsWaiting;
      doorsWaiting = [];
      doors.forEach((resolve) => resolve());
    }
  }

  function isRoomy() {
    return stopped || waiting.length + broker.unsettled() < options.intakeMax;
  }

  async function publish(row: OutboxRow) {
    try {
      await broker.publish(toPublication(row));
      metrics.messagesPublished.inc({ type: row.type, outcome: 'confirmed' });
      confirmed.push(row.position);
      removing ??= removeConfirmed();
    } catch (error) {
      held.delete(row.position);
      metrics.messagesPublished.inc({ type: row.type, outcome: error instanceof UnroutableError ? 'unroutable' : 'unconfirmed' });
      log.warn(
        { err: error, eventId: row.id, type: row.type, aggregate: row.aggregateId },
        'event not published; the sweep will try again',
      );
    }
    pump();
  }

  /** Removes in batches: what is confirmed while one statement runs goes with the next. */
  async function removeConfirmed() {
    await new Promise(setImmediate);
    while (confirmed.length > 0) {
      const batch = confirmed;
      confirmed = [];
      try {
        await removePublished(database, schema, batch);
      } catch (error) {
        log.warn(
          { err: error, rows: batch.length },
          'published events not removed from the outbox; they will be published again',
        );
      }
      batch.forEach((position) => held.delete(position));
    }
    removing = undefined;
  }

  function scheduleSweep() {
    if (stopped) return;
    sweepTimer = setTimeout(() => {
      sweeping = sweep(false).finally(scheduleSweep);
    }, options.sweepIntervalMs);
    sweepTimer.unref();
  }

  /** Takes batch after batch while each comes back full and there is somewhere to put the next. */
  async function sweep(everything: boolean) {
    const { leaseMs, sweepBatchMax: limit } = options;
    try {
      while (!stopped && broker.status().state === 'ready' && waiting.length < limit) {
        const rows = await claimDue(database, { schema, leaseMs, limit, held: [...held], everything });
        if (rows.length > 0) log.info({ rows: rows.length, schema }, 'sweep took over events that were not published');
        take(rows);
        if (rows.length < limit) return;
      }
    } catch (error) {
      log.warn({ err: error, schema }, 'sweep failed; the next one will try again');
    }
  }

  async function until(condition: () => boolean, timeoutMs: number) {
    const deadline = performance.now() + timeoutMs;
    while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
