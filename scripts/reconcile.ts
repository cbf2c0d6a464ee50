import { parseArgs } from 'node:util';

import { type Database } from '../src/database';
import { reconcile, type Drift, type Reconciliation } from '../src/inventory';
import { audit, auditChecks, everything, type AuditOutcome } from './audit';
import { openScriptDatabase } from './database';
import { exitCodes, runScript } from './exit';

const usage = `Usage: npm run reconcile [-- --repair] [--json]

Compares the stock counters with the movements and with what ACTIVE reservations hold, and asks of the whole shop whatever must
hold at every moment: the same checks that the simulator and the chaos harness judge by.
  --repair   writes REPAIR movements and sets the counters to them
  --json     prints one object

Exit codes: 0 the books agree, or agree now · 1 failed · 2 they do not agree · 64 wrong options · 69 Postgres out of reach
`;

/** `npm run reconcile`. */
async function main(): Promise<number> {
  const options = {
    repair: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  const { values } = parseArgs({ options });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const { database, close } = await openScriptDatabase('holdfast reconcile');
  try {
    const books = await reconcile(database, values);
    const broken = await brokenPromises(database);
    process.stdout.write(
      values.json ? `${JSON.stringify({ ...books, broken })}\n` : report(books) + broken.map(explained).join(''),
    );
    return books.drift.length > books.repaired.length || broken.length > 0 ? exitCodes.broken : exitCodes.passed;
  } finally {
    await close();
  }
}

/** What holds only at rest is not asked of a shop at work. */
async function brokenPromises(database: Database): Promise<AuditOutcome[]> {
  const always = auditChecks.filter((check) => !check.atRest);
  return (await audit(database, everything, always)).filter(({ broken }) => broken > 0);
}

function explained({ promise, broken, examples }: AuditOutcome): string {
  return [`\nBroken ${broken} times: ${promise}`, ...examples.map((example) => `  ${example}`), ''].join('\n');
}

function report({ drift, repaired, oversold }: Reconciliation): string {
  if (drift.length === 0)
    return 'The books agree: every counter is the sum of its movements, and holds what its reservations hold.\n';
  const header = `${'product'.padEnd(8)} ${'sku'.padEnd(20)} ${'on hand'.padStart(8)} ${'moved'.padStart(8)} ${'reserved'.padStart(9)} ${'moved'.padStart(8)} ${'held'.padStart(8)}`;
  const lines = [header, ...drift.map(row)];
  lines.push('', `${drift.length} products drift; ${repaired.length} repaired.`);
  if (oversold.length > 0)
    lines.push(
      `${oversold.length} promise more than is there and need a person: cancel orders or add stock, then reconcile again.`,
    );
  else if (repaired.length < drift.length) lines.push('Run it with --repair to mend them.');
  return `${lines.join('\n')}\n`;
}

function row({ productId, sku, onHand, reserved }: Drift): string {
  const figures = [onHand.counter, onHand.movements, reserved.counter, reserved.movements, reserved.held];
  const widths = [8, 8, 9, 8, 8];
  return `${String(productId).padEnd(8)} ${sku.padEnd(20)} ${figures.map((figure, index) => String(figure).padStart(widths[index]!)).join(' ')}`;
}

runScript('reconcile', main);
