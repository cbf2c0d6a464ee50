import { createSecretKey, hash } from 'node:crypto';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyResult,
} from 'jose';

import { Unavailable } from '../observability/unavailable';
import { TokenRefused } from './access';
import { roles, type Caller, type Role } from './caller';
import { type IdentitySettings } from './settings';

/** Knows callers by their tokens. */
export interface Identity {
  /**
   * Who shows this token. At once for one that was checked before. Rejects with TokenRefused for a token that is not good here, and
   * with Unavailable while the keys cannot be fetched.
   */
  callerOf(token: string): Caller | Promise<Caller>;
}

export interface IdentityOptions extends IdentitySettings {
  /** Milliseconds since 1970. */
  now?: () => number;
  /** How many callers are remembered. */
  rememberedMax?: number;
}

export function createIdentity(options: IdentityOptions): Identity {
  const { now = Date.now, rememberedMax = 10_000 } = options;
  const verify = verifier(options, now);
  const remembered = new Map<string, { caller: Caller; until: number }>();

  /** The oldest goes when there is no room: a Map keeps the order in which its entries were set. */
  function remember(key: string, caller: Caller, until: number) {
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!);
    remembered.set(key, { caller, until });
  }

  async function check(token: string, key: string): Promise<Caller> {
    const { payload } = await verify(token);
    const until = endOf(payload, options.ageMaxSeconds);
    const caller = { ...callerIn(payload, options.roleClaim), until };
    remember(key, caller, Math.min(until, now() + REMEMBERED_MS));
    return caller;
  }

  return {
    callerOf(token) {
      if (token.length > TOKEN_LENGTH_MAX) throw new TokenRefused(`The token is longer than ${TOKEN_LENGTH_MAX} characters.`);
      const key = hash('sha256', token, 'base64');
      const known = remembered.get(key);
      if (known === undefined) return check(token, key);
      remembered.delete(key);
      if (known.until <= now()) return check(token, key);
      remembered.set(key, known);
      return known.caller;
    },
  };
}

/** A clock that was set is noticed after this, and a key that was withdrawn after twice as long: keys are kept as long as tokens. */
const REMEMBERED_MS = 300_000;

/** Far above any token of ours; headers of HTTP end at 16 KiB. */
const TOKEN_LENGTH_MAX = 8_192;

/** How far the clocks of who signs and who checks may be apart. */
const CLOCK_TOLERANCE_SECONDS = 5;

/** Within this the address of the keys answers, or the caller is told to come back. */
const JWKS_TIMEOUT_MS = 5_000;
const JWKS_PAUSE_MS = 1_000;

type Verify = (token: string) => Promise<JWTVerifyResult>;

function verifier({ key, algorithm, issuer, audience, ageMaxSeconds }: IdentitySettings, now: () => number): Verify {
  const rules = () => ({
    ...{ algorithms: [algorithm], issuer, audience, requiredClaims: ['exp', 'sub'] },
    ...{ clockTolerance: CLOCK_TOLERANCE_SECONDS, currentDate: new Date(now()) },
    // jose takes it in seconds, and demands `iat` with it.
    ...(ageMaxSeconds !== undefined && { maxTokenAge: ageMaxSeconds }),
  });
  if ('secret' in key) {
    // As a key object it is made ready once, and not for every token.
    const secret = createSecretKey(key.secret, 'utf8');
    return (token) => jwtVerify(token, secret, rules()).catch(refuse);
  }
  const keys = withPauses(
    createRemoteJWKSet(new URL(key.jwksUrl), { timeoutDuration: JWKS_TIMEOUT_MS, cacheMaxAge: REMEMBERED_MS }),
    now,
  );
  return (token) => jwtVerify(token, keys, rules()).catch(refuse);
}

/**
 * Anybody can show tokens: while the address of the keys fails, it is asked once a second, and not for each of them. Those whose key
 * was fetched before are checked all the same, so that nobody locks them out by naming a key that is unknown, or of no use.
 */
function withPauses(keys: ReturnType<typeof createRemoteJWKSet>, now: () => number): JWTVerifyGetKey {
  let failure: { error: unknown; until: number } | undefined;
  return async (header, token) => {
    const fetched = failure !== undefined && now() < failure.until ? known(keys, failure.error) : keys;
    try {
      return await fetched(header, token);
    } catch (error) {
      if (!isBadToken(error) && fetched === keys) failure = { error, until: now() + JWKS_PAUSE_MS };
      throw error;
    }
  };
}

/** Those that were fetched lately; whether a token with another is good cannot be told. */
function known(keys: ReturnType<typeof createRemoteJWKSet>, failure: unknown): JWTVerifyGetKey {
  if (!keys.fresh) throw failure;
  const local = createLocalJWKSet(keys.jwks()!);
  return (header, token) =>
    local(header, token).catch(() => {
      throw failure;
    });
}

/** What the caller is told: enough to mend it, nothing about our keys. */
function refuse(error: unknown): never {
  if (error instanceof errors.JWTExpired) throw new TokenRefused('The token has expired: get a new one.');
  if (error instanceof errors.JWTClaimValidationFailed)
    throw new TokenRefused(`The token is not for this server: its claim \`${error.claim}\` is missing or another.`);
  if (isBadToken(error)) throw new TokenRefused('The token is not good here.');
  // What is left is about the address of the keys and not about the token.
  throw new Unavailable('Tokens cannot be checked right now.', { retryAfterSeconds: 5, cause: error });
}

function isBadToken(error: unknown): boolean {
  return badTokens.some((kind) => error instanceof kind);
}

const badTokens = [
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
];

/** Whichever comes first, its end or its age, in milliseconds since 1970. */
function endOf({ exp, iat }: JWTPayload, ageMaxSeconds = Infinity): number {
  return Math.min(exp!, (iat ?? Infinity) + ageMaxSeconds) * 1_000;
}

/** `sub` is who it is: of a customer, its customer id. */
function callerIn({ sub, ...claims }: JWTPayload, roleClaim: string): Caller {
  const role = roleIn(claims[roleClaim]);
  if (role === undefined)
    throw new TokenRefused(`The token's claim \`${roleClaim}\` must be one of ${roles.join(', ')}, or a list with one of them.`);
  // jose takes any JSON here, and some sign numbers.
  if (typeof sub !== 'string' || sub.length < 1 || sub.length > 100 || sub.includes('\u0000') || !sub.isWellFormed())
    throw new TokenRefused('The claim `sub` must be a text of 1 to 100 characters.');
  return role === 'customer' ? { role, customerId: sub } : { role, name: sub };
}

/** Whoever would be two of these must say which: a mistake there must not make an operator. */
function roleIn(claim: unknown): Role | undefined {
  const named = roles.filter((role) => (Array.isArray(claim) ? claim.includes(role) : claim === role));
  return named.length === 1 ? named[0] : undefined;
}
