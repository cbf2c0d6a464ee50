import { readOptions, usage } from '../../scripts/fuzz/options';

const doses = (...args: string[]) => {
  const { graphql, hostile, doors, amqp, poison } = readOptions(args)!;
  return { graphql, hostile, doors, amqp, poison };
};
const none = { graphql: 0, hostile: 0, doors: 0, amqp: 0, poison: 0 };

it('everything is attacked when nothing is chosen', () => {
  expect(doses()).toEqual({ graphql: 50_000, hostile: 10_000, doors: 20_000, amqp: 20_000, poison: 0 });
  expect(doses('--seed', '7', '--json')).toEqual(doses());
});

it.each(Object.keys(none))('only what is chosen is attacked: --%s', (name) => {
  expect(doses(`--${name}`, '30')).toEqual({ ...none, [name]: 30 });
});

it('several can be chosen, and hostile requests come as many at a time as is said', () => {
  expect(doses('--hostile', '1', '--doors', '2')).toEqual({ ...none, hostile: 1, doors: 2 });
  expect(readOptions(['--hostile', '1'])!.concurrency).toBe(8);
  expect(readOptions(['--hostile', '1', '--concurrency', '20'])!.concurrency).toBe(20);
});

it('the attacker is an operator, whom no rate limit holds back, or a customer', () => {
  expect([readOptions([])!.as, readOptions(['--as', 'customer'])!.as]).toEqual(['operator', 'customer']);
});

it.each([
  ['--as', 'nobody'],
  ['--doors', 'many'],
  ['--hostile', '-1'],
  ['--concurrency', '0'],
])('refuses %s %s', (...args) => {
  expect(() => readOptions(args)).toThrow();
});

it('the usage names every dose with what it is in a whole run', () => {
  for (const [name, whole] of Object.entries(doses())) expect(usage).toMatch(new RegExp(`--${name} N .*\\(${whole}\\)`));
  expect(readOptions(['--help'])).toBeUndefined();
});
