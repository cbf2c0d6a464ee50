import { type EventType } from '../contracts';
import { classifyDatabaseError, type Transaction } from '../database';
import { type Logger, type Metrics } from '../observability';
import { ATTEMPTS_MAX, retryDelayMs } from './backoff';
import { type Broker, type Delivery, type Subscription } from './broker';
import { parseMessage, PoisonMessage, type IncomingMessage, type OutgoingMessage } from './message';
import { type Outbox } from './outbox';

/**
 * Does the work of a batch inside the transaction it is given, and returns the messages that follow. It never sees a broker.
 * A business refusal is a message it returns. What it throws is retried, and in the end dead-lettered with the reason.
 */
export type Handler<T extends EventType> = (tx: Transaction, batch: IncomingMessage<T>[]) => Promise<OutgoingMessage[]>;

/** Which event is handled by what: a context's handlers.ts is this table. */
export type Handlers = { [T in EventType]?: Handler<T> };

export interface Consumer {
  /** Takes no more deliveries, finishes those in hand, and is done. */
  stop(): Promise<void>;
}

export interface ConsumerOptions {
  queue: string;
  handlers: Handlers;
  broker: Broker;
  outbox: Outbox;
  /** How many messages share one transaction at most; a lone message does not wait for company. */
  batchSizeMax: number;
  log: Logger;
  metrics: Metrics;
  /** 0 to 1, for the jitter of retries. */
  random: () => number;
}

/** A delivery whose body was understood. */
interface Parsed {
  delivery: Delivery;
  message: IncomingMessage;
}

/**
 * Takes from one queue in batches: whatever arrived while the last batch was at work is the next one. Per batch one transaction
 * holds the effects and the replies; deliveries are acked after its commit, so a crash repeats the batch and loses nothing.
 */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { queue, broker, log, metrics, random } = options;
  const expected = Object.keys(options.handlers) as EventType[];
  let waiting: Delivery[] = [];
  let working: Promise<void> | undefined;
  let stopping = false;

  const prefetch = options.batchSizeMax * 2;
  const subscription: Subscription = await broker.consume(queue, { prefetch }, (delivery) => {
    waiting.push(delivery);
    working ??= work().finally(() => (working = undefined));
  });

  return {
    async stop() {
      await subscription.cancel();
      stopping = true;
      await working;
    },
  };

  async function work() {
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const batch = waiting.slice(0, options.batchSizeMax);
      waiting = waiting.slice(batch.length);
      await settleBatch(batch);
    }
  }

  async function settleBatch(batch: Delivery[]) {
    const startedAt = performance.now();
    metrics.batchSize.observe({ hop: queue }, batch.length);
    const parsed: Parsed[] = [];
    for (const delivery of batch) {
      const message = await parseOrBury(delivery);
      if (message) parsed.push({ delivery, message });
    }
    if (parsed.length > 0) await handle(parsed);
    metrics.messageProcessDuration.observe({ queue, type: 'batch' }, (performance.now() - startedAt) / 1000);
  }

  async function parseOrBury(delivery: Delivery): Promise<IncomingMessage | undefined> {
    try {
      return parseMessage(delivery.body, delivery.properties, expected);
    } catch (error) {
      await bury(delivery, 'unknown', error);
      return undefined;
    }
  }

  /**
   * Broken surroundings (the database is away) are nobody's fault: the batch waits in hand and is tried again, for as long as it
   * takes. Anything else is the fault of one message: the batch is split, so that this message alone pays for it.
   */
  async function handle(batch: Parsed[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await runHandlers(batch);
        return batch.forEach(acknowledge);
      } catch (error) {
        if (!isSurroundings(error)) return batch.length > 1 ? handleOneByOne(batch) : settleFailure(batch[0]!, error);
        log.warn(
          { err: error, queue, messages: batch.length, attempt },
          'the database is away; the batch waits and is tried again',
        );
        if (stopping) return;
        await pause(retryDelayMs(attempt, random));
      }
    }
  }

  async function handleOneByOne(batch: Parsed[]) {
    for (const one of batch) await handle([one]);
  }

  /** One transaction for the whole batch; messages of one type go to their handler together, in the order they came. */
  async function runHandlers(batch: Parsed[]) {
    await options.outbox.transaction(async (tx) => {
      const messages: OutgoingMessage[] = [];
      for (const type of expected) {
        const ofType = batch.map(({ message }) => message).filter((message) => message.body.event === type);
        if (ofType.length > 0) messages.push(...(await callHandler(tx, type, ofType)));
      }
      return { result: undefined, messages };
    });
  }

  function callHandler<T extends EventType>(tx: Transaction, type: T, messages: IncomingMessage[]) {
    return options.handlers[type]!(tx, messages);
  }

  function acknowledge({ delivery, message }: Parsed) {
    delivery.ack();
    metrics.messagesProcessed.inc({ queue, type: message.body.event, outcome: 'ack' });
  }

  async function settleFailure({ delivery, message }: Parsed, error: unknown) {
    const type = message.body.event;
    if (isHopeless(error) || delivery.attempt >= ATTEMPTS_MAX) return bury(delivery, type, error);
    metrics.messagesProcessed.inc({ queue, type, outcome: 'retry' });
    const delayMs = retryDelayMs(delivery.attempt, random);
    log.warn(
      { err: error, queue, type, attempt: delivery.attempt, delayMs, correlationId: message.correlationId },
      'message failed; retried later',
    );
    await settle(() => delivery.retry(delayMs, reasonOf(error)));
  }

  async function bury(delivery: Delivery, type: string, error: unknown) {
    metrics.messagesProcessed.inc({ queue, type, outcome: 'dead' });
    log.error(
      { err: error, queue, type, attempt: delivery.attempt, messageId: delivery.properties.messageId },
      'message dead-lettered',
    );
    await settle(() => delivery.deadLetter(reasonOf(error)));
  }

  /** A settlement that could not be made safe leaves the delivery unsettled: the broker hands it out again. */
  async function settle(settlement: () => Promise<void>) {
    try {
      await settlement();
    } catch (error) {
      log.warn({ err: error, queue }, 'settlement not confirmed; the broker will deliver the message again');
    }
  }
}

/** Nothing to do with the message: the same batch will pass when the database is back. */
function isSurroundings(error: unknown): boolean {
  return ['retry', 'unavailable', 'unknown-outcome'].includes(classifyDatabaseError(error));
}

/** No later attempt can end differently: the message says what is not so, or what the database cannot hold. */
function isHopeless(error: unknown): boolean {
  return error instanceof PoisonMessage || ['constraint', 'data'].includes(classifyDatabaseError(error));
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}

function pause(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}
