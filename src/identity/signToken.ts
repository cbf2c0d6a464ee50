import { SignJWT } from 'jose';

import { type Caller } from './caller';
import { type IdentitySettings } from './settings';

/** A token of our own, where a secret is shared: for development, and for the programs that come with Holdfast. */
export function signToken(settings: IdentitySettings, caller: Caller, lifetimeSeconds: number): Promise<string> {
  const { key, algorithm, issuer, audience, roleClaim } = settings;
  if (!('secret' in key)) throw new Error('Tokens are signed elsewhere: AUTH_JWKS_URL gives only the public keys.');
  const issuedAt = Math.floor(Date.now() / 1_000);
  return new SignJWT({ [roleClaim]: caller.role })
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setSubject(caller.role === 'customer' ? caller.customerId : caller.name)
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + lifetimeSeconds)
    .sign(new TextEncoder().encode(key.secret));
}
