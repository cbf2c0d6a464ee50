/** A promise broken, with what broke it. */
export interface Violation {
  what: string;
  /** Number and name of the request or payload: the same seed gives it again. */
  where: string;
  /** How it began, and what came of it. */
  sample: string;
}

/** After so many it is clear that something is wrong, and the rest would only bury it. */
export const VIOLATIONS_MAX = 50;
