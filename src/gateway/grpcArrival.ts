import { ServerInterceptingCall, ServerListenerBuilder, status, type ServerInterceptor } from '@grpc/grpc-js';

/**
 * Answers a call whose request has not arrived whole within the limit. Its method has not heard of it by then, so that no other limit
 * holds for it. What is left is the stream of HTTP/2, which ends with the client: grpc-js takes none away.
 */
export function arrivesWithin(limitMs: number): ServerInterceptor {
  return (_method, call) => {
    const details = `The request has not arrived within ${limitMs / 1_000} s.`;
    const timer = setTimeout(() => call.sendStatus({ code: status.DEADLINE_EXCEEDED, details }), limitMs);
    const listener = new ServerListenerBuilder()
      .withOnReceiveHalfClose((next) => {
        clearTimeout(timer);
        next();
      })
      // However a call ends, this is heard.
      .withOnCancel(() => clearTimeout(timer))
      .build();
    return new ServerInterceptingCall(call, { start: (next) => next(listener) });
  };
}
