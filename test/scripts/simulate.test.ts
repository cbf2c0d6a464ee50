import { orderStream, demandOf, fingerprintOf, type StreamShape } from '../../scripts/simulate/orderStream';
import { type SimulateResult } from '../../scripts/simulate/report';
import { openDatabase, type Database } from '../../src/database';
import { eventually } from '../support/eventually';
import { anOwnHoldfast, runProgram, startProgram, type OwnHoldfast } from './program';

const simulate = (args: string[], environment: Record<string, string> = {}) =>
  runProgram('scripts/simulate.ts', args, environment);
const resultOf = (stdout: string) => JSON.parse(stdout) as SimulateResult;

/** For a program that is compiled as it starts, beside other suites on two cores. */
const STARTED_WITHIN_MS = 30_000;

describe('the order stream', () => {
  const shape: StreamShape = {
    ...{ orders: 2_000, seed: 7, hot: false, lines: [0.7, 0.25, 0.05] },
    ...{ duplicates: 0.02, conflicts: 0.01, cancels: 0.1, foreign: 0.5 },
  };

  it('is the same for the same seed, and another for another', () => {
    expect(orderStream(shape)).toEqual(orderStream(shape));
    expect(fingerprintOf(orderStream({ ...shape, seed: 8 }))).not.toBe(fingerprintOf(orderStream(shape)));
  });

  it('keeps to the shares it was asked for', () => {
    const stream = orderStream(shape);
    const share = (matches: (order: (typeof stream)[number]) => boolean) => stream.filter(matches).length / stream.length;
    expect(share(({ lines }) => lines.length === 1)).toBeCloseTo(0.7, 1);
    expect(share(({ lines }) => lines.length > 5)).toBeCloseTo(0.05, 1);
    expect(share(({ cancel }) => cancel)).toBeCloseTo(0.1, 1);
    expect(share(({ foreign }) => foreign)).toBeCloseTo(0.5, 1);
    expect(share(({ duplicate }) => duplicate !== 'none')).toBeGreaterThan(0.01);
    for (const { lines } of stream) expect(new Set(lines.map(({ product }) => product)).size).toBe(lines.length);
  });

  it('asks for one unit of one product in each order when it is hot', () => {
    expect(demandOf(orderStream({ ...shape, hot: true }))).toEqual([2_000, ...Array.from({ length: 19 }, () => 0)]);
  });
});

describe('against a Holdfast of its own', () => {
  let holdfast: OwnHoldfast;
  let database: Database;

  beforeAll(async () => {
    holdfast = await anOwnHoldfast();
    database = openDatabase({ url: holdfast.runtime!.databaseUrl, poolSize: 2 });
  });
  afterAll(async () => {
    await database.close();
    await holdfast.remove();
  });

  it('passes, with exactly one JSON object on stdout', async () => {
    const { code, stdout, stderr } = await simulate(['--orders', '300', '--json', '--cancels', '10'], holdfast.environment);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout.trim().split('\n')).toHaveLength(1);
    const result = resultOf(stdout);
    expect(result).toMatchObject({
      verdict: 'PASS',
      accepted: 300,
      oversold: 0,
      lost: 0,
      duplicated: 0,
      stuck: 0,
      unpaid: 0,
      unearned: 0,
      mismatched: 0,
      refused: 0,
    });
    expect(result.checks).toMatchObject({ 'money taken without goods': 0, 'goods given without money': 0 });
    expect(result.confirmed + result.cancelled).toBe(300);
    expect(result.cancelled).toBeGreaterThan(0);
    expect(result.conflicts).toBeGreaterThan(0);
    expect(result.orders_per_second).toBeGreaterThan(0);
    expect(result.decision_ms.p99).toBeGreaterThanOrEqual(result.decision_ms.p50);
    expect(result.answer_ms.p50).toBeGreaterThan(0);
  });

  it('sells exactly the stock when every order wants one product (S2.14)', async () => {
    const { code, stdout } = await simulate(['--orders', '300', '--hot', '--json', '--seed', '3'], holdfast.environment);
    expect(code).toBe(0);
    expect(resultOf(stdout)).toMatchObject({ verdict: 'PASS', stock: 100, sold: 100, confirmed: 100, cancelled: 200 });
  });

  it('sells exactly the units of a flash sale, however many want one', async () => {
    const { code, stdout } = await simulate(['--orders', '300', '--hot', '--stock', '30', '--json'], holdfast.environment);
    expect(code).toBe(0);
    expect(resultOf(stdout)).toMatchObject({ verdict: 'PASS', stock: 30, sold: 30, confirmed: 30, cancelled: 270 });
  });

  it('takes its products off sale again', async () => {
    expect(await database.product.count({ where: { sku: { startsWith: 'SIM-' }, active: true } })).toBe(0);
    expect(await database.product.count({ where: { sku: { startsWith: 'SIM-' } } })).toBe(22);
  });

  it('fails with exit code 2, naming the orders, when the database keeps other lines than were sent', async () => {
    await database.$executeRaw`
      CREATE FUNCTION orders.swindle() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE orders.order_items SET quantity = quantity + 1 WHERE order_id = NEW.id;
        RETURN NEW;
      END $$`;
    await database.$executeRaw`
      CREATE TRIGGER swindle AFTER UPDATE ON orders.orders FOR EACH ROW WHEN (NEW.status = 'CONFIRMED')
      EXECUTE FUNCTION orders.swindle()`;
    const { code, stdout, stderr } = await simulate(['--orders', '30', '--paid', '0', '--timeout', '2'], holdfast.environment);
    await database.$executeRaw`DROP FUNCTION orders.swindle CASCADE`;
    expect(code).toBe(2);
    expect(stdout).toMatch(/VERDICT +FAIL/);
    expect(stdout).toMatch(/✗ acknowledged orders are stored +[1-9]\d*/);
    expect(stdout).toMatch(/✗ confirmed orders hold their lines +[1-9]\d*/);
    expect(stdout).toMatch(/ORD-.+: sent .+, stored /);
    expect(stdout).toMatch(/✗ nothing is sold twice/);
    expect(stderr).not.toContain('VERDICT');
  });

  it('goes on through a kill -9 of Holdfast, and loses nothing', async () => {
    const run = startProgram(
      'scripts/simulate.ts',
      ['--orders', '2000', '--concurrency', '8', '--paid', '0', '--json'],
      holdfast.environment,
    );
    const before = await database.order.count();
    await eventually(async () => (await database.order.count()) > before + 100, STARTED_WITHIN_MS);
    await holdfast.kill9();
    await holdfast.start();
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const result = resultOf(stdout);
    expect(result).toMatchObject({ verdict: 'PASS', accepted: 2_000, confirmed: 2_000 });
    expect(result.retries).toBeGreaterThan(0);
  });

  it('ends with 64 when the verdict would be about another database', async () => {
    const { port } = new URL(holdfast.runtime!.databaseUrl);
    const elsewhere = holdfast.runtime!.databaseUrl.replace(`:${port}/holdfast`, `:${port}/postgres`);
    const { code, stderr } = await simulate(['--orders', '1'], { ...holdfast.environment, DATABASE_URL: elsewhere });
    expect({ code, stderr }).toMatchObject({ code: 64, stderr: expect.stringContaining('not the one behind') as string });
  });

  it('ends with 130 when it is interrupted, and gives no verdict', async () => {
    const before = await database.order.count();
    const run = startProgram('scripts/simulate.ts', ['--orders', '100000'], holdfast.environment);
    await eventually(async () => (await database.order.count()) > before, STARTED_WITHIN_MS);
    run.process.kill('SIGINT');
    const { code, stdout, stderr } = await run.ended;
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toMatch(/Interrupted: \d+ orders were acknowledged/);
  });
});

describe('where it cannot run', () => {
  it.each<[string, string[], number, RegExp]>([
    ['nothing listens', ['--url', 'http://127.0.0.1:9/graphql'], 69, /out of reach/],
    ['an option is unknown', ['--order', '3'], 64, /--order/],
    ['a number is none', ['--orders', 'many'], 64, /--orders many: must be a whole number/],
    ['stock is given for products that are not short', ['--stock', '5'], 64, /--stock is for --hot/],
    ['the line mix makes no whole', ['--lines', '50/20/20'], 64, /must be three percentages/],
    ['there is no RabbitMQ for --foreign', ['--foreign'], 64, /no RabbitMQ to publish to.+npm start -- --broker rabbitmq/],
  ])('says so in one line when %s', async (_what, args, expected, line) => {
    const { code, stdout, stderr } = await simulate(args);
    expect({ code, stdout }).toEqual({ code: expected, stdout: '' });
    expect(stderr).toMatch(line);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('explains itself with --help', async () => {
    const { code, stdout } = await simulate(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/--seed[\s\S]+Exit codes: 0 PASS/);
  });
});
