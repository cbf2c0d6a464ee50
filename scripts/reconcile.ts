import { parseArgs } from 'node:util';

import { reconcile, type Drift, type Reconciliation } from '../src/inventory';
import { openScriptDatabase } from './database';
import { exitCodes, runScript } from './exit';

const usage = `Usage: npm run reconcile [-- --repair] [--json]

Compares the stock counters with the movements and with what ACTIVE reservations hold.
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
    const outcome = await reconcile(database, values);
    process.stdout.write(values.json ? `${JSON.stringify(outcome)}\n` : report(outcome));
    return outcome.drift.length > outcome.repaired.length ? exitCodes.broken : exitCodes.passed;
  } finally {
    await close();
  }
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
