import { TokenRefused, type Access, type AccessDenied, type Caller, type Identity } from '../identity';
import { type WithHeaders } from './requestIds';

/**
 * Who asks, by the header `authorization`; undefined without one. A token that is not good is refused also where none is needed:
 * whoever shows one believes that it counts. Throws TokenRefused, or Unavailable while tokens cannot be checked.
 */
export function callerOf({ headers }: WithHeaders, identity: Identity | undefined): Caller | undefined | Promise<Caller> {
  const { authorization } = headers;
  if (authorization === undefined) return undefined;
  const token = typeof authorization === 'string' ? /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1] : undefined;
  if (token === undefined) throw new TokenRefused('Send the header authorization as `Bearer <token>`, or leave it out.');
  if (identity === undefined) throw new TokenRefused('No tokens are taken here.');
  return identity.callerOf(token);
}

/** The status and header of HTTP for it, after RFC 6750. */
export function challengeOf(denied: AccessDenied): { status: number; header: string } {
  const realm = 'Bearer realm="holdfast"';
  if (denied.code === 'FORBIDDEN') return { status: 403, header: `${realm}, error="insufficient_scope"` };
  return { status: 401, header: denied instanceof TokenRefused ? `${realm}, error="invalid_token"` : realm };
}

/** Rules as OpenAPI writes them: which of these will do. */
export function securityOf(...rules: (Access | undefined)[]): object[] {
  return rules.filter((rule) => rule !== undefined).map((rule) => (rule === 'anyone' ? {} : { token: [] }));
}
