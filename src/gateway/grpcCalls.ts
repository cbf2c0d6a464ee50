import { once } from 'node:events';
import {
  Metadata,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';

import { GrpcRefusal, type GrpcMethod, type GrpcRequest } from '../grpc';
import { type Logger } from '../observability';
import { statusOf } from './grpcErrors';
import { factsOf } from './requestFacts';
import { requestIdOf } from './requestIds';

export interface GrpcServing {
  log: Logger;
  /** The calls that are not answered yet. */
  underWay: Set<unknown>;
  /** Aborted when the server is about to stop. */
  stopping: AbortSignal;
}

/** What grpc-js calls for a method: hands it the request, and its outcome to the client. */
export function serveMethod(method: GrpcMethod, serving: GrpcServing) {
  return method.kind === 'unary' ? serveUnary(method, serving) : serveStream(method, serving);
}

function serveUnary(method: GrpcMethod & { kind: 'unary' }, { log, underWay }: GrpcServing): handleUnaryCall<unknown, object> {
  return (call, callback) => {
    const requestId = welcome(call);
    const { signal, release } = signalOf(call, { marginMs: DEADLINE_MARGIN_MS });
    underWay.add(call);
    Promise.resolve()
      .then(() => method.answer(requestOf(call, requestId, signal, log)))
      .then(
        (answer) => callback(null, answer),
        (error: unknown) => callback(statusOf(error, requestId, log)),
      )
      .finally(() => {
        release();
        underWay.delete(call);
      });
  };
}

/** Before a deadline passes, whoever waits for something is called off, so that the client is still told how things stand. */
const DEADLINE_MARGIN_MS = 100;

function serveStream(
  method: GrpcMethod & { kind: 'stream' },
  { log, underWay, stopping }: GrpcServing,
): handleServerStreamingCall<unknown, object> {
  return (call) => {
    const requestId = welcome(call);
    const { signal, release } = signalOf(call, { also: stopping });
    underWay.add(call);
    const send = async () => {
      for await (const answer of method.answers(requestOf(call, requestId, signal, log))) {
        if (signal.aborted) break;
        // One message waits for the client at most: the next is made when this one has gone.
        if (!call.write(answer)) await once(call, 'drain', { signal }).catch(() => undefined);
      }
      if (stopping.aborted)
        throw new GrpcRefusal('UNAVAILABLE', 'SERVICE_UNAVAILABLE', 'This server is stopping: watch again at another.');
    };
    send()
      .then(
        () => call.end(),
        (error: unknown) => call.emit('error', statusOf(error, requestId, log)),
      )
      .finally(() => {
        release();
        underWay.delete(call);
      });
  };
}

type Call = ServerUnaryCall<unknown, object> | ServerWritableStream<unknown, object>;

/** The id that errors and log lines quote, sent ahead. */
function welcome(call: Call): string {
  const requestId = requestIdOf(asHttp(call));
  const metadata = new Metadata();
  metadata.set('x-request-id', requestId);
  call.sendMetadata(metadata);
  return requestId;
}

function requestOf(call: Call, requestId: string, signal: AbortSignal, log: Logger): GrpcRequest<never> {
  return { message: call.request as never, context: factsOf(asHttp(call), requestId, log), signal };
}

/** Metadata are headers: what HTTP's say, they say. */
function asHttp({ metadata }: Call): { headers: Record<string, string | undefined> } {
  const names = ['x-request-id', 'x-correlation-id', 'idempotency-key'];
  return { headers: Object.fromEntries(names.map((name) => [name, metadata.get(name)[0]?.toString()])) };
}

/** Aborted when the client cancels or its deadline passes, or `marginMs` before that. */
function signalOf(call: Call, { marginMs, also }: { marginMs?: number; also?: AbortSignal }) {
  const over = new AbortController();
  call.on('cancelled', () => over.abort());
  const leftMs = Number(call.getDeadline()) - Date.now() - (marginMs ?? 0);
  const isLimited = marginMs !== undefined && leftMs < LONGEST_TIMER_MS;
  const timer = isLimited ? setTimeout(() => over.abort(), Math.max(0, leftMs)) : undefined;
  const signal = also ? AbortSignal.any([over.signal, also]) : over.signal;
  return { signal, release: () => clearTimeout(timer) };
}

/** A later deadline is none: Node's timers count no further. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
