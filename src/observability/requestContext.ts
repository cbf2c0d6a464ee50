import type { Caller } from '../identity/caller';
import type { Logger } from './logger';

/** What every resolver gets to know about the request it serves. */
export interface RequestContext {
  /** Of this one HTTP request; quoted in its errors and log lines. */
  requestId: string;
  /** Of the whole conversation: goes into the events that follow. */
  correlationId: string;
  /** From the `Idempotency-Key` header; an `idempotencyKey` in the input goes first. */
  idempotencyKey?: string;
  /** Who asks; undefined when no token was shown. */
  caller?: Caller;
  /** Where whoever shows no token asks from; undefined on this machine. */
  address?: string;
  /** Counts more of a large request to the rate limits of whoever asks. */
  charge?: (points: number) => void;
  log: Logger;
  /** True when nobody waits for the answer any more. */
  hasLeft?: () => boolean;
  /** What is to be done when the answer is made, whatever it says. */
  afterwards?: (() => void)[];
  /** Of a subscription: aborted when nobody listens any more. */
  signal?: AbortSignal;
  /** Of an event of a subscription: the same for all who hear of it at once, so that what belongs to it is read once for all of them. */
  together?: object;
}
