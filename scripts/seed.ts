import { parseArgs } from 'node:util';
import { v7 as uuidv7 } from 'uuid';

import { createInventory, seedProducts } from '../src/inventory';
import { createOutbox } from '../src/messaging';
import { openScriptDatabase } from './database';
import { exitCodes, runScript } from './exit';

const usage = `Usage: npm run seed

Adds the 24 sample products that are not there yet, and touches none that are. Into DATABASE_URL, or else the embedded database of
the data folder (HOLDFAST_DATA), whether Holdfast runs on it or not.

Exit codes: 0 they are all there · 1 failed · 64 wrong settings · 69 Postgres out of reach
`;

/** `npm run seed`. The events of new products go out with the next sweep of a running relay. */
async function main(): Promise<number> {
  if (parseArgs({ options: { help: { type: 'boolean' } } }).values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const { config, database, close } = await openScriptDatabase('holdfast seed');
  try {
    const outbox = createOutbox({ database, schema: 'inventory', leaseMs: 0, handOver: () => undefined });
    const inventory = createInventory({ database, outbox, currency: config.CURRENCY, newId: uuidv7 });
    const { created, present, units } = await seedProducts(inventory, uuidv7());
    process.stdout.write(
      `${created} products added with ${units} units; ${present} were there already and were left as they are.\n`,
    );
    return exitCodes.passed;
  } finally {
    await close();
  }
}

runScript('seed', main);
