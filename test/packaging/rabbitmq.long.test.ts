import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { topology } from '../../src/messaging';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { writeNodeFiles } from '../../src/messaging/brokers/privateRabbitmqFiles';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { eventually } from '../support/eventually';
import { startComposeRabbitmq, type ComposeRabbitmq } from './composeRabbitmq';

describe('deploy/rabbitmq/definitions.json', () => {
  const definitions = readDefinitions(join(__dirname, '../../deploy/rabbitmq'));

  it('S2.3 holds the hash of rabbit_pass under the salt that rabbitmq.conf tells of', () => {
    const salt = sha256(Buffer.from('rabbit_user')).subarray(0, 4);
    const hash = Buffer.concat([salt, sha256(Buffer.concat([salt, Buffer.from('rabbit_pass')]))]);
    expect(definitions.users).toEqual([
      {
        name: 'rabbit_user',
        password_hash: hash.toString('base64'),
        hashing_algorithm: 'rabbit_password_hashing_sha256',
        tags: 'administrator',
      },
    ]);
  });

  it('carries the policy of the private node', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-definitions-'));
    try {
      const settings = { nodeName: 'any@localhost', port: 1, distributionPort: 2, epmdPort: 3, user: 'any', password: 'any' };
      writeNodeFiles(folder, settings, {});
      expect(definitions.policies).toEqual(readDefinitions(folder).policies);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('matches every exchange that the topology gives an alternate', () => {
    const pattern = new RegExp(definitions.policies[0]!.pattern);
    const withAlternate = topology.exchanges.filter((exchange) => exchange.alternate !== undefined).map(({ name }) => name);
    expect(topology.exchanges.map(({ name }) => name).filter((name) => pattern.test(name))).toEqual(withAlternate);
  });
});

const server = findRabbitmqServer();
const whereInstalled = server === undefined ? describe.skip : describe;

whereInstalled('a RabbitMQ node with the files of docker-compose.yml', () => {
  let node: ComposeRabbitmq;
  beforeAll(async () => {
    node = await startComposeRabbitmq(server!);
  });
  afterAll(() => node?.stop());

  it('S2.3 serves its management page to rabbit_user, and knows no guest', async () => {
    expect(await ask('whoami', 'rabbit_user:rabbit_pass')).toEqual({ name: 'rabbit_user', tags: ['administrator'] });
    expect(await ask('whoami', 'guest:guest')).toMatchObject({ error: expect.stringMatching(/^not_authori[sz]ed$/) as unknown });
    // The page lists a virtual host when its figures have come in, which is later than the node takes connections.
    await eventually(async () => expect(await ask('vhosts', 'rabbit_user:rabbit_pass')).toMatchObject([{ name: '/' }]) ?? true);
  });

  it('S2.3 takes our topology from rabbit_user over AMQP, and keeps what no queue wanted', async () => {
    const url = `amqp://rabbit_user:rabbit_pass@${node.amqpHost}`;
    const broker = await connectRabbitmq({ url, random: () => 0 });
    try {
      await broker.declare(topology);
      const properties = { messageId: 'misspelt-1', type: 'OrderCreated', headers: {} };
      await broker.publish({
        exchange: 'orders',
        routingKey: 'order.craeted',
        body: Buffer.from('{}'),
        properties,
        mandatory: false,
      });
      await eventually(async () => (await broker.depth('unrouted'))?.ready === 1);
    } finally {
      await broker.close();
    }
  });

  async function ask(what: string, credentials: string): Promise<unknown> {
    const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    return (await fetch(`${node.managementUrl}/api/${what}`, { headers: { authorization } })).json();
  }
});

function readDefinitions(folder: string) {
  return JSON.parse(readFileSync(join(folder, 'definitions.json'), 'utf8')) as {
    users: object[];
    policies: { pattern: string }[];
  };
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
