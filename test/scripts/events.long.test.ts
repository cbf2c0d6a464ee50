import { randomInt } from 'node:crypto';

import { sampleOf } from '../../scripts/events/sample';
import { events, samples, type EventType } from '../../src/contracts';
import { type Broker } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { rabbitmqMissing, testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { anOwnHoldfast, runProgram, startProgram, type OwnHoldfast, type Program } from './program';

/** `holdfast events`: what goes by on a real RabbitMQ, beside a Holdfast that works on it. */
const rabbitmqUrl = testRabbitmqUrl();
const whereRabbitmqIs = rabbitmqUrl ? describe : describe.skip;

whereRabbitmqIs(`on RabbitMQ${rabbitmqUrl ? '' : ` (${rabbitmqMissing})`}`, () => {
  let test: TestDatabase;
  let holdfast: OwnHoldfast;
  let broker: Broker;
  const tails: Program[] = [];

  beforeAll(async () => {
    test = await createTestDatabase();
    holdfast = await anOwnHoldfast({ DATABASE_URL: test.url, RABBITMQ_URL: rabbitmqUrl! });
    broker = await connectRabbitmq({ url: rabbitmqUrl!, random: () => randomInt(2 ** 32) / 2 ** 32 });
  });
  afterEach(async () => {
    for (const { process: tailing, ended } of tails.splice(0)) {
      tailing.kill('SIGKILL');
      await ended;
    }
  });
  afterAll(async () => {
    await broker.close();
    await holdfast.remove();
    await test.drop();
  });

  const run = (...args: string[]) => runProgram('scripts/events.ts', args, holdfast.environment);
  async function tail(...args: string[]): Promise<Program> {
    const program = startProgram('scripts/events.ts', ['tail', ...args], holdfast.environment);
    tails.push(program);
    await eventually(() => program.stderr().includes('Ctrl-C ends it.'));
    return program;
  }
  const objectsOf = (program: Program) =>
    program
      .stdout()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Shown);

  it('tail shows what becomes of a sample, an aligned line an event, until Ctrl-C', async () => {
    const watching = await tail('--order', 'ORD-sample-1');
    const { code, stdout } = await run('publish-sample', 'OrderCreated', '--order', 'ORD-sample-1');
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^→ orders \/ order\.created +\{"event":"OrderCreated","order_id":"ORD-sample-1",/),
    ]);
    await run('publish-sample', 'OrderCreated', '--order', 'ORD-sample-2');
    await eventually(() => watching.stdout().includes('StockRejected'));
    watching.process.kill('SIGINT');
    const ended = await watching.ended;
    expect(ended).toMatchObject({ code: 0, stderr: 'Listening to every event about ORD-sample-1; Ctrl-C ends it.\n' });
    const lines = ended.stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}OrderCreated {10}ORD-sample-1 +orders \/ order\.created +\{"items":\[/);
    expect(lines[1]).toMatch(
      /^\d\d:\d\d:\d\d\.\d{3} {2}StockRejected {9}ORD-sample-1 +inventory \/ stock\.rejected +\{"reason":/,
    );
    expect(new Set(lines.map((line) => line.indexOf('ORD-sample-1'))).size).toBe(1);
    expect(ended.stdout).not.toContain('ORD-sample-2');
  });

  it('tail --json gives an object a line, of the types that were asked for, with the envelope', async () => {
    const watching = await tail('--json', '--type', 'StockRejected', '--type', 'OrderRefused', '--count', '1');
    const published = JSON.parse((await run('publish-sample', 'OrderCreated', '--json')).stdout) as Shown;
    expect(await watching.ended).toMatchObject({ code: 0 });
    expect(objectsOf(watching)).toEqual([
      {
        ...{ at: expect.any(String) as string, event: 'StockRejected', about: (published.body as { order_id: string }).order_id },
        ...{ exchange: 'inventory', routingKey: 'stock.rejected', messageId: expect.any(String) as string },
        // The sample began the conversation and caused this.
        ...{ correlationId: published.messageId, causationId: published.messageId },
        body: expect.objectContaining({ event: 'StockRejected' }) as object,
      },
    ]);
  });

  it('tail takes nothing from anybody: a misspelt key still fits no binding, and ends in unrouted or is refused', async () => {
    const watching = await tail();
    const odd = { exchange: 'orders', routingKey: 'order.craeted', body: Buffer.from('{}'), properties: { headers: {} } };
    const refusal = await broker.publish({ ...odd, mandatory: true }).catch((error: Error) => error.name);
    expect([undefined, 'UnroutableError']).toContain(refusal);
    await run('publish-sample', 'OrderCancelled');
    await eventually(() => watching.stdout().includes('OrderCancelled'));
    expect(watching.stdout()).not.toContain('craeted');
  });

  it('tail is steered by nobody: no control character of a message reaches the terminal, and rubbish is shown as it is', async () => {
    const watching = await tail();
    const rubbish = {
      exchange: 'notification_exchange',
      routingKey: 'client.x.order.y',
      properties: { headers: {} },
      mandatory: true,
    };
    await broker.publish({ ...rubbish, body: Buffer.from('no JSON \u001b[2J\u009b2J') });
    await broker.publish({ ...rubbish, body: Buffer.from('{"event":"OrderStatusChanged","order_id":"a\\u001b[2J"}') });
    await eventually(() => watching.stdout().includes('OrderStatusChanged'));
    expect(watching.stdout()).toContain('no JSON');
    // eslint-disable-next-line no-control-regex
    expect(watching.stdout()).not.toMatch(/[\u001b\u009b]/);
  });

  it('publish-sample says when nobody is bound to have it', async () => {
    const { code, stderr } = await run('publish-sample', 'OrderStatusChanged');
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^events: no queue is bound to notification_exchange with the key "client\.CUST-1\.order\.SAMPLE-/),
    ]);
  });

  it('publish-sample refuses in production, and to go to another machine unless it is meant', async () => {
    const production = { ...holdfast.environment, NODE_ENV: 'production' };
    const refused = await runProgram('scripts/events.ts', ['publish-sample', 'OrderCreated'], production);
    expect(refused).toMatchObject({
      code: 64,
      stdout: '',
      stderr: expect.stringContaining('not published in production') as string,
    });
    const remote = await run('publish-sample', 'OrderCreated', '--rabbitmq', 'amqps://rabbit.example');
    expect(remote).toMatchObject({ code: 64, stdout: '', stderr: expect.stringContaining('--remote') as string });
  });
});

it.each(Object.keys(samples) as EventType[])('the sample of %s is a good one, about the order that is named', (type) => {
  const { body } = sampleOf(type, { order: 'ORD-named', now: new Date() }).shown;
  expect(events[type].safeParse({ event: type, ...body }).error?.issues).toBeUndefined();
  if ('order_id' in body) expect(body.order_id).toBe('ORD-named');
});

describe('events without a RabbitMQ', () => {
  const run = (...args: string[]) => runProgram('scripts/events.ts', args, {});

  it('says in one line what to do, with exit code 64', async () => {
    for (const args of [['tail'], ['publish-sample', 'OrderCreated']]) {
      const { code, stdout, stderr } = await run(...args);
      expect([code, stdout]).toEqual([64, '']);
      expect(stderr).toMatch(/^events: no RabbitMQ is known.+npm start -- --broker rabbitmq.+\n$/);
    }
  });

  it('publish-sample --print shows what would go out, and needs none', async () => {
    const { code, stdout } = await run('publish-sample', 'OrderRequested', '--print', '--order', 'mine');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^→ new_orders_exchange \/ +\{"order_id":"mine","user_id":/)]);
  });

  it('refuses what makes no sense with 64, and names what there is', async () => {
    expect(await run('tail', '--type', 'OrderShipped')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('There are OrderCreated,') as string,
    });
    expect(await run('tail', '--type', 'RefundPayment')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('payment.closings.accounts') as string,
    });
    expect(await run('publish-sample', 'toString')).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('StockReserved') as string,
    });
    for (const args of [[], ['replay'], ['tail', 'more'], ['publish-sample'], ['tail', '--tpye', 'x'], ['tail', '--count', '0']])
      expect([args, (await run(...args)).code]).toEqual([args, 64]);
  });

  it('ends with 69 when RabbitMQ is out of reach', async () => {
    expect(await run('tail', '--rabbitmq', 'amqp://127.0.0.1:9')).toMatchObject({ code: 69 });
  });
});

interface Shown {
  messageId?: string;
  body: unknown;
}
