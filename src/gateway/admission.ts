import { TokenRefused, type Caller, type Identity } from '../identity';
import { type AddressOf } from './addresses';
import { callerOf } from './callers';
import { type RateLimits } from './rateLimits';
import { type WithHeaders } from './requestIds';

/** Who is let in, and how often. */
export interface Admission {
  /** What tokens are checked by; without it none is good. */
  identity?: Identity;
  /** Without it nobody asks too often. */
  rateLimits?: RateLimits;
  addressOf?: AddressOf;
}

export interface Admitted {
  caller: Caller | undefined;
  /** Of whoever shows no token. */
  address?: string;
  charge?: Charge;
}

/** Counts more of a request that turns out to be a large one; undefined where nothing is counted. */
export type Charge = ((points: number) => void) | undefined;

/**
 * What a body or a document that is refused counts more than another: to read it and to see what is wrong with it may cost more than
 * to carry out most.
 */
export const REFUSED_POINTS = 9;

/**
 * Who asks, counted by the rate limits: what every door does first. A token that is not good counts for its address, so that
 * nobody can try many. Throws TokenRefused, RateLimited, or Unavailable while tokens cannot be checked.
 */
export async function admit(
  request: WithHeaders,
  peer: string | undefined,
  { identity, rateLimits, addressOf }: Admission,
): Promise<Admitted> {
  const visit = (caller?: Caller) => rateLimits?.admit(caller, () => addressOf?.(request, peer));
  try {
    const caller = await callerOf(request, identity);
    return { caller, address: caller ? undefined : addressOf?.(request, peer), charge: visit(caller) };
  } catch (error) {
    if (error instanceof TokenRefused) visit();
    throw error;
  }
}

/** The header of HTTP that says when to come back. */
export function retryHeader({ retryAfterSeconds }: { retryAfterSeconds: number }): Record<string, string> {
  return { 'retry-after': String(retryAfterSeconds) };
}
