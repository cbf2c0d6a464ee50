/**
 * Something we depend on is down, and trying again later makes sense. The doors answer SERVICE_UNAVAILABLE with `message`, which
 * is shown to the caller as it is; the `cause` is only logged.
 */
export class Unavailable extends Error {
  readonly retryAfterSeconds: number;

  constructor(message: string, { retryAfterSeconds = 1, cause }: { retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(message, { cause });
    this.name = 'Unavailable';
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
