import { exchanges, queues, routes, rpcs, type EventType } from '../contracts';
import { type Binding, type ExchangeDeclaration, type QueueDeclaration } from './broker';
import { notificationsTopology, topology } from './topology';

/** The channels of the AsyncAPI document: every exchange with each of its routing keys, and every queue that takes work or questions. */
export function channels(): Record<string, object> {
  const published = eventTypes.filter((type) => routes[type].exchange !== exchanges.default);
  const copies = declared.exchanges.filter(({ name }) => name === exchanges.orderEvents || name === exchanges.stockEvents);
  return named([
    ...published.map(eventChannel),
    ...copies.map(copyChannel),
    ...work.map(queueChannel),
    ...questions.map(questionChannel),
    ...questions.map(answerChannel),
  ]);
}

/** All that any role declares. */
const declared = {
  exchanges: [...topology.exchanges, ...notificationsTopology.exchanges],
  queues: [...topology.queues, ...notificationsTopology.queues],
  bindings: [...topology.bindings, ...notificationsTopology.bindings],
};
export const eventTypes = Object.keys(routes) as EventType[];
export const work: QueueDeclaration[] = declared.queues.filter(({ kind }) => kind === 'work');
export const questions = Object.entries(rpcs) as [keyof typeof rpcs, (typeof rpcs)[keyof typeof rpcs]][];
/** Of AsyncAPI's binding for AMQP 0-9-1. */
export const bindingVersion = '0.3.0';

export type Named = [id: string, value: object];

/** Events that share a channel, as the two that customers hear do, each describe it, and in the same words. */
export function named(entries: Named[]): Record<string, object> {
  return Object.fromEntries(entries);
}

/** The messages that a queue takes: what its bindings bring, and the commands that name it. */
export function eventsIn(queue: string): EventType[] {
  if (queue === queues.orderCreateCommands) return ['OrderRequested'];
  const bindings = bindingsOf(queue);
  return eventTypes.filter((type) => bindings.some((binding) => carries(binding, type)) || isAddressedTo(type, queue));
}

export function bindingsOf(queue: string): Binding[] {
  return declared.bindings.filter(({ to }) => 'queue' in to && to.queue === queue);
}

function isAddressedTo(type: EventType, queue: string): boolean {
  return routes[type].exchange === exchanges.default && routes[type].key === queue;
}

/** From its own exchange, or from one that copies it. */
function carries({ exchange, key }: Omit<Binding, 'to'>, type: EventType): boolean {
  const route = routes[type];
  if (route.exchange === exchange) return route.key === key;
  return declared.bindings.some(({ to, ...from }) => 'exchange' in to && to.exchange === exchange && carries(from, type));
}

export function channelOf(type: EventType): string {
  const { exchange, key } = routes[type];
  if (exchange === exchanges.default) return `queue.${key}`;
  const words = key.split('.').filter((word) => word !== '' && !word.startsWith('{'));
  return [exchange, ...words].join('.');
}

function eventChannel(type: EventType): Named {
  const { exchange, key } = routes[type];
  const parameters = [...key.matchAll(/\{(\w+)\}/g)].map(([, name]): Named => [name!, { description: percentEncoded }]);
  return [
    channelOf(type),
    {
      address: key,
      description: `Exchange \`${exchange}\`, routing key ${key === '' ? 'empty' : `\`${key}\``}.`,
      messages: messagesOf(eventTypes.filter((other) => channelOf(other) === channelOf(type))),
      ...(parameters.length > 0 && { parameters: named(parameters) }),
      bindings: { amqp: routingKeyBinding(exchange) },
    },
  ];
}

const percentEncoded =
  'Percent-encoded, dots and stars too, so that it is one word; one longer than 100 characters is sha256- and its hash.';

/** An exchange that has a copy of every event of another. */
function copyChannel({ name }: ExchangeDeclaration): Named {
  const types = eventTypes.filter((type) => carries({ exchange: name, key: '' }, type));
  const from = routes[types[0]!].exchange;
  return [
    name,
    {
      address: '#',
      description: `A copy of every event of \`${from}\`: bind here to hear them all. The routing key plays no part in it.`,
      messages: messagesOf(types),
      bindings: { amqp: routingKeyBinding(name) },
    },
  ];
}

function queueChannel({ name }: QueueDeclaration): Named {
  const bindings = bindingsOf(name).map(({ exchange, key }) => ({ exchange, routingKey: key }));
  const filling = bindings.length === 0 ? 'Reached by its name on the default exchange' : 'Filled by its bindings';
  return [
    `queue.${name}`,
    {
      address: name,
      description: `${filling}; Holdfast alone consumes it.`,
      messages: messagesOf(eventsIn(name)),
      bindings: { amqp: queueBinding(name) },
      'x-bindings': bindings,
    },
  ];
}

function questionChannel([name, { queue }]: (typeof questions)[number]): Named {
  return [
    `queue.${queue}`,
    {
      address: queue,
      description: 'Questions, reached by the name of the queue on the default exchange. Set `reply_to` and `correlation_id`.',
      messages: { question: { $ref: `#/components/messages/${name}.question` } },
      bindings: { amqp: queueBinding(queue) },
    },
  ];
}

function answerChannel([name, { queue }]: (typeof questions)[number]): Named {
  const answer = { $ref: `#/components/messages/${name}.answer` };
  return [
    `answer.${queue}`,
    {
      address: null,
      description: "The asker's own queue, as it stands in `reply_to` of the question.",
      messages: { answer, refusal: { $ref: '#/components/messages/refusal' } },
    },
  ];
}

function messagesOf(types: EventType[]): Record<string, object> {
  return named(types.map((type) => [type, { $ref: `#/components/messages/${type}` }]));
}

function routingKeyBinding(exchange: string): object {
  const { type } = declared.exchanges.find(({ name }) => name === exchange)!;
  return { is: 'routingKey', exchange: { name: exchange, type, durable: true, autoDelete: false, vhost: '/' }, bindingVersion };
}

function queueBinding(name: string): object {
  return { is: 'queue', queue: { name, durable: true, exclusive: false, autoDelete: false, vhost: '/' }, bindingVersion };
}
