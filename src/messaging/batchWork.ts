import { type EventType } from '../contracts';
import { classifyDatabaseError, type Transaction } from '../database';
import { failpoint, failpointAfterSending } from '../faults';
import { type Logger, type Metrics } from '../observability';
import { type Delivery } from './broker';
import { handledBy, type AfterCommit, type Decide, type Handlers } from './handler';
import { type IncomingMessage, type OutgoingMessage } from './message';
import { type AtOnce, type Outbox, type WrittenAtOnce } from './outbox';

/**
 * The work on one batch. Its effects and the messages that follow are committed together, in one statement where the short way is
 * open, else in one transaction; when it throws, nothing of the batch is known to be done.
 */
export class BatchWork {
  private readonly expected: EventType[];

  constructor(private readonly options: BatchWorkOptions) {
    this.expected = handledBy(options.handlers);
  }

  async perform(batch: Parsed[]): Promise<void> {
    const { queue, metrics } = this.options;
    failpoint(`${queue}.starting`);
    const isAtOnce = await this.isDoneAtOnce(batch);
    if (!isAtOnce) await this.runInTransaction(batch);
    metrics.batches.inc({ queue, way: isAtOnce ? 'statement' : 'transaction' });
    failpoint(`${queue}.committed`);
  }

  /** What was handed out before may have been done before, which only the handlers can tell. */
  private async isDoneAtOnce(batch: Parsed[]): Promise<boolean> {
    const { decideAtOnce, outbox, queue, log } = this.options;
    if (!decideAtOnce || batch.some(({ delivery }) => delivery.redelivered)) return false;
    const messages = batch.map(({ message }) => message);
    try {
      // Once: the transaction tries again, and may wait for locks as long as this did.
      const written = await outbox.atOnce((at) => this.writeAtOnce(at, decideAtOnce, messages), { attemptsMax: 1 });
      return written ?? false;
    } catch (error) {
      if (['unavailable', 'unknown-outcome'].includes(classifyDatabaseError(error))) throw error;
      log.debug({ err: error, queue, messages: batch.length }, 'not done in one statement; a transaction will tell why');
      return false;
    }
  }

  private async writeAtOnce(at: AtOnce, decide: Decide, messages: IncomingMessage[]): Promise<WrittenAtOnce<true> | undefined> {
    const decided = await decide(at.database, messages);
    const underWay = decided?.write(at);
    if (underWay) failpointAfterSending(`${this.options.queue}.written`);
    const rows = await underWay;
    if (!rows) return undefined;
    decided?.afterCommit?.();
    return { result: true, rows };
  }

  /** One transaction for the whole batch; messages of one type go to their handler together, in the order they came. */
  private async runInTransaction(batch: Parsed[]) {
    const { outbox, queue } = this.options;
    const effects = await outbox.transaction(async (tx) => {
      const messages: OutgoingMessage[] = [];
      const result: (() => void)[] = [];
      for (const type of this.expected) {
        const ofType = batch.map(({ message }) => message).filter((message) => message.body.event === type);
        if (ofType.length > 0) messages.push(...(await this.callHandler(tx, type, ofType, (effect) => result.push(effect))));
      }
      return { result, messages };
    }, `${queue}.written`);
    for (const effect of effects) effect();
  }

  private callHandler<T extends EventType>(tx: Transaction, type: T, messages: IncomingMessage[], afterCommit: AfterCommit) {
    return this.options.handlers[type]!(tx, messages, afterCommit);
  }
}

export interface BatchWorkOptions {
  queue: string;
  handlers: Handlers;
  /** Tried first, for messages that were not handed out before. */
  decideAtOnce?: Decide;
  outbox: Outbox;
  log: Logger;
  metrics: Metrics;
}

/** A delivery whose body was understood. */
export interface Parsed {
  delivery: Delivery;
  message: IncomingMessage;
}
