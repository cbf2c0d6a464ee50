import fc from 'fast-check';

import { createMetrics } from '../../src/observability';
import { createTestDatabase } from '../support/postgres';
import { everyCommand } from './commands';
import { createPostgresShop } from './postgresShop';
import { createPureShop } from './pureShop';
import { type Shop } from './shop';

/** Two scarce products and one that suffices. Ten times the dose in `npm run test:long`; any other: `MODEL_RUNS=100000 npx jest test/model`. */
const units = [2, 5, 30];
const runs = (usual: number) => Number(process.env.MODEL_RUNS ?? (process.env.HOLDFAST_TESTS === 'long' ? 10 * usual : usual));

/** Fails with the seed and the path that repeat it, and the shortest sequence of commands that still fails. */
function agrees(newShop: () => Promise<Shop>, numRuns: number, maxCommands: number): Promise<void> {
  const anything = fc.commands(everyCommand(units.length), { maxCommands, size: 'max' });
  const aRun = fc.asyncProperty(anything, (commands) =>
    fc.asyncModelRun(async () => ({ model: aModel(), real: await newShop() }), commands),
  );
  return fc.assert(aRun, { numRuns });
}

const aModel = () => ({ stock: units.map((onHand) => ({ onHand, reserved: 0 })), orders: [], post: [], created: [] });

it('the pure rules do what the model says, whatever is delivered twice, late, in another order or never', async () => {
  await agrees(() => Promise.resolve(createPureShop(units)), runs(1_000), 50);
}, 600_000);

it('the use cases and handlers on Postgres do what the model says, and the audit holds after every command', async () => {
  const { database, drop } = await createTestDatabase();
  const metrics = createMetrics();
  try {
    await agrees(() => createPostgresShop(database, metrics, units), runs(60), 25);
  } finally {
    await drop();
  }
}, 600_000);
