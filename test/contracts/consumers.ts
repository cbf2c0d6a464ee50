import { randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

import { readConfig } from '../../src/config';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { createHealth, createLogger, createMetrics } from '../../src/observability';
import { buildHouse } from '../../src/roles/house';
import { createTestDatabase } from '../support/postgres';

/** Who takes what: of each queue the role that consumes it and the events that it has handlers for; of each question who answers. */
export interface Consumers {
  roles: Record<string, string>;
  events: Record<string, string[]>;
  answers: Record<string, string>;
}

/** As the house is built, and never started. */
export async function readConsumers(): Promise<Consumers> {
  const test = await createTestDatabase();
  const random = () => randomInt(2 ** 32) / 2 ** 32;
  const broker = createInProcessBroker({ random });
  const house = buildHouse({
    ...{ broker, random, database: test.database, newId: uuidv7, metrics: createMetrics(), health: createHealth() },
    config: readConfig({ NODE_ENV: 'test' }),
    log: createLogger({ level: 'silent', name: 'test' }),
    embedded: true,
  });
  const consumers: Consumers = { roles: {}, events: {}, answers: {} };
  for (const role of ['orders', 'inventory', 'accounts', 'notifications'] as const) {
    for (const [queue, handlers] of Object.entries(house[role].handlers)) {
      consumers.roles[queue] = role;
      consumers.events[queue] = Object.keys(handlers).sort();
    }
  }
  for (const role of ['orders', 'inventory', 'accounts'] as const) {
    for (const { rpc } of house[role].rpc) consumers.answers[rpc.queue] = role;
  }
  await broker.close();
  await test.drop();
  return consumers;
}
