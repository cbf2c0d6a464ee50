import { type SimulateResult } from '../../scripts/simulate/report';
import { rabbitmqMissing, testRabbitmqUrl } from '../support/brokers';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { anOwnHoldfast, runProgram, type OwnHoldfast } from './program';

const rabbitmqUrl = testRabbitmqUrl();
const whereRabbitmqIs = rabbitmqUrl ? describe : describe.skip;

whereRabbitmqIs(`another order service on RabbitMQ${rabbitmqUrl ? '' : ` (${rabbitmqMissing})`}`, () => {
  let test: TestDatabase;
  let holdfast: OwnHoldfast;

  beforeAll(async () => {
    test = await createTestDatabase();
    holdfast = await anOwnHoldfast({ DATABASE_URL: test.url, RABBITMQ_URL: rabbitmqUrl! });
  });
  afterAll(async () => {
    await holdfast.remove();
    await test.drop();
  });

  it('shows a reserved, a rejected and a released case, and leaves nothing held (S2.17)', async () => {
    const { code, stdout, stderr } = await runProgram('scripts/testEvents.ts', ['--url', holdfast.url], holdfast.environment);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /→ orders \/ order\.created +\{"event":"OrderCreated","order_id":"TEST-.{8}-1","items":\[\{"product_id":\d+,"quantity":1\}\]\}/,
    );
    expect(stdout).toMatch(/← inventory \/ stock\.reserved +\{"event":"StockReserved","order_id":"TEST-.{8}-1",/);
    expect(stdout).toMatch(/← inventory \/ stock\.rejected +\{"event":"StockRejected",.+"reason":"Insufficient stock"/);
    expect(stdout).toMatch(/✓ reserved .+StockReserved\n✓ rejected .+StockRejected\n✓ released .+StockReleased\n/);
    expect(await test.database.stock.findMany({ where: { reserved: { not: 0 } } })).toEqual([]);
  });

  it('fails with exit code 2 when a case is answered otherwise', async () => {
    const { code, stdout } = await runProgram(
      'scripts/testEvents.ts',
      ['--url', holdfast.url, '--product-id', '2000000000', '--json'],
      holdfast.environment,
    );
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: 'FAIL',
      cases: [{ case: 'reserved', heard: ['StockRejected'] }, {}, {}],
    });
  });

  it('answers every bare message of a simulated service, copies too, beside orders of our own', async () => {
    const args = ['--url', holdfast.url, '--orders', '200', '--foreign', '50', '--duplicates', '20', '--json'];
    const { code, stdout, stderr } = await runProgram('scripts/simulate.ts', args, holdfast.environment);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const { foreign, ...result } = JSON.parse(stdout) as SimulateResult;
    expect(result).toMatchObject({ verdict: 'PASS', lost: 0, mismatched: 0, refused: 0 });
    expect(foreign!.sent + result.accepted).toBe(200);
    expect(foreign).toMatchObject({ reserved: foreign!.sent, rejected: 0 });
  });

  it('sells exactly the stock to both services when it is short', async () => {
    const { code, stdout } = await runProgram(
      'scripts/simulate.ts',
      ['--url', holdfast.url, '--orders', '150', '--foreign', '--hot', '--json'],
      holdfast.environment,
    );
    expect({ code, result: JSON.parse(stdout) as object }).toMatchObject({
      code: 0,
      result: { verdict: 'PASS', sold: 50, stock: 50 },
    });
  });
});

it('says in one line what is missing without RabbitMQ, with exit code 64', async () => {
  const { code, stdout, stderr } = await runProgram('scripts/testEvents.ts', [], {});
  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toMatch(/^test-events: no RabbitMQ to publish to\. .+npm start -- --broker rabbitmq.+\n$/);
});

it('ends with 69 when RabbitMQ is out of reach', async () => {
  const { code, stderr } = await runProgram('scripts/testEvents.ts', ['--rabbitmq', 'amqp://127.0.0.1:9'], {});
  expect({ code, stderr }).toMatchObject({ code: 69, stderr: expect.stringContaining('No connection to RabbitMQ') as string });
});
