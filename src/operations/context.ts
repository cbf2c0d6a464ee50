import { queues, type EventType } from '../contracts';
import { type Database } from '../database';
import { deadQueue, parseMessage, type Broker, type MessageProperties } from '../messaging';
import { type Logger } from '../observability';
import { waitingByQueue } from './deadLetterRows';
import { discardUseCase } from './discardDeadLetters';
import { DeadLetterKeeper } from './keepDeadLetters';
import {
  countDeadLetters,
  findDeadLetters,
  listDeadLetters,
  readActions,
  readBodies,
  type DeadLetterFilter,
  type DeadLetterView,
} from './readDeadLetters';
import { replayUseCase } from './replayDeadLetters';

export interface OperationsOptions {
  database: Database;
  broker: Broker;
  log: Logger;
  newId: () => string;
  /** What each work queue takes: to say before a replay whether a message would be understood. */
  expected: Readonly<Record<string, readonly EventType[]>>;
}

/** What an operator does by hand: the dead letters. */
export type OperationsContext = ReturnType<typeof createOperations>;

export function createOperations(options: OperationsOptions) {
  const { database, expected } = options;
  return {
    deadLetters: (filter: DeadLetterFilter, first: number, after?: string) => listDeadLetters(database, filter, first, after),
    find: (ids: string[]) => findDeadLetters(database, ids),
    bodies: (letters: readonly Pick<DeadLetterView, 'id' | 'bodySize'>[]) => readBodies(database, letters, BODIES_BYTES_MAX),
    actions: (ids: string[]) => readActions(database, ids),
    counts: () => countDeadLetters(database),
    waiting: () => waitingByQueue(database),
    replay: replayUseCase({ ...options, problemWith: (...message) => problemWith(expected, ...message) }),
    discard: discardUseCase(database),
    /** Keeps the dead letters of a work queue. */
    keeperOf: (queue: string) => new DeadLetterKeeper({ ...options, from: deadQueue(queue), queue }),
    /** Keeps what no queue was bound to receive. */
    keeperOfUnrouted: () =>
      new DeadLetterKeeper({ ...options, from: queues.unrouted, queue: queues.unrouted, unroutedMax: UNROUTED_MAX }),
  };
}

/** As many as the queue itself holds. */
const UNROUTED_MAX = 10_000;

/** What one answer holds at most. */
const BODIES_BYTES_MAX = 16 * 1_048_576;

function problemWith(
  expected: OperationsOptions['expected'],
  queue: string,
  body: Buffer,
  properties: MessageProperties,
): string | null | undefined {
  const types = expected[queue];
  if (!types) return undefined;
  try {
    parseMessage(body, properties, types);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
