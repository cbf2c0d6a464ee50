import { Client, type QueryResult } from 'pg';

import { type StatementNames } from './preparedStatements';

/** Gets the outcome and the statement it belongs to. */
export type Inspect = (result: QueryResult, statement: string) => void;

/**
 * A class of pg clients that show each result to `inspect` before the caller gets it. What `inspect` throws becomes the error of
 * that statement. Statements with parameters are prepared under the names that are given for them. For a pool's `Client` option,
 * where neither pg nor Prisma's adapter has a hook that every statement passes.
 */
export function inspectingClient(inspect: Inspect, names?: StatementNames): typeof Client {
  return class extends Client {
    // pg has twelve overloads of query; all end in a callback or return a promise.
    override query(...args: unknown[]): never {
      if (names && isNamable(args[0])) args[0].name ??= names.nameOf(args[0].text);
      const query = super.query.bind(this) as unknown as (...args: unknown[]) => Promise<Outcome> | undefined;
      const statement = statementOf(args[0]);
      const check = checkWith(inspect, statement);
      const failed = (error: unknown) => isStalePlan(error) && names?.forget(statement);
      const callback = args.at(-1);
      if (typeof callback === 'function')
        return query(...args.slice(0, -1), checkFirst(callback as Callback, check, failed)) as never;
      return query(...args)?.then(check, (error: unknown) => {
        failed(error);
        throw error;
      }) as never;
    }
  };
}

/** A migration has changed what the statement returns: the connection would refuse it under its name for ever. */
function isStalePlan(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === '0A000';
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

function checkFirst(callback: Callback, check: (outcome: Outcome) => Outcome, failed: (error: unknown) => unknown): Callback {
  return (error, outcome) => {
    if (error) failed(error);
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
