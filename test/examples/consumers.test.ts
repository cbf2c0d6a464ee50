import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomInt } from 'node:crypto';

import { samples } from '../../src/contracts';
import { topology, type Broker } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { eventualDepth, rabbitmqMissing, testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** The templates that other teams begin with, run as they stand: on a real RabbitMQ, with a database of their own. */
const root = join(__dirname, '..', '..');
const rabbitmqUrl = testRabbitmqUrl();
const python = ['python3', '/usr/bin/python3'].find((one) => spawnSync(one, ['-c', 'import pika']).status === 0);
const pikaMissing = 'Not tested: the consumer in Python. It needs python3 with pika (Debian: apt-get install python3-pika).';
if (!python) process.stderr.write(`\n${pikaMissing}\n`);

interface Template {
  command: string[];
  environment: Record<string, string>;
  /** The order ids of all that was done. */
  shipments(): Promise<string[]>;
}

let broker: Broker;
let test: TestDatabase;
const folder = mkdtempSync(join(tmpdir(), 'holdfast-consumer-'));

beforeAll(async () => {
  test = await createTestDatabase();
  if (!rabbitmqUrl) return;
  broker = await connectRabbitmq({ url: rabbitmqUrl, random: () => randomInt(2 ** 32) / 2 ** 32 });
  await broker.declare(topology);
});
afterAll(async () => {
  await broker?.close();
  await test.drop();
  rmSync(folder, { recursive: true, force: true });
});

const inTypeScript = (): Template => ({
  command: [process.execPath, join(root, 'test/support/runTypeScript.cjs'), 'examples/consumers/consumer.ts'],
  environment: { DATABASE_URL: test.url },
  shipments: async () => {
    const rows = await test.database.$queryRaw<{ order_id: string }[]>`SELECT order_id FROM public.shipments ORDER BY ctid`;
    return rows.map((row) => row.order_id);
  },
});
const inPython = (): Template => {
  const DATABASE = join(folder, 'shipping.db');
  const reading = `import sqlite3, json; print(json.dumps([id for (id,) in sqlite3.connect(${JSON.stringify(DATABASE)}).execute("SELECT order_id FROM shipments ORDER BY rowid")]))`;
  return {
    command: [python!, 'examples/consumers/consumer.py'],
    environment: { DATABASE, PYTHONPATH: process.env.PYTHONPATH ?? '' },
    shipments: () => Promise.resolve(JSON.parse(execFileSync(python!, ['-c', reading], { encoding: 'utf8' })) as string[]),
  };
};

const templates: [string, () => Template, string | undefined][] = [
  ['TypeScript', inTypeScript, rabbitmqUrl ? undefined : rabbitmqMissing],
  ['Python', inPython, !rabbitmqUrl ? rabbitmqMissing : python ? undefined : pikaMissing],
];

for (const [language, template, missing] of templates) {
  (missing ? describe.skip : describe)(`the consumer in ${language}${missing ? ` (${missing})` : ''}`, () => {
    const queue = `shipping.${language}`;
    let consumer: ChildProcess;

    async function start(): Promise<string> {
      const { command, environment } = template();
      const env = { PATH: process.env.PATH, HOME: process.env.HOME, AMQP_URL: rabbitmqUrl, QUEUE: queue, ...environment };
      consumer = spawn(command[0]!, command.slice(1), { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [consumer.stdout!, consumer.stderr!])
        stream.setEncoding('utf8').on('data', (text: string) => (said += text));
      return eventually(() => (said.includes(`listening on ${queue}`) || consumer.exitCode !== null ? said : undefined));
    }
    async function end(signal: NodeJS.Signals) {
      const ended = once(consumer, 'close');
      consumer.kill(signal);
      return (await ended)[0] as number | null;
    }
    const publish = (body: string, messageId?: string) =>
      broker.publish({
        ...{ exchange: 'orders', routingKey: 'order.confirmed', body: Buffer.from(body), mandatory: true },
        properties: { messageId, headers: {} },
      });
    const confirmed = (order_id: string) => JSON.stringify({ ...samples.OrderConfirmed, order_id });
    const dead = async () => (await broker.depth(`${queue}.dead`))?.ready;

    beforeAll(async () => void expect(await start()).toContain(`listening on ${queue}`));
    afterAll(() => void consumer.kill('SIGKILL'));

    it('does its work once for each message, however often it comes', async () => {
      for (let copy = 0; copy < 3; copy++) await publish(confirmed('ORD-1'), '019ac000-0000-7000-8000-000000000001');
      for (let copy = 0; copy < 3; copy++) await publish(confirmed('ORD-bare'));
      await publish(confirmed('ORD-2'), '019ac000-0000-7000-8000-000000000002');
      await eventually(async () => (await template().shipments()).length >= 3);
      // Everything before it on the queue is done by then: what is handed out together is done in any order.
      await publish(confirmed('ORD-last'));
      await eventually(async () => (await template().shipments()).includes('ORD-last'));
      expect((await template().shipments()).sort()).toEqual(['ORD-1', 'ORD-2', 'ORD-bare', 'ORD-last']);
    });

    it('puts aside what can never be done, and goes on', async () => {
      for (const body of ['no JSON', '7', 'null', '[]', '{"event":"OrderConfirmed"}']) await publish(body);
      await publish(confirmed('ORD-after'));
      await eventually(async () => (await dead()) === 5);
      await eventually(async () => (await template().shipments()).includes('ORD-after'));
    });

    it('killed with -9 among 200 messages and started again, it has done each of them once', async () => {
      const orders = Array.from({ length: 200 }, (_, index) => `ORD-many-${index}`);
      const done = async () => (await template().shipments()).filter((id) => id.startsWith('ORD-many'));
      const published = Promise.all(orders.map((id) => publish(confirmed(id), id)));
      await eventually(async () => (await done()).length > 0);
      await end('SIGKILL');
      await published;
      await start();
      await eventually(async () => (await done()).length >= orders.length);
      expect((await done()).sort()).toEqual(orders.sort());
      expect(await broker.depth(queue)).toMatchObject({ ready: 0 });
    });

    it('ends in good order when it is told to', async () => {
      expect(await end('SIGTERM')).toBe(0);
      // A quorum queue lets go of a consumer a moment after its connection is gone.
      await eventualDepth(broker, queue, { ready: 0, consumers: 0 });
    });
  });
}
