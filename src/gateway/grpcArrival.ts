import { ServerInterceptingCall, ServerListenerBuilder, status, type ServerInterceptor } from '@grpc/grpc-js';

/**
 * Ends a call whose request has not arrived whole within the limit. Its method has not heard of it by then, and so no other limit
 * holds for it: whoever begins calls and sends nothing would hold them for ever.
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
