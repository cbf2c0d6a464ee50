import {
  bareEvents,
  events,
  eventSchema,
  jsonSchema,
  routes,
  rpcRefusal,
  rpcSamples,
  samples,
  type EventType,
} from '../contracts';
import {
  bindingVersion,
  channelOf,
  channels,
  eventsIn,
  eventTypes,
  named,
  questions,
  work,
  type Named,
} from './asyncApiChannels';
import { type QueueDeclaration } from './broker';
import { envelopeSchema, sampleHeaders } from './envelopeSchema';

/**
 * The AsyncAPI 3.0 document of everything that goes over the broker, made from the contracts and the topology, so that it cannot
 * drift from them. A channel is an exchange with a routing key, or a queue; an operation is what Holdfast does there: it sends its
 * events, receives what its queues take, and answers questions.
 */
export function asyncApiDocument(version: string): object {
  return {
    asyncapi: '3.0.0',
    info: { title: 'Holdfast', version, description: intro, license: { name: 'MIT' } },
    defaultContentType: 'application/json',
    servers: { rabbitmq: server },
    channels: channels(),
    operations: { ...named(sent.map(sending)), ...named(work.map(receiving)), ...named(questions.map(answering)) },
    components: { schemas: schemas(), messages: messages(), messageTraits: { envelope } },
  };
}

const intro = `Orders go in, what happened to them comes out. Bodies are flat JSON; the envelope (AMQP properties and cloudEvents:* headers) is a courtesy that a sender may leave out. Delivery is at least once: let effects be idempotent, by the order or the message id. To listen, declare a queue of your own and bind it. Fields that are not known are to be ignored: new ones are added to the same event; a breaking change would be a new event beside the old one.`;

const server = {
  host: 'localhost:5672',
  protocol: 'amqp',
  protocolVersion: '0-9-1',
  description:
    'The RabbitMQ that RABBITMQ_URL names. In the embedded default the broker is in process, and nobody attaches to it.',
};

const sent = eventTypes.filter((type) => !bareEvents.includes(type));

function sending(type: EventType): Named {
  const { mandatory } = routes[type];
  return [
    `send.${type}`,
    {
      action: 'send',
      channel: { $ref: `#/channels/${channelOf(type)}` },
      summary: events[type].description,
      messages: [{ $ref: `#/channels/${channelOf(type)}/messages/${type}` }],
      bindings: { amqp: { deliveryMode: 2, mandatory, timestamp: true, bindingVersion } },
    },
  ];
}

function receiving({ name }: QueueDeclaration): Named {
  return [
    `receive.${name}`,
    {
      action: 'receive',
      channel: { $ref: `#/channels/queue.${name}` },
      summary: `Takes ${eventsIn(name).join(', ')}.`,
      messages: eventsIn(name).map((type) => ({ $ref: `#/channels/queue.${name}/messages/${type}` })),
      bindings: { amqp: { ack: true, bindingVersion } },
    },
  ];
}

function answering([, { queue, request }]: (typeof questions)[number]): Named {
  const answers = `#/channels/answer.${queue}`;
  return [
    `answer.${queue}`,
    {
      action: 'receive',
      channel: { $ref: `#/channels/queue.${queue}` },
      summary: request.description,
      messages: [{ $ref: `#/channels/queue.${queue}/messages/question` }],
      bindings: { amqp: { ack: true, bindingVersion } },
      reply: {
        address: { location: '$message.header#/reply_to', description: 'The AMQP property `reply_to`.' },
        channel: { $ref: answers },
        messages: [{ $ref: `${answers}/messages/answer` }, { $ref: `${answers}/messages/refusal` }],
      },
    },
  ];
}

function schemas(): Record<string, object> {
  const ofRpcs = questions.flatMap(([name, { request, reply }]): Named[] => [
    [`${name}.question`, jsonSchema(request)],
    [`${name}.answer`, jsonSchema(reply)],
  ]);
  return named([...eventTypes.map((type): Named => [type, eventSchema(type)]), ...ofRpcs, ['refusal', jsonSchema(rpcRefusal)]]);
}

function messages(): Record<string, object> {
  const ofRpcs = questions.flatMap(([name, { request }]): Named[] => [
    [`${name}.question`, bareMessage(`${name}.question`, request.description, rpcSamples[name].request)],
    [`${name}.answer`, bareMessage(`${name}.answer`, `What is answered to ${name}.`, rpcSamples[name].reply)],
  ]);
  const refusal = { error: { code: 'UNAVAILABLE', message: 'The database is away. Ask again later.' } };
  return named([
    ...eventTypes.map(eventMessage),
    ...ofRpcs,
    ['refusal', bareMessage('refusal', rpcRefusal.description, refusal)],
  ]);
}

function eventMessage(type: EventType): Named {
  const isBare = bareEvents.includes(type);
  return [
    type,
    {
      name: type,
      title: type,
      summary: events[type].description,
      contentType: 'application/json',
      ...(!isBare && { traits: [{ $ref: '#/components/messageTraits/envelope' }] }),
      payload: { $ref: `#/components/schemas/${type}` },
      bindings: { amqp: { messageType: type, bindingVersion } },
      examples: [{ name: 'sample', ...(!isBare && { headers: sampleHeaders(type) }), payload: samples[type] }],
    },
  ];
}

/** A question or an answer: without our envelope. */
function bareMessage(name: string, summary: string | undefined, payload: object): object {
  return {
    ...{ name, title: name, summary, contentType: 'application/json' },
    payload: { $ref: `#/components/schemas/${name}` },
    examples: [{ name: 'sample', payload }],
  };
}

const envelope = {
  headers: envelopeSchema,
  correlationId: {
    description: 'The conversation, from the first request on; in the AMQP property correlation_id, too.',
    location: '$message.header#/cloudEvents:correlationid',
  },
};
