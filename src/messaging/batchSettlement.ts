import { setTimeout } from 'node:timers/promises';

import { type EventType } from '../contracts';
import { classifyDatabaseError, isPassingFault, sqlStateOf } from '../database';
import { failpointAfterSending } from '../faults';
import { ATTEMPTS_MAX, retryDelayMs } from './backoff';
import { BatchWork, type BatchWorkOptions, type Parsed } from './batchWork';
import { type Delivery } from './broker';
import { handledBy } from './handler';
import { parseMessage, PoisonMessage, type IncomingMessage } from './message';

/**
 * Brings every delivery of a batch to its end: acked once the work is committed, retried later, or dead-lettered with the reason.
 * What failed goes down a ladder: the whole batch is tried again while the database is to blame, then halved until the message at
 * fault is alone, then retried by itself with growing pauses, and in the end buried.
 */
export class BatchSettlement {
  private readonly expected: EventType[];
  private readonly work: BatchWork;
  /** The database was away when the stop came: what is in hand stays unsettled, and so with the broker. */
  private hasGivenUp = false;

  constructor(
    private readonly options: BatchSettlementOptions,
    /** Aborted when whoever waits for the database is to give up. */
    private readonly stopping: AbortSignal,
  ) {
    this.expected = handledBy(options.handlers);
    this.work = new BatchWork(options);
  }

  async settleBatch(batch: Delivery[]): Promise<void> {
    const { metrics, queue } = this.options;
    const startedAt = performance.now();
    metrics.batchSize.observe({ hop: queue }, batch.length);
    metrics.messagesRedelivered.inc({ queue }, batch.filter((delivery) => delivery.redelivered).length);
    const parsed: Parsed[] = [];
    for (const delivery of batch) {
      const message = await this.parseOrBury(delivery);
      if (message) parsed.push({ delivery, message });
    }
    if (parsed.length > 0) await this.handle(parsed);
    metrics.messageProcessDuration.observe({ queue, type: 'batch' }, (performance.now() - startedAt) / 1000);
  }

  private async parseOrBury(delivery: Delivery): Promise<IncomingMessage | undefined> {
    try {
      return parseMessage(delivery.body, delivery.properties, this.expected);
    } catch (error) {
      await this.bury(delivery, 'unknown', error);
      return undefined;
    }
  }

  /**
   * Broken surroundings (the database is away) are nobody's fault: the batch waits in hand and is tried again, for as long as it
   * takes. Anything else is the fault of one message: the batch is halved again and again, so that this message alone pays for it. A batch that
   * fails again and again is split too, and a message that a standing database keeps refusing (a lock it never gets, more work
   * than the time limit allows) must not hold up the queue for ever.
   */
  private async handle(batch: Parsed[], patience = PATIENCE_MAX): Promise<void> {
    const { log, queue } = this.options;
    for (let attempt = 1; !this.hasGivenUp; attempt++) {
      try {
        await this.work.perform(batch);
        return this.acknowledge(batch);
      } catch (error) {
        const isPatient = attempt < patience || (batch.length === 1 && !isRefusal(error));
        if (!isPassingFault(error) || !isPatient) return this.handleFailure(batch, error);
        log.warn({ err: error, queue, messages: batch.length, attempt }, 'the database cannot serve; the batch waits in hand');
        await this.waitForDatabase(attempt);
      }
    }
  }

  private acknowledge(batch: Parsed[]) {
    const { metrics, queue } = this.options;
    for (const { delivery } of batch) delivery.ack();
    for (const type of this.expected) {
      const count = batch.filter(({ message }) => message.body.event === type).length;
      if (count > 0) metrics.messagesProcessed.inc({ queue, type, outcome: 'ack' }, count);
    }
    failpointAfterSending(`${queue}.acked`);
  }

  /** Short, whatever the attempt: when the database is back, customers wait for nothing but this. A stop cuts it. */
  private async waitForDatabase(attempt: number) {
    const delayMs = Math.min(retryDelayMs(attempt, this.options.random), DATABASE_PAUSE_MAX_MS);
    const signal = this.stopping;
    await setTimeout(delayMs, undefined, { signal }).catch(() => undefined);
    this.hasGivenUp = signal.aborted;
  }

  private async handleFailure(batch: Parsed[], error: unknown) {
    if (batch.length === 1) return this.settleFailure(batch[0]!, error);
    const half = Math.ceil(batch.length / 2);
    // The whole was waited for already: a row that somebody holds for hours must not be waited for at every halving.
    const patience = isPassingFault(error) ? 1 : PATIENCE_MAX;
    await this.handle(batch.slice(0, half), patience);
    await this.handle(batch.slice(half), patience);
  }

  private async settleFailure({ delivery, message }: Parsed, error: unknown) {
    const { metrics, queue, random, log } = this.options;
    const { event: type } = message.body;
    if (isHopeless(error) || delivery.attempt >= ATTEMPTS_MAX) return this.bury(delivery, type, error);
    const delayMs = retryDelayMs(delivery.attempt, random);
    metrics.messagesProcessed.inc({ queue, type, outcome: 'retry' });
    const { correlationId } = message;
    log.warn({ err: error, queue, type, attempt: delivery.attempt, delayMs, correlationId }, 'message failed; retried later');
    await this.settle(() => delivery.retry(delayMs, reasonOf(error)));
  }

  private async bury(delivery: Delivery, type: string, error: unknown) {
    const { metrics, queue, log } = this.options;
    const { messageId } = delivery.properties;
    metrics.messagesProcessed.inc({ queue, type, outcome: 'dead' });
    log.error({ err: error, queue, type, attempt: delivery.attempt, messageId }, 'message dead-lettered');
    await this.settle(() => delivery.deadLetter(reasonOf(error)));
  }

  /** A settlement that could not be made safe leaves the delivery unsettled: the broker hands it out again. */
  private async settle(settlement: () => Promise<void>) {
    const { log, queue } = this.options;
    await settlement().catch((error: unknown) =>
      log.warn({ err: error, queue }, 'settlement not confirmed; the broker will deliver the message again'),
    );
  }
}

export interface BatchSettlementOptions extends BatchWorkOptions {
  /** 0 to 1, for the jitter of retries. */
  random: () => number;
}

/** How often in a row a batch may fail before somebody in it is suspected. */
const PATIENCE_MAX = 3;

/** The longest pause between two looks whether the database is back. */
const DATABASE_PAUSE_MAX_MS = 2_000;

/** The server is there and has stopped this very work, by its time limit or for the sake of others. */
function isRefusal(error: unknown): boolean {
  return classifyDatabaseError(error) === 'retry' || sqlStateOf(error) === QUERY_CANCELED;
}

const QUERY_CANCELED = '57014';

/** No later attempt can end differently: the message says what is not so, or what the database cannot hold. */
function isHopeless(error: unknown): boolean {
  return error instanceof PoisonMessage || ['constraint', 'data'].includes(classifyDatabaseError(error));
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}
