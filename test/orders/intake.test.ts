import { createLogger, createMetrics } from '../../src/observability';
import { createIntake } from '../../src/orders/intake';
import { eventually } from '../support/eventually';

/** The door for new orders, over a backlog that the test sets. */
function anIntake(orders: number | Error) {
  const seen = { orders };
  const intake = createIntake({
    backlogMax: 100,
    backlog: () => (seen.orders instanceof Error ? Promise.reject(seen.orders) : Promise.resolve(seen.orders)),
    intervalMs: 2,
    log: createLogger({ level: 'silent', name: 'test' }),
    metrics: createMetrics(),
  });
  return { intake, seen };
}
const looks = () => new Promise((resolve) => setTimeout(resolve, 30));

it('closes at its mark, and opens only when a fifth is worked off', async () => {
  const { intake, seen } = anIntake(99);
  await intake.start();
  expect(intake.isOpen()).toBe(true);
  seen.orders = 100;
  await eventually(() => !intake.isOpen());
  for (seen.orders of [101, 99, 80]) {
    await looks();
    expect(intake.isOpen()).toBe(false);
  }
  seen.orders = 79;
  await eventually(() => intake.isOpen());
  seen.orders = 99;
  await looks();
  expect(intake.isOpen()).toBe(true);
  await intake.stop();
});

it('stays as it is while nothing can be seen', async () => {
  const { intake, seen } = anIntake(500);
  await intake.start();
  seen.orders = new Error('the database is away');
  await looks();
  expect(intake.isOpen()).toBe(false);
  seen.orders = 0;
  await eventually(() => intake.isOpen());
  seen.orders = new Error('the database is away');
  await looks();
  expect(intake.isOpen()).toBe(true);
  await intake.stop();
});

it('lets those in who wait, when it opens and when it ends', async () => {
  const { intake, seen } = anIntake(100);
  await intake.start();
  let entered = 0;
  void intake.room().then(() => entered++);
  await looks();
  expect(entered).toBe(0);
  seen.orders = 0;
  await eventually(() => entered === 1);
  seen.orders = 100;
  await eventually(() => !intake.isOpen());
  const waiting = intake.room();
  await intake.stop();
  await waiting;
});
