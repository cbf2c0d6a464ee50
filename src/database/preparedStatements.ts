/** The names under which a pool's connections keep their statements prepared. */
export interface StatementNames {
  /** Undefined for one that is better planned anew each time. */
  nameOf: (statement: string) => string | undefined;
  /** What is prepared under its name is of no more use: from now on it has another. */
  forget: (statement: string) => void;
}

/**
 * Names each text once, so that every connection parses and plans it once and not at each call. Texts are few, because what varies
 * is a parameter; should some caller build them without end, those past the limit go unnamed, and no connection grows for ever.
 */
export function rememberStatements(limit = STATEMENTS_MAX): StatementNames {
  const names = new Map<string, string>();
  let given = 0;
  return {
    nameOf(statement) {
      const known = names.get(statement);
      if (known !== undefined || names.size >= limit) return known;
      const name = `holdfast_${++given}`;
      names.set(statement, name);
      return name;
    },
    forget: (statement) => void names.delete(statement),
  };
}

/** Far above what the program has, and small for a server: a plan takes some ten kilobytes of its connection. */
const STATEMENTS_MAX = 200;
