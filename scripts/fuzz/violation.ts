/** A promise broken, with what broke it. */
export interface Violation {
  what: string;
  /** Number and name of the request or payload: the same seed gives it again. */
  where: string;
  /** How it began, and what came of it. */
  sample: string;
}
