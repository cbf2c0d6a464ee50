import { faultsOf, inputRefusal, type ReplyOf, type RequestOf, type Rpc, type RpcRefusalCode } from '../contracts';
import { isPassingFault } from '../database';
import { Unavailable, type Logger, type Metrics } from '../observability';
import { type Broker, type Delivery, type Subscription } from './broker';
import { parseJson, PoisonMessage } from './message';

/** A question and who answers it: a context's rpc.ts is a list of these. */
export interface RpcService {
  rpc: Rpc;
  answer: (request: unknown, correlationId: string) => Promise<unknown>;
}

/** Ties an answer to its contract. A request may be asked twice, when who answered it died before saying so: let its effect be idempotent. */
export function answering<R extends Rpc>(
  rpc: R,
  answer: (request: RequestOf<R>, correlationId: string) => Promise<ReplyOf<R>>,
): RpcService {
  return { rpc, answer: answer as RpcService['answer'] };
}

export interface RpcServerOptions {
  service: RpcService;
  broker: Broker;
  log: Logger;
  metrics: Metrics;
  /** Requests in hand at a time. */
  concurrencyMax: number;
}

/**
 * Answers the requests of one queue, several at a time. Whatever is asked is answered: with the reply, or with a refusal that says
 * what is wrong, so that no request is tried over and over and none ends this consumer. Where no `reply_to` says whom to answer,
 * it is served all the same.
 */
export class RpcServer {
  private readonly inHand = new Set<Promise<void>>();
  private subscription: Subscription | undefined;

  constructor(private readonly options: RpcServerOptions) {}

  async start(): Promise<void> {
    const { broker, service, concurrencyMax } = this.options;
    this.subscription = await broker.consume(service.rpc.queue, { prefetch: concurrencyMax }, (delivery) => {
      const work = this.serve(delivery).finally(() => this.inHand.delete(work));
      this.inHand.add(work);
    });
  }

  /** Takes no more, and answers what is in hand. */
  async stop(): Promise<void> {
    await this.subscription?.cancel();
    await Promise.all(this.inHand);
  }

  private async serve(delivery: Delivery): Promise<void> {
    const { broker, log, metrics, service } = this.options;
    const { queue } = service.rpc;
    const { outcome, body } = await this.answer(delivery);
    metrics.rpcServed.inc({ queue, outcome });
    const { replyTo, correlationId, messageId } = delivery.properties;
    if (replyTo) {
      const properties = { correlationId: correlationId ?? messageId, contentType: 'application/json', headers: {} };
      const reply = { exchange: '', routingKey: replyTo, body: Buffer.from(JSON.stringify(body)), properties, mandatory: false };
      // Acked all the same: who hears nothing asks again.
      await broker.publish(reply).catch((error: unknown) => log.warn({ err: error, queue }, 'an answer could not be sent'));
    }
    delivery.ack();
  }

  /** Never throws. */
  private async answer({ body, properties, queue }: Delivery): Promise<{ outcome: string; body: unknown }> {
    const { service, log } = this.options;
    const correlationId = conversationOf(properties);
    try {
      const request = readRequest(service.rpc, body);
      return { outcome: 'answered', body: await service.answer(request, correlationId) };
    } catch (error) {
      const { code, message } = refusalOf(error);
      if (code === 'UNAVAILABLE') log.warn({ err: error, queue, correlationId }, 'a question could not be answered for now');
      if (code === 'INTERNAL') log.error({ err: error, queue, correlationId }, 'a question could not be answered');
      return { outcome: code === 'BAD_REQUEST' ? 'refused' : 'failed', body: { error: { code, message } } };
    }
  }
}

function readRequest({ request }: Rpc, body: Buffer): unknown {
  const parsed = request.safeParse(parseJson(body));
  if (!parsed.success) throw new PoisonMessage(inputRefusal(faultsOf(parsed.error)));
  return parsed.data;
}

/** What is our own fault is not told to strangers; it stands in the log. */
function refusalOf(error: unknown): { code: RpcRefusalCode; message: string } {
  if (error instanceof PoisonMessage) return { code: 'BAD_REQUEST', message: error.message.slice(0, 1_000) };
  if (error instanceof Unavailable) return { code: 'UNAVAILABLE', message: error.message };
  return isPassingFault(error)
    ? { code: 'UNAVAILABLE', message: 'It cannot be answered at the moment. Ask again later.' }
    : { code: 'INTERNAL', message: 'It could not be answered; the fault is ours.' };
}

/** The conversation, where the asker names it; else the call itself. */
function conversationOf({ headers, correlationId, messageId }: Delivery['properties']): string {
  const isNamed = (id: unknown): id is string => typeof id === 'string' && id !== '';
  const id = [headers['cloudEvents:correlationid'], correlationId, messageId].find(isNamed) ?? 'rpc';
  return id.replaceAll('\u0000', '').toWellFormed().slice(0, 200);
}
