/** What makes a token good. */
export interface IdentitySettings {
  key: { secret: string } | { jwksUrl: string };
  /** The only one that is taken, whatever a token says of itself. */
  algorithm: Algorithm;
  issuer: string;
  audience: string;
  /** Where in the token the role stands. */
  roleClaim: string;
  /** Older tokens are refused, whatever end they have; undefined: as long as they say. */
  ageMaxSeconds?: number;
}

export const algorithms = ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA'] as const;
export type Algorithm = (typeof algorithms)[number];

/** The settings of the environment that tokens are checked by. */
export interface AuthConfig {
  AUTH_SECRET?: string;
  AUTH_JWKS_URL?: string;
  AUTH_ALGORITHM?: Algorithm;
  AUTH_ISSUER?: string;
  AUTH_AUDIENCE?: string;
  AUTH_ROLE_CLAIM: string;
  AUTH_TOKEN_AGE_MAX_SECONDS?: number;
}

/** What of the settings contradicts itself. A secret is never used as a public key, nor the other way round. */
export function identityProblems(config: AuthConfig): string[] {
  const { AUTH_SECRET, AUTH_JWKS_URL, AUTH_ALGORITHM, AUTH_ISSUER, AUTH_AUDIENCE } = config;
  const problems: string[] = [];
  if (AUTH_SECRET !== undefined && AUTH_JWKS_URL !== undefined)
    problems.push('AUTH_SECRET: give this or AUTH_JWKS_URL, and not both');
  if (AUTH_JWKS_URL !== undefined && (AUTH_ISSUER === undefined || AUTH_AUDIENCE === undefined))
    problems.push('AUTH_JWKS_URL: needs AUTH_ISSUER and AUTH_AUDIENCE, as they stand in the tokens');
  if (AUTH_SECRET !== undefined && AUTH_ALGORITHM !== undefined && AUTH_ALGORITHM !== 'HS256')
    problems.push('AUTH_ALGORITHM: must be HS256 with AUTH_SECRET');
  if (AUTH_JWKS_URL !== undefined && AUTH_ALGORITHM === 'HS256')
    problems.push('AUTH_ALGORITHM: must be one with a public key with AUTH_JWKS_URL, such as RS256');
  return problems;
}

/** Undefined when nothing says by what tokens are checked. */
export function identitySettings(config: AuthConfig): IdentitySettings | undefined {
  const { AUTH_SECRET: secret, AUTH_JWKS_URL: jwksUrl, AUTH_ALGORITHM, AUTH_ROLE_CLAIM: roleClaim } = config;
  const { AUTH_ISSUER: issuer = 'holdfast', AUTH_AUDIENCE: audience = 'holdfast' } = config;
  const rules = { issuer, audience, roleClaim, ageMaxSeconds: config.AUTH_TOKEN_AGE_MAX_SECONDS };
  if (secret !== undefined) return { key: { secret }, algorithm: 'HS256', ...rules };
  if (jwksUrl !== undefined) return { key: { jwksUrl }, algorithm: AUTH_ALGORITHM ?? 'RS256', ...rules };
  return undefined;
}
