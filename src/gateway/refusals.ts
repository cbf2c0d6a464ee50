import { AccessDenied } from '../identity';
import { Unavailable } from '../observability';
import { retryHeader } from './admission';
import { challengeOf } from './callers';
import { RateLimited } from './rateLimits';
import { Refusal } from './requestBody';
import { type Problem } from './respond';

/** What a caller is told who is not let in, or whose request is refused before GraphQL or an endpoint sees it; undefined for the rest. */
export function refusalOf(error: unknown, requestId: string): Problem | undefined {
  if (error instanceof Refusal) return { ...error.problem, message: error.message, requestId };
  if (error instanceof RateLimited) {
    const { message, retryAfterSeconds } = error;
    const details = { retryAfterSeconds };
    return { status: 429, code: 'RATE_LIMITED', message, requestId, details, headers: retryHeader(error) };
  }
  if (error instanceof AccessDenied) {
    const { status, header } = challengeOf(error);
    return { status, code: error.code, message: error.message, requestId, headers: { 'www-authenticate': header } };
  }
  if (error instanceof Unavailable) {
    return { status: 503, code: 'SERVICE_UNAVAILABLE', message: error.message, requestId, headers: retryHeader(error) };
  }
  return undefined;
}
