export const roles = ['customer', 'operator', 'service'] as const;

/** A customer acts for itself; an operator runs the shop; a service is another program of the house. */
export type Role = (typeof roles)[number];

/** Who asks, as its token says. Nobody who shows no token is one of these. */
export type Caller = ({ role: 'customer'; customerId: string } | { role: 'operator' | 'service'; name: string }) & {
  /** When its token ends, in milliseconds since 1970: what goes on for long ends with it. */
  until?: number;
};
