import { v7 as uuidv7 } from 'uuid';

/** Whatever has headers: a request of HTTP, or a call of gRPC. */
export interface WithHeaders {
  headers: Record<string, string | string[] | undefined>;
}

/** The caller's `x-request-id` where it is fit to be logged and sent back, else a new one. */
export function requestIdOf(request: WithHeaders): string {
  return fit(request.headers['x-request-id']) ?? uuidv7();
}

/** The caller's `x-correlation-id`; a request without one begins a conversation of its own. */
export function correlationIdOf(request: WithHeaders, requestId: string): string {
  return fit(request.headers['x-correlation-id']) ?? requestId;
}

/** Visible ASCII without quote and backslash, so that it can stand in JSON, a header and a log as it is. */
function fit(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/.test(header) ? header : undefined;
}
