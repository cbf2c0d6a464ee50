import { retried, transaction, type RetryOptions, type Database, type Transaction } from '../database';
import { failpoint, type PassedName } from '../faults';
import { type OutgoingMessage } from './message';
import { append, type OutboxRow, type OutboxSchema } from './outboxRows';

/** What a piece of work hands back: its result, and the messages that follow from it. */
export interface Outcome<T> {
  result: T;
  messages: OutgoingMessage[];
}

export interface Outbox {
  /**
   * Runs `work` in one transaction and writes the messages it returns beside its changes: both are there, or neither.
   * After the commit the messages are handed to the relay; a crash in between leaves them to the sweep. `written` is the
   * failpoint that is passed when everything is written and the commit is next.
   */
  transaction<T>(work: (tx: Transaction) => Promise<Outcome<T>>, written?: PassedName): Promise<T>;
  /**
   * The same for work that is one statement, which commits by itself: measured, a transaction that is begun and committed costs a
   * batch of sixteen three times as much. undefined when the work finds that it had better not: then nothing was written.
   */
  atOnce<T>(work: (at: AtOnce) => Promise<WrittenAtOnce<T> | undefined>, options?: RetryOptions): Promise<T | undefined>;
}

/** What a single statement needs to write its messages as well. */
export interface AtOnce {
  database: Database;
  leaseMs: number;
}

export interface WrittenAtOnce<T> {
  result: T;
  rows: OutboxRow[];
}

export interface OutboxOptions {
  database: Database;
  schema: OutboxSchema;
  /** How long the committing process has to publish before any relay may: longer than the confirm timeout. */
  leaseMs: number;
  /** Takes committed rows; must not throw. */
  handOver: (rows: OutboxRow[]) => void;
}

export function createOutbox({ database, schema, leaseMs, handOver }: OutboxOptions): Outbox {
  return {
    async transaction(work, written) {
      const { result, rows } = await transaction(database, async (tx) => {
        const outcome = await work(tx);
        const appended = await append(tx, schema, outcome.messages, leaseMs);
        if (written) failpoint(written);
        return { result: outcome.result, rows: appended };
      });
      handOver(rows);
      return result;
    },
    async atOnce(work, options) {
      const done = await retried(() => work({ database, leaseMs }), options);
      if (done) handOver(done.rows);
      return done?.result;
    },
  };
}
