import { rpcRefusal, type ReplyOf, type RequestOf, type Rpc, type RpcRefusalCode } from '../contracts';
import { Unavailable, type Logger, type Metrics } from '../observability';
import { type Broker, type Delivery, type Subscription, UnroutableError } from './broker';

export interface RpcClientOptions {
  broker: Broker;
  newId: () => string;
  log: Logger;
  metrics: Metrics;
  /** How long an answer is waited for, unless the call says otherwise. */
  deadlineMs: number;
  /** Calls without an answer at a time; more are refused at once. */
  waitingMax: number;
}

export interface CallOptions {
  /** The conversation that the call is part of. */
  correlationId: string;
  deadlineMs?: number;
}

/** Whoever was asked would not answer; the code says whether asking again can help. */
export class RpcRefused extends Error {
  override name = 'RpcRefused';

  constructor(
    readonly code: RpcRefusalCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Asks other roles over the broker and waits for the answer, but never beyond the deadline. The request expires in its queue at
 * the same moment, so that nobody works for an asker who has gone; an answer that comes after it is dropped and counted.
 * Answers come to a queue of this process alone, which is declared at the first call and ends with the connection.
 */
export class RpcClient {
  private readonly waiting = new Map<string, Waiting>();
  private readonly replyQueue: string;
  private replies: Promise<Subscription> | undefined;

  constructor(private readonly options: RpcClientOptions) {
    this.replyQueue = `rpc.replies.${options.newId()}`;
  }

  /**
   * Rejects with Unavailable when no answer came in time, or nobody is there to answer, and with RpcRefused when the answer is a
   * refusal. After the first it is not known whether what was asked for was done: ask again, or in a way that can be repeated.
   */
  async call<R extends Rpc>(rpc: R, request: RequestOf<R>, { correlationId, deadlineMs }: CallOptions): Promise<ReplyOf<R>> {
    const { metrics, waitingMax } = this.options;
    const { queue } = rpc;
    try {
      if (this.waiting.size >= waitingMax) throw new Unavailable(`${waitingMax} questions wait for their answers already`);
      const answer = await this.ask(queue, JSON.stringify(request), correlationId, deadlineMs ?? this.options.deadlineMs);
      const reply = readReply(rpc, answer);
      metrics.rpcCalls.inc({ queue, outcome: 'answered' });
      return reply;
    } catch (error) {
      metrics.rpcCalls.inc({ queue, outcome: outcomeOf(error) });
      throw error;
    }
  }

  /** Nobody is waited for any more. */
  async stop(): Promise<void> {
    for (const call of this.waiting.values()) call.reject(new Unavailable('This process is stopping'));
    const subscription = await this.replies?.catch(() => undefined);
    await subscription?.cancel();
  }

  private ask(queue: string, body: string, correlationId: string, deadlineMs: number): Promise<Buffer> {
    const { newId } = this.options;
    const callId = newId();
    return new Promise<Buffer>((resolve, reject) => {
      const timer = setTimeout(() => reject(new RpcTimeout(queue, deadlineMs)), deadlineMs);
      this.waiting.set(callId, { resolve, reject, timer });
      this.send(queue, body, callId, correlationId, deadlineMs).catch(reject);
    }).finally(() => {
      clearTimeout(this.waiting.get(callId)?.timer);
      this.waiting.delete(callId);
    });
  }

  private async send(queue: string, body: string, callId: string, correlationId: string, expirationMs: number): Promise<void> {
    const { broker } = this.options;
    await this.open();
    if (!this.waiting.has(callId)) return;
    const headers = { 'cloudEvents:correlationid': correlationId };
    const envelope = { messageId: callId, correlationId: callId, replyTo: this.replyQueue, appId: 'holdfast' };
    const properties = { ...envelope, contentType: 'application/json', headers };
    await broker
      .publish({ exchange: '', routingKey: queue, body: Buffer.from(body), properties, mandatory: true, expirationMs })
      .catch((error: unknown) => {
        throw new Unavailable(error instanceof UnroutableError ? `Nobody answers ${queue}` : 'The question could not be sent', {
          cause: error,
        });
      });
  }

  /** Tried again at the next call when it failed. */
  private open(): Promise<Subscription> {
    this.replies ??= this.listen().catch((error: unknown) => {
      this.replies = undefined;
      throw new Unavailable('No queue for the answers could be had', { cause: error });
    });
    return this.replies;
  }

  private async listen(): Promise<Subscription> {
    const { broker, waitingMax } = this.options;
    await broker.declare({ exchanges: [], queues: [{ name: this.replyQueue, kind: 'temporary' }], bindings: [] });
    return broker.consume(this.replyQueue, { prefetch: waitingMax }, (delivery) => this.hear(delivery));
  }

  private hear(delivery: Delivery): void {
    delivery.ack();
    const waiting = this.waiting.get(delivery.properties.correlationId ?? '');
    if (waiting) return waiting.resolve(delivery.body);
    this.options.metrics.rpcLateReplies.inc();
    this.options.log.debug({ correlationId: delivery.properties.correlationId }, 'an answer came too late and is dropped');
  }
}

interface Waiting {
  resolve(answer: Buffer): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

class RpcTimeout extends Unavailable {
  constructor(queue: string, deadlineMs: number) {
    super(`No answer to ${queue} within ${deadlineMs} ms`);
    this.name = 'RpcTimeout';
  }
}

function outcomeOf(error: unknown): string {
  if (error instanceof RpcTimeout) return 'late';
  return error instanceof RpcRefused ? 'refused' : 'failed';
}

function readReply<R extends Rpc>({ queue, reply }: R, answer: Buffer): ReplyOf<R> {
  const json: unknown = JSON.parse(answer.toString('utf8'));
  const refusal = rpcRefusal.safeParse(json);
  if (refusal.success) throw new RpcRefused(refusal.data.error.code, refusal.data.error.message);
  const parsed = reply.safeParse(json);
  if (!parsed.success) throw new Error(`The answer to ${queue} is not of its contract: ${parsed.error.message}`);
  return parsed.data as ReplyOf<R>;
}
