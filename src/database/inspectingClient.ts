import { Client, type QueryResult } from 'pg';

/** Gets the outcome and the statement it belongs to. */
export type Inspect = (result: QueryResult, statement: string) => void;

/** The name under which the server keeps a statement prepared; undefined for one that is better planned anew each time. */
export type NameStatement = (statement: string) => string | undefined;

/**
 * A class of pg clients that show each result to `inspect` before the caller gets it. What `inspect` throws becomes the error of
 * that statement. Statements with parameters are prepared under the name that `nameOf` gives. For a pool's `Client` option, where
 * neither pg nor Prisma's adapter has a hook that every statement passes.
 */
export function inspectingClient(inspect: Inspect, nameOf: NameStatement = () => undefined): typeof Client {
  return class extends Client {
    // pg has twelve overloads of query; all end in a callback or return a promise.
    override query(...args: unknown[]): never {
      if (isNamable(args[0])) args[0].name ??= nameOf(args[0].text);
      const query = super.query.bind(this) as unknown as (...args: unknown[]) => Promise<Outcome> | undefined;
      const check = checkWith(inspect, statementOf(args[0]));
      const callback = args.at(-1);
      if (typeof callback === 'function') return query(...args.slice(0, -1), checkFirst(callback as Callback, check)) as never;
      return query(...args)?.then(check) as never;
    }
  };
}

function isNamable(query: unknown): query is { name?: string; text: string } {
  const { text, values } = (query ?? {}) as { text?: unknown; values?: unknown[] };
  return typeof text === 'string' && Array.isArray(values) && values.length > 0;
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
