import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { startPrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';

/** Virtual hosts of the test node: a test file uses one of them alone, so that files run side by side. */
export const testVhosts = ['contract', ...Array.from({ length: 15 }, (_, index) => `test-${index + 1}`)];

/**
 * RabbitMQ for the tests: the one `RABBITMQ_URL` names, or a private node started for this run, or one line that says what is
 * not tested now and how to get it.
 */
export async function startRabbitmqForTests(): Promise<{ url: string; stop(): Promise<void> } | { missing: string }> {
  if (process.env.RABBITMQ_URL) return { url: process.env.RABBITMQ_URL, stop: () => Promise.resolve() };
  if (findRabbitmqServer() === undefined) return { missing: rabbitmqMissing };
  const dataDir = mkdtempSync(join(tmpdir(), 'holdfast-test-rabbitmq-'));
  const node = await startPrivateRabbitmq({ dataDir, vhosts: testVhosts });
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

/** The RabbitMQ that globalSetup found, in the given virtual host where it is our own node; undefined when there is none. */
export function testRabbitmqUrl(vhost: string): string | undefined {
  const base = process.env.HOLDFAST_TEST_RABBITMQ_URL;
  if (!base) return undefined;
  return process.env.RABBITMQ_URL ? base : `${base}/${vhost}`;
}
