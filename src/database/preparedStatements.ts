import { type NameStatement } from './inspectingClient';

/**
 * Names the statements of a pool, each text once, so that every connection parses and plans it once and not at each call. Texts
 * are few, because what varies is a parameter; should some caller build them without end, those past the limit go unnamed, and no
 * connection grows for ever.
 */
export function rememberStatements(limit = STATEMENTS_MAX): NameStatement {
  const names = new Map<string, string>();
  return (statement) => {
    const known = names.get(statement);
    if (known !== undefined || names.size >= limit) return known;
    const name = `holdfast_${names.size + 1}`;
    names.set(statement, name);
    return name;
  };
}

/** Far above what the program has, and small for a server: a plan takes some ten kilobytes of its connection. */
const STATEMENTS_MAX = 200;
