import { randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

import { type EventType } from '../../src/contracts';
import { type Broker, type MessageProperties } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { createLogger } from '../../src/observability';
import { createOperations, type OperationsContext } from '../../src/operations';
import { testRabbitmqUrl } from '../support/brokers';
import { type House } from '../support/aHouse';

export const random = () => randomInt(2 ** 32) / 2 ** 32;

/** Both brokers, where there are both; RabbitMQ in the virtual host of the test file. */
export const brokers: [string, () => Promise<Broker>][] = [
  ['in process', () => Promise.resolve(createInProcessBroker({ random }))],
];
export const rabbitmqUrl = testRabbitmqUrl();
if (rabbitmqUrl) brokers.push(['RabbitMQ', () => connectRabbitmq({ url: rabbitmqUrl, random })]);

/** The operations room on a house's database, with a broker of its own if one is given. */
export function operationsOn(
  { ground, database }: House,
  broker: Broker = ground.broker,
  expected: Record<string, EventType[]> = {},
): OperationsContext {
  return createOperations({ database, broker, expected, newId: uuidv7, log: createLogger({ level: 'silent', name: 'test' }) });
}

/** Sends a body straight into a queue, as anyone may; does not wait for what becomes of it. */
export function send(broker: Broker, queue: string, body: string | Buffer | object, properties: Partial<MessageProperties> = {}) {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const sent = broker.publish({
    ...{ exchange: '', routingKey: queue, body: bytes, mandatory: true },
    properties: { headers: {}, ...properties },
  });
  sent.catch(() => undefined);
  return sent;
}
