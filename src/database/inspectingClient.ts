import { Client, type QueryResult } from 'pg';

/** Gets the outcome and the statement it belongs to. */
type Inspect = (result: QueryResult, statement: string) => void;

/**
 * A class of pg clients that show each result to `inspect` before the caller gets it. What `inspect` throws becomes the error of
 * that statement. For a pool's `Client` option, where neither pg nor Prisma's adapter has a hook.
 */
export function inspectingClient(inspect: Inspect): typeof Client {
  return class extends Client {
    // pg has twelve overloads of query; all end in a callback or return a promise.
    override query(...args: unknown[]): never {
      const query = super.query.bind(this) as unknown as (...args: unknown[]) => Promise<Outcome> | undefined;
      const check = checkWith(inspect, statementOf(args[0]));
      const callback = args.at(-1);
      if (typeof callback === 'function') return query(...args.slice(0, -1), checkFirst(callback as Callback, check)) as never;
      return query(...args)?.then(check) as never;
    }
  };
}

type Outcome = QueryResult | QueryResult[];
type Callback = (error: unknown, outcome?: Outcome) => void;

/** A script of several statements has several results. */
function checkWith(inspect: Inspect, statement: string): (outcome: Outcome) => Outcome {
  return (outcome) => {
    for (const result of Array.isArray(outcome) ? outcome : [outcome]) inspect(result, statement);
    return outcome;
  };
}

function checkFirst(callback: Callback, check: (outcome: Outcome) => Outcome): Callback {
  return (error, outcome) => {
    if (error || outcome === undefined) return callback(error, outcome);
    try {
      check(outcome);
    } catch (refusal) {
      return callback(refusal);
    }
    callback(undefined, outcome);
  };
}

function statementOf(query: unknown): string {
  return typeof query === 'string' ? query : ((query as { text?: string } | undefined)?.text ?? '');
}
