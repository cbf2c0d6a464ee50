/**
 * What a failed database call means for the one who made it:
 *
 * - `retry`: rolled back because of others at work; the whole transaction can run again at once.
 * - `unavailable`: nothing was done, and the database cannot serve now (unreachable, full, too slow); try later.
 * - `unknown-outcome`: the connection went away; the transaction is committed or not. Read before doing it again.
 * - `conflict`: a unique key is taken. `constraint`: another rule of the schema refused. `data`: a value the column cannot hold.
 * - `other`: a fault of the program, or no database error at all.
 */
export type DatabaseErrorClass = 'retry' | 'unavailable' | 'unknown-outcome' | 'conflict' | 'constraint' | 'data' | 'other';

/** Never throws. The server's SQLSTATE decides where there is one, then Prisma's or the socket's code, and text only where there is no code at all. */
export function classifyDatabaseError(error: unknown): DatabaseErrorClass {
  const sqlState = sqlStateOf(error);
  if (sqlState !== undefined) return classBySqlState(sqlState);
  for (const link of linksOf(error)) {
    const found = classByCode(link);
    if (found !== undefined) return found;
  }
  return classByText(error);
}

/** True when the surroundings are at fault and not the work, which may be done again; after an unknown outcome, if that is harmless. */
export function isPassingFault(error: unknown): boolean {
  return ['retry', 'unavailable', 'unknown-outcome'].includes(classifyDatabaseError(error));
}

/** The server's five-character code, from a Prisma error of any shape, an adapter error or one of pg's own. */
export function sqlStateOf(error: unknown): string | undefined {
  for (const link of linksOf(error)) {
    const code = link.originalCode ?? (link.kind === 'postgres' || typeof link.severity === 'string' ? link.code : undefined);
    if (typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code)) return code;
  }
  return undefined;
}

type Link = Record<string, unknown>;

/** An error, then what it wraps: `meta.driverAdapterError` for Prisma's, `cause` for everyone else's. Bounded, because a cause may point back. */
function linksOf(error: unknown): Link[] {
  const links: Link[] = [];
  let next: unknown = error;
  while (isLink(next) && links.length < 8) {
    links.push(next);
    next = (isLink(next.meta) ? next.meta.driverAdapterError : undefined) ?? next.cause;
  }
  return links;
}

function isLink(value: unknown): value is Link {
  return typeof value === 'object' && value !== null;
}

function classBySqlState(sqlState: string): DatabaseErrorClass {
  return classBySqlStateExactly.get(sqlState) ?? classBySqlStatePrefix.get(sqlState.slice(0, 2)) ?? 'other';
}

const classBySqlStateExactly = new Map<string, DatabaseErrorClass>([
  ['0A000', 'retry'], // a plan from before a migration, which is forgotten now; nothing else of ours is unsupported
  ['40001', 'retry'], // serialization failure
  ['40P01', 'retry'], // deadlock
  ['40003', 'unknown-outcome'], // statement completion unknown
  ['55P03', 'retry'], // lock not available within lock_timeout
  ['08001', 'unavailable'], // connection not established
  ['08004', 'unavailable'], // connection refused by the server
  ['57014', 'unavailable'], // cancelled, by statement_timeout or an operator
  ['57P01', 'unknown-outcome'], // admin shutdown
  ['57P02', 'unknown-outcome'], // crash shutdown
  ['57P03', 'unavailable'], // starting up or shutting down
  ['57P05', 'unavailable'], // idle session ended
  ['25006', 'unavailable'], // read-only: talking to a replica
  ['25P03', 'unavailable'], // idle in transaction for too long: ended and rolled back
  ['23505', 'conflict'], // unique violation
  ['23P01', 'conflict'], // exclusion violation
]);

const classBySqlStatePrefix = new Map<string, DatabaseErrorClass>([
  ['08', 'unknown-outcome'], // connection lost
  ['22', 'data'],
  ['23', 'constraint'],
  ['28', 'unavailable'], // not let in
  ['3D', 'unavailable'], // no such database
  ['40', 'retry'], // rolled back
  ['53', 'unavailable'], // too many connections, disk full, out of memory
  ['58', 'unavailable'], // I/O error of the server
]);

function classByCode(link: Link): DatabaseErrorClass | undefined {
  if (link.name === 'RetryTransaction') return 'retry';
  if (link.syscall === 'connect') return 'unavailable';
  const code = link.code ?? link.errorCode;
  return (
    (typeof code === 'string' ? classByErrorCode.get(code) : undefined) ??
    (typeof link.kind === 'string' ? classByKind.get(link.kind) : undefined)
  );
}

/** Prisma's codes and the socket's. P2028 is always a transaction that was not committed: never begun, or rolled back at its timeout. */
const classByErrorCode = new Map<string, DatabaseErrorClass>([
  ['P2034', 'retry'],
  ...['P1000', 'P1001', 'P1003', 'P1010', 'P1011', 'P2024', 'P2028', 'P2037'].map((code) => [code, 'unavailable'] as const),
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].map((code) => [code, 'unavailable'] as const),
  ...['P1002', 'P1008', 'P1017', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'].map((code) => [code, 'unknown-outcome'] as const),
  ['P2002', 'conflict'],
  ...['P2003', 'P2004', 'P2011', 'P2014'].map((code) => [code, 'constraint'] as const),
  ...['P2000', 'P2005', 'P2006', 'P2007', 'P2020', 'P2033'].map((code) => [code, 'data'] as const),
]);

/** The adapter's names for what failed below SQL. */
const classByKind = new Map<string, DatabaseErrorClass>([
  ['DatabaseNotReachable', 'unavailable'],
  ['TlsConnectionError', 'unavailable'],
  ['TooManyConnections', 'unavailable'],
  ['ConnectionClosed', 'unknown-outcome'],
  ['SocketTimeout', 'unknown-outcome'],
  ['TransactionWriteConflict', 'retry'],
]);

/** pg and its pool throw plain errors for these; their words are all there is. */
function classByText(error: unknown): DatabaseErrorClass {
  const text = linksOf(error)
    .map((link) => link.message)
    .join('\n');
  if (/timeout exceeded when trying to connect|connection timeout|after calling end on the pool/.test(text)) return 'unavailable';
  if (/Connection terminated|Connection ended|not queryable|Client was closed/.test(text)) return 'unknown-outcome';
  return 'other';
}
