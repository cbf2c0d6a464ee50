import { setTimeout as startTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import { type EventType } from '../contracts';

import { type Database } from '../database';
import { failpoint, failpointAfterSending } from '../faults';
import { type Logger, type Metrics } from '../observability';
import { UnroutableError, type Broker } from './broker';
import { toPublication, UnknownEvent } from './message';
import { claimDue, postponeRefused, removePublished, type OutboxRow, type OutboxSchema } from './outboxRows';

/**
 * Publishes what was committed to one outbox. Rows reach it in two ways: straight from the process that committed them, which
 * is fast, and through the sweep, which picks up what a crash, a broken broker or an overflow left behind. A row is removed
 * only after the broker has confirmed its event; a crash in between publishes it again under the same id.
 */
export class Relay {
  private readonly waiting: OutboxRow[] = [];
  /** Every row in hand, waiting or on its way, so that our own sweep does not take it a second time. */
  private readonly held = new Set<bigint>();
  private readonly confirmed: Gathered = { rows: [] };
  /** No queue took these, or we do not know them: they wait longer than a lease, so that a heap of them does not keep others from their turn. */
  private readonly refused: Gathered = { rows: [] };
  /** Our publications that are neither confirmed nor refused. */
  private underWay = 0;
  private isPumping = false;
  /** True when the last sweep came back full. */
  private isMoreDue = false;
  private failures = 0;
  private doorsWaiting: (() => void)[] = [];
  private sweeping: Promise<void> = Promise.resolve();
  private sweepTimer: NodeJS.Timeout | undefined;
  private state: 'idle' | 'running' | 'stopped' = 'idle';

  /** True while there may be rows of a process that is no more, whose leases count for nothing: until a sweep comes back not full. */
  private isTakingOver: boolean;
  /** The last row of those taken over: up to here leases count again, for they are ours. */
  private takenOverTo = 0n;

  constructor(private readonly options: RelayOptions) {
    this.isTakingOver = options.alone;
  }

  /** Starts sweeping; the first sweep is over when it resolves. */
  async start(): Promise<void> {
    this.state = 'running';
    await this.sweep();
    this.scheduleSweep();
  }

  /** Takes rows just committed. Never throws, never waits: what it cannot take stays in the table for the sweep. */
  handOver(rows: OutboxRow[]): void {
    if (this.state !== 'running' || !this.isBrokerReady()) return;
    this.take(rows.slice(0, Math.max(0, this.options.backlogMax - this.waiting.length)));
  }

  /** Resolves when fewer than `intakeMax` messages are on their way: what a busy door waits for before it lets more in. */
  room(): Promise<void> {
    if (this.isRoomy()) return Promise.resolve();
    return new Promise((resolve) => this.doorsWaiting.push(resolve));
  }

  /** Publishes what it has in hand, at most for `drainMs`, and stops. The rest stays in the table. */
  async stop(): Promise<void> {
    this.state = 'stopped';
    clearTimeout(this.sweepTimer);
    await this.sweeping;
    const deadline = performance.now() + this.options.drainMs;
    while (this.isFinishing() && performance.now() < deadline) await setTimeout(10);
    this.openDoors();
  }

  /** Alone, the consumers are in this process and have stopped: what they left unsettled, a dead letter too, waits for the next start. */
  private isFinishing(): boolean {
    return this.options.alone ? (this.confirmed.working ?? this.refused.working) !== undefined : this.held.size > 0;
  }

  private take(rows: OutboxRow[]) {
    for (const row of rows) {
      this.held.add(row.position);
      this.waiting.push(row);
    }
    this.pump();
  }

  /** Sends while the window is open; every confirm comes back here, and at once, while this goes on, what cannot be sent at all. */
  private pump() {
    if (this.isPumping) return;
    this.isPumping = true;
    while (this.waiting.length > 0 && this.isWindowOpen()) void this.publish(this.waiting.shift()!);
    this.isPumping = false;
    if (this.doorsWaiting.length > 0 && this.isRoomy()) this.openDoors();
  }

  /**
   * The window is this relay's own: another relay on the same broker must not be able to keep it shut. Dead letters in process
   * stay under way until they are kept, and the broker does not count them.
   */
  private isWindowOpen(): boolean {
    const { broker, windowMax } = this.options;
    return this.underWay < windowMax || broker.unsettled() < windowMax;
  }

  private async publish(row: OutboxRow) {
    const { broker, metrics } = this.options;
    this.underWay++;
    try {
      const confirm = broker.publish(toPublication(row));
      failpointAfterSending('relay.published');
      await confirm;
      failpoint('relay.confirmed');
      this.gather(this.confirmed, row, (rows) => this.remove(rows));
    } catch (error) {
      this.reportFailure(row, error);
      const isUnroutable = error instanceof UnroutableError || error instanceof UnknownEvent;
      metrics.messagesPublished.inc({ type: row.type, outcome: isUnroutable ? 'unroutable' : 'unconfirmed' });
      if (isUnroutable) this.gather(this.refused, row, (rows) => this.postpone(rows));
      else this.held.delete(row.position);
    }
    this.underWay--;
    this.pump();
  }

  /** A broker that goes away fails hundreds of events at once: they share a line, with the first of them as the example. */
  private reportFailure({ id: eventId, type, aggregateId: aggregate }: OutboxRow, error: unknown) {
    if (this.failures++ > 0) return;
    startTimer(() => {
      const { failures: events } = this;
      this.failures = 0;
      this.options.log.warn({ err: error, events, eventId, type, aggregate }, 'events not published; the sweep will try again');
    }, 1_000).unref();
  }

  /**
   * Works in batches: what comes within a moment, and while one statement runs, goes with the next. Nobody waits for it; only then
   * are the rows out of our hands.
   */
  private gather(gathered: Gathered, row: OutboxRow, work: (rows: OutboxRow[]) => Promise<void>) {
    gathered.rows.push(row);
    gathered.working ??= (async () => {
      while (gathered.rows.length > 0) {
        await setTimeout(GATHER_MS);
        const batch = gathered.rows.splice(0);
        await work(batch);
        batch.forEach(({ position }) => this.held.delete(position));
      }
      gathered.working = undefined;
    })();
  }

  private async remove(rows: OutboxRow[]) {
    const { database, schema, log, metrics } = this.options;
    for (const [type, count] of countByType(rows)) metrics.messagesPublished.inc({ type, outcome: 'confirmed' }, count);
    try {
      await removePublished(database, schema, positionsOf(rows));
      failpoint('relay.removed');
    } catch (error) {
      const message = 'published events not removed from the outbox; they will be published again';
      log.warn({ err: error, rows: rows.length }, message);
    }
  }

  private async postpone(rows: OutboxRow[]) {
    const { database, schema, log, leaseMs } = this.options;
    await postponeRefused(database, { schema, positions: positionsOf(rows), leaseMs }).catch((error: unknown) => {
      const message = 'events that no queue takes not postponed; they are tried again at the end of their lease';
      log.warn({ err: error, rows: rows.length }, message);
    });
  }

  /** A backlog is swept as fast as the broker takes it: the interval is for looking, not for working. */
  private scheduleSweep() {
    if (this.state !== 'running') return;
    const pauseMs = this.isMoreDue ? Math.min(BACKLOG_PAUSE_MS, this.options.sweepIntervalMs) : this.options.sweepIntervalMs;
    this.sweepTimer = startTimer(() => {
      this.sweeping = this.sweep().finally(() => this.scheduleSweep());
    }, pauseMs).unref();
  }

  /** Takes one batch; a full one means that more is due, and the next sweep follows soon. A start never waits for a whole backlog. */
  private async sweep() {
    const { database, schema, log, leaseMs, sweepBatchMax: limit } = this.options;
    // Without room this sweep takes nothing, and whether more is due stays as it was.
    if (this.waiting.length >= limit) return this.pump();
    this.isMoreDue = false;
    if (this.state !== 'running' || !this.isBrokerReady()) return;
    try {
      const { isTakingOver: everything, takenOverTo: seen } = this;
      const rows = await claimDue(database, { schema, leaseMs, limit, held: [...this.held], everything, seen });
      if (rows.length > 0) failpoint('relay.claimed');
      if (rows.length > 0) log.info({ rows: rows.length, schema }, 'sweep took over events that were not published');
      this.take(rows);
      this.isMoreDue = rows.length === limit;
      this.isTakingOver &&= this.isMoreDue;
      for (const { position } of rows) if (position > this.takenOverTo) this.takenOverTo = position;
    } catch (error) {
      log.warn({ err: error, schema }, 'sweep failed; the next one will try again');
    }
  }

  private isBrokerReady() {
    return this.options.broker.status().state === 'ready';
  }

  private isRoomy() {
    return this.state !== 'running' || this.waiting.length + this.options.broker.unsettled() < this.options.intakeMax;
  }

  private openDoors() {
    const doors = this.doorsWaiting;
    this.doorsWaiting = [];
    doors.forEach((resolve) => resolve());
  }
}

/** Rows that wait for one statement together. */
interface Gathered {
  rows: OutboxRow[];
  working?: Promise<void>;
}

/** How long confirmed rows wait for company before they are removed. Measured: a statement for every few confirms was a tenth of what Postgres did. */
const GATHER_MS = 30;

function positionsOf(rows: OutboxRow[]): bigint[] {
  return rows.map(({ position }) => position);
}

function countByType(rows: OutboxRow[]): Map<EventType, number> {
  const counts = new Map<EventType, number>();
  for (const { type } of rows) counts.set(type, (counts.get(type) ?? 0) + 1);
  return counts;
}

/** While a backlog waits for room: short beside the time in which the broker takes a batch. */
const BACKLOG_PAUSE_MS = 10;

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
  /**
   * True when this process is the whole of Holdfast, broker and all: then what it finds at its start is its own, whosever lease it
   * is under, and a stop waits for nothing that only a consumer could settle.
   */
  alone: boolean;
  drainMs: number;
}
