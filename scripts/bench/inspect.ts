import { audit, auditChecks, type AuditOutcome, type AuditScope } from '../audit';
import { refuseToGoOn } from './interruption';
import { type Site } from './site';
import { type Stage } from './stage';
import { allCustomers } from './workers/orders';

/** What is left to see when a site has been measured. */
export interface Inspection {
  site: string;
  /** Of each part, in MiB. */
  peakMiB: Record<string, number>;
  broken: AuditOutcome[];
  /** See `Site`. */
  badEnds: readonly string[];
}

/** Holds every promise against what a site has done, then ends it. Orders that were preloaded are not its doing. */
export async function inspect({ progress, signal }: Stage, site: Site, foreign: AuditScope['foreign'] = []): Promise<Inspection> {
  site.notePeaks();
  progress.note(`auditing ${site.name}`);
  const { uniform, hot } = site.products;
  const scope = { customers: allCustomers(), productIds: [...uniform, hot], acknowledged: [], foreign, soldOutProductIds: [] };
  const outcomes: AuditOutcome[] = [];
  for (const check of auditChecks) {
    refuseToGoOn(signal);
    outcomes.push(...(await audit(site.database, scope, [check])));
  }
  await site.stop();
  const broken = outcomes.filter((outcome) => outcome.broken > 0);
  return { site: site.name, peakMiB: site.peaksMiB(), broken, badEnds: site.badEnds() };
}
