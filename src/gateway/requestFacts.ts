import { type ServerResponse } from 'node:http';
import { type Logger } from '../observability/logger';
import { type RequestContext } from '../observability/requestContext';
import { type Admitted } from './admission';
import { Refusal } from './requestBody';
import { correlationIdOf, type WithHeaders } from './requestIds';

/** What is known of a request before anybody looks at what it wants. Throws Refusal for an Idempotency-Key that is unfit. */
export function factsOf(
  request: WithHeaders,
  requestId: string,
  log: Logger,
  admitted: Admitted,
  hasLeft?: () => boolean,
): RequestContext {
  return new RequestFacts(requestId, correlationIdOf(request, requestId), idempotencyKeyOf(request), admitted, log, hasLeft);
}

/** Tells of an answer whether nobody waits for it any more: the connection is gone, or it was answered that there is none in time. */
export function leaving(response: ServerResponse): () => boolean {
  return () => response.writableEnded || response.destroyed;
}

/** Makes its logger when somebody logs, because few requests do and making one costs a tenth of a request. */
class RequestFacts implements RequestContext {
  readonly afterwards: (() => void)[] = [];

  constructor(
    readonly requestId: string,
    readonly correlationId: string,
    readonly idempotencyKey: string | undefined,
    private readonly admitted: Admitted,
    private readonly roleLog: Logger,
    readonly hasLeft: (() => boolean) | undefined,
  ) {}

  get caller() {
    return this.admitted.caller;
  }

  get address() {
    return this.admitted.address;
  }

  get charge() {
    return this.admitted.charge;
  }

  get log(): Logger {
    return this.roleLog.child({ requestId: this.requestId, correlationId: this.correlationId });
  }
}

function idempotencyKeyOf(request: WithHeaders): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,200}$/.test(key)) return key;
  const message =
    'The Idempotency-Key header must be 1 to 200 visible ASCII characters without spaces: send a UUID, for example.';
  throw new Refusal(message, { status: 400, code: 'BAD_USER_INPUT', details: { field: 'Idempotency-Key' } });
}
