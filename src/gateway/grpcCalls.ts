import { once } from 'node:events';
import {
  Metadata,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';

import { GrpcRefusal, type GrpcMethod, type GrpcRequest } from '../grpc';
import { demand, TokenRefused, type Caller } from '../identity';
import { type Logger } from '../observability';
import { admit, type Admission } from './admission';
import { type CustomerCount } from './customerCount';
import { statusOf } from './grpcErrors';
import { factsOf } from './requestFacts';
import { requestIdOf } from './requestIds';
import { lateMessage } from './respond';

export interface GrpcServing extends Admission {
  log: Logger;
  /** How long the answer to a unary call may take, whatever its client says. */
  answerLimitMs: number;
  /** The streams of each customer. */
  streams: CustomerCount;
  /** The calls that are not answered yet. */
  underWay: Set<unknown>;
  /** Aborted when the server is about to stop. */
  stopping: AbortSignal;
}

/** What grpc-js calls for a method: hands it the request, and its outcome to the client. */
export function serveMethod(method: GrpcMethod, serving: GrpcServing) {
  return method.kind === 'unary' ? serveUnary(method, serving) : serveStream(method, serving);
}

function serveUnary(method: GrpcMethod & { kind: 'unary' }, serving: GrpcServing): handleUnaryCall<unknown, object> {
  const { log, answerLimitMs, underWay } = serving;
  return (call, callback) => {
    const requestId = welcome(call);
    const { signal, release } = signalOf(call, { marginMs: DEADLINE_MARGIN_MS, answerLimitMs });
    underWay.add(call);
    const answering = requestOf(method, call, { requestId, signal, serving }).then((request) => method.answer(request));
    inTime(answering, answerLimitMs)
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

/** Whoever gave no deadline does not wait for ever. The work goes on, and may succeed. */
function inTime<Answer>(answering: Promise<Answer>, limitMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(tooLate(limitMs)), limitMs);
    void answering.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function tooLate(limitMs: number): GrpcRefusal {
  return new GrpcRefusal('DEADLINE_EXCEEDED', 'SERVICE_UNAVAILABLE', lateMessage(limitMs), { retryAfterSeconds: 1 });
}

/** Before a deadline passes, whoever waits for something is called off, so that the client is still told how things stand. */
const DEADLINE_MARGIN_MS = 100;

function serveStream(method: GrpcMethod & { kind: 'stream' }, serving: GrpcServing): handleServerStreamingCall<unknown, object> {
  const { log, streams, underWay, stopping } = serving;
  return (call) => {
    const requestId = welcome(call);
    const tokenOver = new AbortController();
    const { signal, release } = signalOf(call, { also: AbortSignal.any([stopping, tokenOver.signal]) });
    let tokenTimer: NodeJS.Timeout | undefined;
    let counted: Caller | undefined;
    underWay.add(call);
    const send = async () => {
      const request = await requestOf(method, call, { requestId, signal, serving });
      const { caller } = request.context;
      if (!streams.add(caller)) throw tooManyStreams();
      counted = caller;
      tokenTimer = abortAt(caller?.until, tokenOver);
      for await (const answer of method.answers(request)) {
        if (signal.aborted) break;
        // One message waits for the client at most: the next is made when this one has gone.
        if (!call.write(answer)) await once(call, 'drain', { signal }).catch(() => undefined);
      }
      if (stopping.aborted)
        throw new GrpcRefusal('UNAVAILABLE', 'SERVICE_UNAVAILABLE', 'This server is stopping: watch again at another.');
      if (tokenOver.signal.aborted) throw new TokenRefused('The token has expired: watch again with a new one.');
    };
    send()
      .then(
        () => call.end(),
        (error: unknown) => call.emit('error', statusOf(error, requestId, log)),
      )
      .finally(() => {
        release();
        clearTimeout(tokenTimer);
        streams.remove(counted);
        underWay.delete(call);
      });
  };
}

function tooManyStreams(): GrpcRefusal {
  const message = 'This customer watches as many orders as it may here: end another watch first.';
  return new GrpcRefusal('RESOURCE_EXHAUSTED', 'BAD_USER_INPUT', message);
}

/** A token ends what goes on for long under it; undefined ends nothing. */
function abortAt(timeMs: number | undefined, controller: AbortController): NodeJS.Timeout | undefined {
  const leftMs = (timeMs ?? Infinity) - Date.now();
  return leftMs > LONGEST_TIMER_MS ? undefined : setTimeout(() => controller.abort(), Math.max(0, leftMs));
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

interface Known {
  requestId: string;
  signal: AbortSignal;
  serving: GrpcServing;
}

/** What the method gets. Rejects for a caller who may not call it. */
async function requestOf({ access }: GrpcMethod, call: Call, { requestId, signal, serving }: Known): Promise<GrpcRequest<never>> {
  const asked = asHttp(call);
  const admitted = await admit(asked, hostOf(call.getPeer()), serving);
  demand(access, admitted.caller);
  return { message: call.request as never, context: factsOf(asked, requestId, serving.log, admitted), signal };
}

/** A peer is an address and a port. */
function hostOf(peer: string): string {
  return peer.slice(0, Math.max(0, peer.lastIndexOf(':')));
}

/** Metadata are headers: what HTTP's say, they say. */
function asHttp({ metadata }: Call): { headers: Record<string, string | undefined> } {
  const names = ['authorization', 'x-request-id', 'x-correlation-id', 'idempotency-key'];
  const headers = Object.fromEntries(names.map((name) => [name, metadata.get(name)[0]?.toString()]));
  // Each proxy may have added a line of its own, and the last is the one that counts.
  return { headers: { ...headers, 'x-forwarded-for': metadata.get('x-forwarded-for').join(',') || undefined } };
}

interface Ends {
  marginMs?: number;
  answerLimitMs?: number;
  also?: AbortSignal;
}

/** Aborted when the client cancels or its deadline passes, or our own limit, or `marginMs` before that. */
function signalOf(call: Call, { marginMs, answerLimitMs = Infinity, also }: Ends) {
  const over = new AbortController();
  call.on('cancelled', () => over.abort());
  const leftMs = Math.min(Number(call.getDeadline()) - Date.now(), answerLimitMs) - (marginMs ?? 0);
  const isLimited = marginMs !== undefined && leftMs < LONGEST_TIMER_MS;
  const timer = isLimited ? setTimeout(() => over.abort(), Math.max(0, leftMs)) : undefined;
  const signal = also ? AbortSignal.any([over.signal, also]) : over.signal;
  return { signal, release: () => clearTimeout(timer) };
}

/** A later deadline is none: Node's timers count no further. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
