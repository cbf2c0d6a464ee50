import { type Caller, type Role } from './caller';

/** Who may use a field, an address or a method. What carries none of these may be used by nobody. */
export const accessRules = {
  /** Also without a token. */
  anyone: undefined,
  /** Whoever shows a token; a customer meets only what is its own. */
  known: ['customer', 'operator', 'service'],
  /** Those who run the shop, and the programs of the house. */
  staff: ['operator', 'service'],
  /** People, because an answer for it is asked of them. */
  operators: ['operator'],
} satisfies Record<string, readonly Role[] | undefined>;

export type Access = keyof typeof accessRules;

/** A caller who may not have what it asks for. Each door says it in its own words. */
export class AccessDenied extends Error {
  override name = 'AccessDenied';

  constructor(
    readonly code: 'UNAUTHENTICATED' | 'FORBIDDEN',
    message: string,
  ) {
    super(message);
  }
}

/** A token that is not good here, whatever it was shown for. */
export class TokenRefused extends AccessDenied {
  override name = 'TokenRefused';

  constructor(message: string) {
    super('UNAUTHENTICATED', message);
  }
}

/** Throws AccessDenied unless the caller may. Default deny: where no rule was written down, nobody may. */
export function demand(access: Access | undefined, caller: Caller | undefined): void {
  if (access === 'anyone') return;
  if (caller === undefined)
    throw new AccessDenied('UNAUTHENTICATED', 'This needs a token: send the header `authorization: Bearer <token>`.');
  const permitted: readonly Role[] = access === undefined ? [] : accessRules[access];
  if (!permitted.includes(caller.role)) throw new AccessDenied('FORBIDDEN', `The role ${caller.role} may not do this.`);
}

/** The customer whose things alone the caller may meet; undefined when it may meet everybody's. */
export function ownerOf(caller: Caller | undefined): string | undefined {
  if (caller === undefined) throw new AccessDenied('UNAUTHENTICATED', 'This needs a token.');
  return caller.role === 'customer' ? caller.customerId : undefined;
}

/** Throws AccessDenied when a customer acts in the name of another. */
export function demandOwn(caller: Caller | undefined, customerId: string): void {
  const owner = ownerOf(caller);
  if (owner !== undefined && owner !== customerId)
    throw new AccessDenied('FORBIDDEN', 'A customer acts for itself: `customerId` must be the one of your token.');
}
