import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { v7 as uuidv7 } from 'uuid';

import { bareEvents, samples, type AnyEvent, type EventType } from '../../src/contracts';
import { topology, type Broker, type Publication } from '../../src/messaging';
import { UnroutableError } from '../../src/messaging/broker';
import { rabbitmqNodes } from '../../src/messaging/brokers/rabbitmqUrl';
import { aggregateOf, toPublication } from '../../src/messaging/message';
import { Ending, exitCodes, usageFault } from '../exit';

export interface Sample {
  line: string;
  shown: { exchange: string; routingKey: string; messageId?: string; body: object };
  publish(broker: Broker): Promise<void>;
}

export function sampleType(name: string): EventType {
  if (Object.hasOwn(samples, name)) return name as EventType;
  throw usageFault(`there is no event ${JSON.stringify(name)}. There are ${Object.keys(samples).join(', ')}.`);
}

/** The sample of the contract, under an id of its own: what clients send bare goes bare, all else in our envelope. */
export function sampleOf(type: EventType, { order, now }: { order?: string; now: Date }): Sample {
  const publication = publicationOf(type, bodyOf(type, order ?? `SAMPLE-${randomUUID().slice(0, 8)}`), now);
  const { exchange, routingKey, properties } = publication;
  const text = publication.body.toString();
  return {
    line: `→ ${`${exchange || 'default exchange'} / ${routingKey}`.padEnd(28)} ${text}`,
    shown: { exchange, routingKey, messageId: properties.messageId, body: JSON.parse(text) as object },
    publish: (broker) => publish(broker, publication),
  };
}

function bodyOf(type: EventType, order: string): AnyEvent {
  const sample = samples[type];
  return 'order_id' in sample ? { ...sample, order_id: order } : sample;
}

function publicationOf(type: EventType, body: AnyEvent, now: Date): Publication {
  const isBare = bareEvents.includes(type);
  const json = JSON.stringify(isBare ? { ...body, event: undefined } : body);
  const id = uuidv7();
  const stored = { id, type, aggregateId: aggregateOf(body), json, correlationId: id, causationId: null, traceparent: null };
  const publication = toPublication({ ...stored, createdAt: now });
  const { properties } = publication;
  const envelope = { ...properties, appId: 'holdfast events publish-sample' };
  const bare = { contentType: 'application/json', headers: {} };
  return { ...publication, mandatory: true, properties: isBare ? bare : envelope };
}

async function publish(broker: Broker, publication: Publication): Promise<void> {
  await broker.declare({ exchanges: topology.exchanges, queues: [], bindings: [] });
  await broker.publish(publication).catch((error: unknown) => {
    if (!(error instanceof UnroutableError)) throw error;
    const place = `${publication.exchange || 'the default exchange'} with the key ${JSON.stringify(publication.routingKey)}`;
    throw new Ending(exitCodes.failed, `no queue is bound to ${place}, so nobody has the sample.`);
  });
}

/** Every node of it is on this machine. */
export function isLocal(url: string): boolean {
  return rabbitmqNodes(url).every(({ hostname }) => {
    const host = hostname.replace(/^\[|\]$/g, '');
    return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
  });
}
