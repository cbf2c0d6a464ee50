import { type EventType } from '../contracts';
import { type Database, type Transaction } from '../database';
import { type IncomingMessage, type OutgoingMessage } from './message';
import { type AtOnce } from './outbox';
import { type OutboxRow } from './outboxRows';

/**
 * Does the work of a batch inside the transaction it is given, and returns the messages that follow. It never sees a broker.
 * A business refusal is a message it returns. What it throws is retried, and in the end dead-lettered with the reason.
 */
export type Handler<T extends EventType> = (
  tx: Transaction,
  batch: IncomingMessage<T>[],
  afterCommit: AfterCommit,
) => Promise<OutgoingMessage[]>;

/** Has something done when the work is committed, and left undone when it is rolled back: what no rollback takes back, such as a count. */
export type AfterCommit = (effect: () => void) => void;

/** Which event is handled by what: a context's handlers.ts is this table. */
export type Handlers = { [T in EventType]?: Handler<T> };

/** The events that a table has handlers for. */
export function handledBy(handlers: Handlers): EventType[] {
  return Object.keys(handlers) as EventType[];
}

/**
 * The short way for a batch of the common kind: decides on what is read without locks, and gives the one statement that writes it
 * if that still holds. undefined, as anything it throws, sends the batch the way of its handlers, whose transaction is the judge.
 */
export type Decide = (database: Database, batch: IncomingMessage[]) => Promise<Decided | undefined>;

export interface Decided {
  /** One statement, messages included; undefined when what was decided on is no longer so, and nothing was written. */
  write: (at: AtOnce) => Promise<OutboxRow[] | undefined>;
  /** Done when it is committed. */
  afterCommit?: () => void;
}
