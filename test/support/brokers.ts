import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { type Broker } from '../../src/messaging';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { startPrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';
import { eventually } from './eventually';

/** The test files on the shared node, by name. Each has the virtual host of its name to itself, so that files run side by side and none takes another's messages. */
const filesOnRabbitmq = [
  ...['consumers', 'contract', 'deadLetters', 'distributed', 'doors', 'events', 'fuzz', 'keeper', 'killPoints', 'newOrders'],
  ...['intake', 'notifications', 'rpc', 'shop', 'spine', 'testEvents', 'twoGateways'],
];

/**
 * RabbitMQ for the tests: the one `RABBITMQ_URL` names, or a private node started for this run, or one line that says what is
 * not tested now and how to get it.
 */
export async function startRabbitmqForTests(): Promise<{ url: string; stop(): Promise<void> } | { missing: string }> {
  if (process.env.RABBITMQ_URL) return { url: process.env.RABBITMQ_URL, stop: () => Promise.resolve() };
  if (findRabbitmqServer() === undefined) return { missing: rabbitmqMissing };
  const dataDir = mkdtempSync(join(tmpdir(), 'holdfast-test-rabbitmq-'));
  const node = await startPrivateRabbitmq({ dataDir, vhosts: filesOnRabbitmq });
  return {
    url: node.url,
    async stop() {
      await node.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export const rabbitmqMissing =
  'Not tested: RabbitMQ. Put rabbitmq-server on the PATH (Debian: apt-get install rabbitmq-server), or give RABBITMQ_URL.';

/** The RabbitMQ that globalSetup found, in the virtual host of the test file that asks where it is our own node; undefined when there is none. */
export function testRabbitmqUrl(): string | undefined {
  const file = basename(expect.getState().testPath!).replace(/(\.long)?\.test\.ts$/, '');
  if (!filesOnRabbitmq.includes(file)) throw new Error(`No virtual host for ${file}: add it to filesOnRabbitmq.`);
  const base = process.env.HOLDFAST_TEST_RABBITMQ_URL;
  if (!base) return undefined;
  return process.env.RABBITMQ_URL ? base : `${base}/${file}`;
}

/**
 * Waits until the queue is as deep as this. RabbitMQ asks the leader of a quorum queue for a quarter of a second at most, and says 0 of
 * everything when it has no answer by then: one look of a busy moment proves nothing.
 */
export async function eventualDepth(broker: Broker, queue: string, depth: { ready?: number; consumers?: number }): Promise<void> {
  await eventually(async () => {
    expect(await broker.depth(queue)).toMatchObject(depth);
    return true;
  });
}
