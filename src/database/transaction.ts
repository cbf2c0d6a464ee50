import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

import { type Prisma } from '../generated/prisma/client';
import { type Database, type Transaction } from './client';
import { classifyDatabaseError } from './errors';

export interface TransactionOptions extends RetryOptions {
  /** How long to wait for a connection and its BEGIN. */
  maxWaitMs?: number;
  /** How long one attempt may take before it is rolled back. */
  timeoutMs?: number;
  isolationLevel?: Prisma.TransactionIsolationLevel;
}

export interface RetryOptions {
  /** How often the work may run in all. */
  attemptsMax?: number;
  /** Told of each attempt that is made again, for metrics and logs. */
  onRetry?: (error: unknown, attempt: number) => void;
  /** From 0 to below 1, for the jitter. */
  random?: () => number;
}

/**
 * Runs `work` in one transaction: all of it is committed when this resolves, and nothing when it rejects, unless
 * `classifyDatabaseError` says `unknown-outcome`.
 *
 * After a deadlock, a serialization failure, a lock timeout or a `RetryTransaction` the **whole** work runs again, so it must do
 * nothing that a rollback does not undo. The waits in between are random up to 20, 40, 80, 160 ms.
 */
export async function transaction<T>(
  database: Database,
  work: (tx: Transaction) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const { maxWaitMs = 5_000, timeoutMs = 10_000, isolationLevel } = options;
  return retried(() => database.$transaction(work, { maxWait: maxWaitMs, timeout: timeoutMs, isolationLevel }), options);
}

/** The same for a single statement, which commits by itself: runs it again when others at work have had it rolled back. */
export async function retried<T>(attemptOnce: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attemptsMax = 5, onRetry, random = randomFraction } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptOnce();
    } catch (error) {
      if (attempt >= attemptsMax || classifyDatabaseError(error) !== 'retry') throw error;
      onRetry?.(error, attempt);
      await delay(random() * 20 * 2 ** (attempt - 1));
    }
  }
}

/** Thrown by the work of a transaction to have it rolled back and run again, when it sees that it built on what has changed since. */
export class RetryTransaction extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'RetryTransaction';
  }
}

function randomFraction(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}
