import { z } from 'zod';

import { text } from '../contracts';
import { type Database } from '../database';
import { isLetterId } from './deadLetter';
import { findDeadLetters, listWaiting, type DeadLetterFilter, type DeadLetterView } from './readDeadLetters';

/** How many letters one call settles at most; who has more calls again with `after`. */
export const LETTERS_PER_CALL_MAX = 100;

/** Which letters, by whom and why. */
export interface SettleInput {
  /** These, whatever their state; or those that wait and fit the filter: exactly one of the two. */
  ids?: string[] | null;
  filter?: Omit<DeadLetterFilter, 'state'> | null;
  /** With a filter: how many at most, oldest first. */
  first?: number | null;
  /** With a filter: only those after this letter. What died again meanwhile stands before it, so a walk through all ends. */
  after?: string | null;
  /** Only say what would be done. */
  dryRun?: boolean | null;
  actor: string;
  reason: string;
}

export type SettledOutcome =
  /** Published, and confirmed. */
  | 'REPLAYED'
  /** Published, and dead once more already; it waits again. */
  | 'DIED_AGAIN'
  /** On its way, by this call or another: it is settled when its message is. */
  | 'UNDER_WAY'
  /** The broker did not take it; it still waits. */
  | 'FAILED'
  | 'DISCARDED'
  /** It had been replayed or discarded before; nothing was done. */
  | 'ALREADY'
  | 'WOULD_REPLAY'
  | 'WOULD_DISCARD';

/** What became of one letter, as it is now. */
export interface SettledLetter {
  letter: DeadLetterView;
  outcome: SettledOutcome;
  /** More, for people. */
  detail?: string;
  /** Of a dry run: whether the message would be understood today; undefined where that cannot be known. */
  isUnderstood?: boolean;
}

export type SettleResult =
  | { type: 'done'; dryRun: boolean; letters: SettledLetter[]; endCursor: string | null; hasMore: boolean }
  | { type: 'invalid'; fields: { path: string; code: string; message: string }[] }
  | { type: 'unknown-dead-letter'; id: string };

/** Who settles, and why: it stands in the letter and in its actions. */
export interface Settler {
  /** As typed. */
  actor: string;
  /** As the token says; undefined where none was shown, as within the process. */
  caller?: string;
  reason: string;
}

type Work = (letters: DeadLetterView[], settler: Settler) => Promise<SettledLetter[]>;

/** What replaying and discarding have in common: the input is checked, the letters are found, then looked at or settled. */
export function settling(database: Database, { settle, preview }: { settle: Work; preview: Work }) {
  return async (input: SettleInput, caller?: string): Promise<SettleResult> => {
    const parsed = settleSchema.safeParse(input);
    if (!parsed.success) {
      const fields = parsed.error.issues.map(({ path, code, message }) => ({ path: path.join('.'), code, message }));
      return { type: 'invalid', fields };
    }
    const { ids, filter, first, after, dryRun, actor, reason } = parsed.data;
    const found = ids
      ? await findDeadLetters(database, ids)
      : await listWaiting(database, filter!, first + 1, after ?? undefined);
    const unknown = ids?.find((id) => !found.some((letter) => letter.id === id.toLowerCase()));
    if (unknown !== undefined) return { type: 'unknown-dead-letter', id: unknown };
    const page = ids ? found : found.slice(0, first);
    const letters = await (dryRun ? preview : settle)(page, { actor, caller, reason });
    return { type: 'done', dryRun, letters, endCursor: page.at(-1)?.id ?? null, hasMore: found.length > page.length };
  };
}

/** Can be settled. By this process's clock, which is good enough to say so; a claim itself goes by the database's. */
export function isOpen({ state, replayingUntil }: DeadLetterView): boolean {
  return state === 'WAITING' && (replayingUntil === null || replayingUntil.getTime() < Date.now());
}

/** For letters that nothing was done about: why not. */
export function untouched(letter: DeadLetterView): SettledLetter {
  if (letter.state === 'WAITING') return { letter, outcome: 'UNDER_WAY', detail: 'somebody replays it this moment' };
  const { settledBy, settledBecause } = letter;
  return { letter, outcome: 'ALREADY', detail: `${letter.state.toLowerCase()} by ${settledBy}: ${settledBecause}` };
}

const settleSchema = z
  .object({
    ids: z.array(z.string()).min(1, 'must not be empty').max(LETTERS_PER_CALL_MAX).nullish(),
    filter: z
      .object({
        queue: text(255).nullish(),
        type: text(200).nullish(),
        aggregateId: text(200).nullish(),
        reason: text(500).nullish(),
      })
      .nullish(),
    first: z
      .int()
      .min(1)
      .max(LETTERS_PER_CALL_MAX)
      .nullish()
      .transform((first) => first ?? LETTERS_PER_CALL_MAX),
    after: z.string().refine(isLetterId, 'must be an endCursor').nullish(),
    dryRun: z
      .boolean()
      .nullish()
      .transform((dryRun) => dryRun ?? false),
    actor: text(100),
    reason: text(500),
  })
  .refine(({ ids, filter }) => (ids == null) !== (filter == null), {
    path: ['ids'],
    message: 'name the letters by ids or by filter, exactly one of the two',
  });
