/** A change that breaks clients of the last release, in the words of the test that refuses it. */
export interface AcceptedBreak {
  change: string;
  /** The day it was accepted: `2026-11-26`. */
  on: string;
  /** Why it is worth it, and what clients are to do. */
  because: string;
}

/** Since `schema.released.graphql`. */
export const acceptedBreaks: AcceptedBreak[] = [];

export function unaccepted(breaks: string[], accepted: AcceptedBreak[]): string[] {
  return breaks.filter((change) => !accepted.some((one) => one.change === change));
}
