import { v7 as uuidv7 } from 'uuid';

import { createInventory, seedProducts } from '../src/inventory';
import { createOutbox } from '../src/messaging';
import { openScriptDatabase } from './database';

/** `npm run seed`: adds the 24 sample products that are not there yet. Their events go out with the next sweep of a running relay. */
async function main() {
  const { config, database, close } = await openScriptDatabase('holdfast seed');
  try {
    const outbox = createOutbox({ database, schema: 'inventory', leaseMs: 0, handOver: () => undefined });
    const inventory = createInventory({ database, outbox, currency: config.CURRENCY, newId: uuidv7 });
    const { created, present, units } = await seedProducts(inventory, uuidv7());
    process.stdout.write(
      `${created} products added with ${units} units; ${present} were there already and were left as they are.\n`,
    );
  } finally {
    await close();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`Nothing was seeded: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
