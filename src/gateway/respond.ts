import { type ServerResponse } from 'node:http';

export interface Problem {
  status: number;
  /** From the closed list of graphqlErrors.ts, or an HTTP matter such as NOT_FOUND. */
  code: string;
  /** One sentence for the caller: what happened and what to do. */
  message: string;
  requestId: string;
  /** More facts for programs, such as the limit that was passed. */
  details?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** Every problem has the shape of a GraphQL error, so that a client needs to know only one. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  sendJson(response, problem.status, problemBody(problem), problem.headers);
}

export function problemBody({ code, message, requestId, details }: Problem): object {
  return { errors: [{ message, extensions: { code, requestId, ...details } }] };
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  sendText(response, status, `${JSON.stringify(body)}\n`, { 'content-type': 'application/json; charset=utf-8', ...headers });
}

export function sendText(response: ServerResponse, status: number, text: string, headers: Record<string, string>): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store', ...headers });
  response.end(text);
}

/** All that a caller learns of a fault of ours. */
export function maskedMessage(requestId: string): string {
  return `Something went wrong on our side. Quote request id ${requestId} when you report it.`;
}

/** Said when an answer takes too long; what was asked for goes on. */
export function lateMessage(limitMs: number): string {
  return `There is no answer after ${limitMs / 1_000} s. It may still be done: try again, an order under the same idempotency key.`;
}
