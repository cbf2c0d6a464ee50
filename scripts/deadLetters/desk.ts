import { Ending, exitCodes, usageFault } from '../exit';
import { type Client } from '../simulate/client';

/** What an operator does with dead letters, over the public GraphQL. */
export interface DeadLetterDesk {
  list(filter: Filter, state: string | undefined, limit: number): Promise<Listed>;
  show(id: string): Promise<LetterInFull | null>;
  /** In as many calls as it takes. Repeating a call is safe, so what the gateway loses on its way is asked again. */
  settle(verb: 'replay' | 'discard', selection: Selection, by: By): Promise<Settled>;
}

export interface Filter {
  queue?: string;
  type?: string;
  aggregateId?: string;
  reason?: string;
}

export type Selection = { ids: string[] } | { filter: Filter; limit: number };

export interface By {
  actor: string;
  reason: string;
  dryRun: boolean;
}

export interface Letter {
  id: string;
  queue: string;
  state: string;
  type: string | null;
  aggregateId: string | null;
  timesDied: number;
  diedAt: string;
  reason: string;
}

export interface LetterInFull extends Letter {
  exchange: string;
  routingKey: string;
  messageId: string | null;
  correlationId: string | null;
  attempt: number;
  bodySize: number;
  headers: { name: string; value: string }[];
  body: { encoding: 'UTF8' | 'BASE64'; content: string } | null;
  actions: { action: string; actor: string; caller: string | null; reason: string; at: string }[];
}

export interface Listed {
  counts: { queue: string; waiting: number; replayed: number; discarded: number; oldestWaiting: string | null }[];
  letters: Letter[];
  hasMore: boolean;
}

export interface Settled {
  dryRun: boolean;
  letters: SettledOne[];
}

export interface SettledOne {
  deadLetter: Letter;
  outcome: string;
  detail: string | null;
  understood: boolean | null;
}

/** How many letters one call asks for. */
const PAGE_SIZE = 100;

/** As long as a message at fault usually takes to die again. */
const SECOND_LOOK_MS = 1_000;

export function deadLetterDesk(client: Client): DeadLetterDesk {
  return {
    async list(filter, state, limit) {
      const letters: Letter[] = [];
      for (let after: string | undefined; ; ) {
        const first = Math.min(PAGE_SIZE, limit - letters.length);
        const answer = await client.ask<ListAnswer>(listQuery, { filter, state, first, after });
        const { nodes, pageInfo } = answer.deadLetters;
        letters.push(...nodes);
        if (!pageInfo.hasNextPage || letters.length >= limit) {
          return { counts: answer.deadLetterCounts, letters, hasMore: pageInfo.hasNextPage };
        }
        after = pageInfo.endCursor ?? undefined;
      }
    },
    async show(id) {
      return (await client.ask<{ deadLetter: LetterInFull | null }>(showQuery, { id })).deadLetter;
    },
    async settle(verb, selection, by) {
      const settled = await ('ids' in selection ? byIds(verb, selection.ids, by) : byFilter(verb, selection, by));
      return verb === 'replay' && !by.dryRun ? lookAgain(settled, by) : settled;
    },
  };

  /**
   * With a broker of its own, a message that dies again does so a moment after the broker took it: a dry run finds it waiting. Where
   * one has died others may be about to, so it is looked until nothing changes.
   */
  async function lookAgain(settled: Settled, by: By): Promise<Settled> {
    const replayed = settled.letters.filter(({ outcome }) => outcome === 'REPLAYED').map(({ deadLetter }) => deadLetter.id);
    if (replayed.length === 0) return settled;
    await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
    const { letters } = await byIds('replay', replayed, { ...by, dryRun: true });
    const waiting = letters.map(({ deadLetter }) => deadLetter).filter(({ state }) => state === 'WAITING');
    if (waiting.length === 0) return settled;
    const diedAgain = new Map(waiting.map((letter) => [letter.id, letter]));
    const now = settled.letters.map((one): SettledOne => {
      const deadLetter = diedAgain.get(one.deadLetter.id);
      return deadLetter ? { ...one, deadLetter, outcome: 'DIED_AGAIN', detail: deadLetter.reason } : one;
    });
    return lookAgain({ ...settled, letters: now }, by);
  }

  async function byIds(verb: Verb, ids: string[], by: By): Promise<Settled> {
    const letters: Settled['letters'] = [];
    for (let start = 0; start < ids.length; start += PAGE_SIZE) {
      letters.push(...(await call(verb, { ids: ids.slice(start, start + PAGE_SIZE), ...by })).letters);
    }
    return { dryRun: by.dryRun, letters };
  }

  /** Oldest first, each once: what dies again meanwhile keeps its place, behind the cursor. */
  async function byFilter(verb: Verb, { filter, limit }: { filter: Filter; limit: number }, by: By): Promise<Settled> {
    const letters: Settled['letters'] = [];
    for (let after: string | null = null; letters.length < limit; ) {
      const first = Math.min(PAGE_SIZE, limit - letters.length);
      const settled = await call(verb, { filter, first, after, ...by });
      letters.push(...settled.letters);
      after = settled.endCursor;
      if (!settled.hasMore) break;
    }
    return { dryRun: by.dryRun, letters };
  }

  async function call(verb: Verb, input: object): Promise<Settled & { hasMore: boolean; endCursor: string | null }> {
    const { result } = await client.ask<{ result: SettleAnswer }>(settleMutation(verb), { input });
    if (result.__typename === 'DeadLettersSettled') return result;
    if (result.__typename === 'ValidationError') throw usageFault(result.message);
    throw new Ending(exitCodes.failed, result.message);
  }
}

type Verb = 'replay' | 'discard';

interface ListAnswer {
  deadLetters: { nodes: Letter[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } };
  deadLetterCounts: Listed['counts'];
}

type SettleAnswer =
  | ({ __typename: 'DeadLettersSettled'; hasMore: boolean; endCursor: string | null } & Settled)
  | { __typename: 'ValidationError' | 'UnknownDeadLetterError'; message: string };

const letterFields = 'id queue state type aggregateId timesDied diedAt reason';

const listQuery = `query ($filter: DeadLetterFilterInput, $state: DeadLetterState, $first: Int!, $after: String) {
  deadLetters(filter: $filter, state: $state, first: $first, after: $after) {
    nodes { ${letterFields} } pageInfo { hasNextPage endCursor } }
  deadLetterCounts { queue waiting replayed discarded oldestWaiting } }`;

const showQuery = `query ($id: ID!) { deadLetter(id: $id) { ${letterFields}
  exchange routingKey messageId correlationId attempt bodySize headers { name value } body { encoding content }
  actions { action actor caller reason at } } }`;

const settleMutation = (verb: Verb) => `mutation ($input: SettleDeadLettersInput!) { result: ${verb}DeadLetters(input: $input) {
  __typename
  ... on DeadLettersSettled { dryRun hasMore endCursor letters { outcome detail understood deadLetter { ${letterFields} } } }
  ... on ErrorResult { message } } }`;
