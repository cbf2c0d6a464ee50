import { type QueueDeclaration, type Topology } from '../broker';
import { type AmqpChannel, type QueueOptions } from './amqp';
import { deadLetterExchange, deadQueue, deliveryLimit } from './wireNames';

/**
 * Declares a topology on RabbitMQ: exchanges first, then queues with what stands behind them, then bindings.
 *
 * Exchanges carry no arguments on purpose: a foreign client that asserts `orders` as a durable topic must not be refused with
 * 406. `ExchangeDeclaration.alternate` is therefore kept by a policy outside AMQP; the private node brings it, the README gives
 * the `rabbitmqctl set_policy` line for any other. Without the policy, `mandatory` still catches our own publications.
 */
export async function declareTopology(channel: AmqpChannel, topology: Topology): Promise<void> {
  await naming('Exchange', deadLetterExchange, channel.assertExchange(deadLetterExchange, 'topic', { durable: true }));
  for (const { name, type } of topology.exchanges) {
    await naming('Exchange', name, channel.assertExchange(name, type, { durable: true }));
  }
  for (const queue of topology.queues) await declareQueue(channel, queue);
  for (const { exchange, key, to } of topology.bindings) {
    const bound = 'queue' in to ? channel.bindQueue(to.queue, exchange, key) : channel.bindExchange(to.exchange, exchange, key);
    await naming('Binding', `${exchange} / ${key}`, bound);
  }
}

/**
 * Delayed retries wait in tier queues, where each message has its own time to live. A queue lets only its head expire, so a
 * long delay holds up shorter ones behind it. With a tier per factor of four nobody waits more than four times its own delay,
 * and with the delays of `retryDelayMs`, drawn from [half, whole] of a ceiling, rarely more than twice. (A delay under 250 ms
 * may wait up to 1 s, and one beyond 64 s as long as the longest beside it.)
 */
export const retryTiers: readonly { name: number; delayMaxMs: number }[] = [
  { name: 1, delayMaxMs: 1_000 },
  { name: 2, delayMaxMs: 4_000 },
  { name: 3, delayMaxMs: 16_000 },
  { name: 4, delayMaxMs: Infinity },
];

/** The queue where a message of `queue` waits for `delayMs`. */
export function retryQueue(queue: string, delayMs: number): string {
  const tier = retryTiers.find(({ delayMaxMs }) => delayMs <= delayMaxMs);
  return `${queue}.retry.${tier?.name ?? retryTiers.length}`;
}

/**
 * For a user who may declare nothing but queues of its own: makes sure that the rest is there. Rejects with a line that names what is
 * not, and says who declares it.
 */
export async function findTopology(channel: AmqpChannel, { exchanges, queues, bindings }: Topology): Promise<void> {
  const temporary = new Set(queues.filter(({ kind }) => kind === 'temporary').map(({ name }) => name));
  for (const { name } of exchanges) await finding('Exchange', name, channel.checkExchange(name));
  for (const queue of queues)
    await (temporary.has(queue.name)
      ? declareQueue(channel, queue)
      : finding('Queue', queue.name, channel.checkQueue(queue.name)));
  for (const { exchange, key, to } of bindings)
    if ('queue' in to && temporary.has(to.queue)) await naming('Binding', key, channel.bindQueue(to.queue, exchange, key));
}

async function finding(what: string, name: string, found: Promise<unknown>): Promise<void> {
  await found.catch((error: Error & { code?: number }) => {
    if (error.code !== 404) throw error;
    const advice = 'and this user may not declare it: run `npm run broker-users` with one who may';
    throw Object.assign(new Error(`${what} "${name}" is not there, ${advice}.`, { cause: error }), { code: 404 });
  });
}

async function declareQueue(channel: AmqpChannel, queue: QueueDeclaration): Promise<void> {
  const assert = (name: string, options: QueueOptions) => naming('Queue', name, channel.assertQueue(name, options));
  switch (queue.kind) {
    case 'temporary': {
      const bounds = queue.lengthMax === undefined ? {} : { 'x-max-length': queue.lengthMax, 'x-overflow': 'drop-head' };
      return assert(queue.name, { durable: false, exclusive: true, autoDelete: true, arguments: bounds });
    }
    case 'bounded':
      // A quorum queue as well: a classic one lives on one node, without which no other lets us even declare it.
      return assert(queue.name, {
        durable: true,
        arguments: {
          'x-queue-type': 'quorum',
          'x-max-length': queue.lengthMax,
          'x-overflow': 'drop-head',
          'x-delivery-limit': unlimitedDeliveries,
        },
      });
    case 'requests':
      return assert(queue.name, {
        durable: true,
        arguments: {
          'x-queue-type': 'quorum',
          'x-max-length': queue.lengthMax,
          'x-overflow': 'drop-head',
          'x-message-ttl': queue.ttlMs,
          'x-delivery-limit': deliveryLimit,
        },
      });
    case 'work':
      await assert(deadQueue(queue.name), {
        durable: true,
        arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': unlimitedDeliveries },
      });
      await naming('Binding', deadQueue(queue.name), channel.bindQueue(deadQueue(queue.name), deadLetterExchange, queue.name));
      await assert(queue.name, {
        durable: true,
        arguments: { ...deadLetteringTo(deadLetterExchange, queue.name), 'x-delivery-limit': deliveryLimit },
      });
      for (const { name } of retryTiers) {
        const retry = `${queue.name}.retry.${name}`;
        await assert(retry, { durable: true, arguments: deadLetteringTo('', queue.name) });
        await naming('Binding', retry, channel.bindQueue(retry, deadLetterExchange, retry));
      }
  }
}

/**
 * Behind a dead-letter queue is nothing: what exceeds its delivery limit is gone. RabbitMQ 4 sets a limit of 20 where none is
 * declared, and a keeper that is killed again and again would reach it. -1 lifts the limit on 4.x but counts as 0 on 3.x, where it
 * drops at the first return; as a policy it makes some 4.x nodes write without end. The largest integer is accepted by both, and
 * never reached.
 */
const unlimitedDeliveries = 2_147_483_647;

/** Dead-lettering is at most once by default; a quorum queue that refuses rather than drops makes it at least once. */
function deadLetteringTo(exchange: string, routingKey: string): Record<string, unknown> {
  return {
    'x-queue-type': 'quorum',
    'x-dead-letter-exchange': exchange,
    'x-dead-letter-routing-key': routingKey,
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  };
}

async function naming(what: 'Exchange' | 'Queue' | 'Binding', name: string, declared: Promise<unknown>): Promise<void> {
  try {
    await declared;
  } catch (error) {
    throw explained(what, name, error as Error & { code?: number });
  }
}

function explained(what: string, name: string, error: Error & { code?: number }): Error {
  if (error.code !== 406)
    return Object.assign(new Error(`${what} "${name}" could not be declared: ${error.message}`), { code: error.code });
  const command = what === 'Queue' ? ` (rabbitmqctl delete_queue '${name}')` : '';
  return Object.assign(
    new Error(
      `${what} "${name}" is already on RabbitMQ, declared otherwise. Empty and delete it there${command}, or use another virtual host, then start again. RabbitMQ says: ${error.message}`,
    ),
    { code: error.code },
  );
}
