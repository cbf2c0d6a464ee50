import { type Database, type Transaction } from '../src/database';
import { auditChecks, sold } from './audit/checks';
import { auditGroups, type AuditCheck, type AuditGroup, type AuditScope } from './audit/scope';

export { auditChecks, isOurs } from './audit/checks';
export {
  auditGroups,
  everything,
  type Acknowledged,
  type AuditedLine,
  type AuditGroup,
  type AuditScope,
  type ForeignOrder,
  type HeardEvent,
} from './audit/scope';

/** Asks the checks, all of them unless told which. Reads only. Each is one statement and so of one moment, save for long journals. */
export async function audit(database: Audited, scope: AuditScope, checks = auditChecks): Promise<AuditOutcome[]> {
  const outcomes: AuditOutcome[] = [];
  for (const check of checks) outcomes.push(await ask(database, check, scope));
  return outcomes;
}

/** How many rows break the promises of each group, all its checks together. */
export function brokenByGroup(outcomes: AuditOutcome[]): Record<AuditGroup, number> {
  const sums = Object.fromEntries(auditGroups.map((group) => [group, 0])) as Record<AuditGroup, number>;
  for (const { group, broken } of outcomes) sums[group] += broken;
  return sums;
}

/** Units of these products that confirmed orders hold or have taken, foreign ones included. */
export async function soldUnits(database: Audited, productIds: AuditScope['productIds']): Promise<number> {
  const [row] = await database.$queryRaw<{ units: number }[]>`
    SELECT coalesce(sum(units), 0)::float8 AS units FROM (${sold(productIds)}) AS sold`;
  return row!.units;
}

/** Anything that can be asked: an open database, or a transaction on it where all answers are to be of one moment. */
export type Audited = Pick<Database | Transaction, '$queryRaw'>;

export interface AuditOutcome {
  name: string;
  group: AuditGroup;
  /** What must hold, as a sentence. */
  promise: string;
  /** How many rows break it; 0 is a pass. */
  broken: number;
  /** The first few of them, in words. */
  examples: string[];
}

async function ask(
  database: Audited,
  { name, group, promise, breaks, byJournal }: AuditCheck,
  scope: AuditScope,
): Promise<AuditOutcome> {
  const outcome: AuditOutcome = { name, group, promise, broken: 0, examples: [] };
  for (const part of byJournal ? inParts(scope) : [scope]) {
    const [row] = await database.$queryRaw<{ broken: number; examples: string[] | null }[]>`
      SELECT count(*)::int AS broken, (array_agg(line ORDER BY line))[1:5] AS examples FROM (${breaks(part)}) AS found(line)`;
    outcome.broken += row!.broken;
    outcome.examples = [...outcome.examples, ...(row!.examples ?? [])].slice(0, 5);
  }
  return outcome;
}

/** A million acknowledgements in one statement would be a hundred megabytes of parameters. */
function inParts(scope: AuditScope): AuditScope[] {
  const size = 10_000;
  const count = Math.ceil(scope.acknowledged.length / size);
  return Array.from({ length: count }, (_, index) => ({
    ...scope,
    acknowledged: scope.acknowledged.slice(index * size, (index + 1) * size),
  }));
}
