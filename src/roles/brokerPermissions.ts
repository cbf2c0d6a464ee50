import { exchanges, productDesk, queues, rpcs } from '../contracts';
import { deadQueue } from '../messaging';
import { type RoleName } from './roleNames';

/** What a user of RabbitMQ may do, as it understands it: regular expressions over names, and over routing keys. */
export interface BrokerPermissions {
  /** Declare and delete. */
  configure: string;
  /** Publish to. */
  write: string;
  /** Consume and bind from. */
  read: string;
  /** Of a topic exchange that it may publish to, the only keys. */
  topics: { exchange: string; write: string }[];
}

interface Work {
  /** Queues it consumes, and whose dead letters it keeps. */
  consumes: string[];
  /** Queues it only reads. */
  reads: string[];
  /** Exchanges it publishes to. */
  publishes: string[];
}

/**
 * What each role does on the broker. Whoever answers questions or sends commands publishes to the default exchange, which reaches
 * every queue by its name: RabbitMQ knows nothing finer there. The gateway, which replays dead letters to where they came from, may
 * publish to every exchange.
 */
const work: Record<RoleName, Work> = {
  gateway: {
    consumes: [],
    reads: [],
    publishes: [
      exchanges.orders,
      exchanges.inventory,
      exchanges.accounts,
      exchanges.newOrders,
      exchanges.notifications,
      defaultName(),
    ],
  },
  orders: {
    consumes: [
      ...[queues.stockReplies, queues.paymentReplies, queues.newOrders, queues.orderCreateCommands, queues.orderUpdateCommands],
    ],
    reads: [queues.unrouted, rpcs.orderCreate.queue, rpcs.orderStatus.queue, rpcs.orderStatusUpdate.queue],
    publishes: [exchanges.orders, exchanges.notifications, defaultName()],
  },
  inventory: {
    consumes: [queues.orderCreated, queues.orderCancelled, queues.orderFulfilled, queues.amendReservation],
    reads: [rpcs.stockCheck.queue, rpcs.stockUpdate.queue, productDesk.queue],
    publishes: [exchanges.inventory, defaultName()],
  },
  accounts: {
    consumes: [queues.orderReserved, queues.paymentClosings, queues.paymentCommands],
    reads: [rpcs.userCheck.queue],
    publishes: [exchanges.accounts, defaultName()],
  },
  notifications: {
    consumes: [queues.orderCreations, queues.orderUpdates],
    reads: [],
    publishes: [exchanges.notifications],
  },
};

/** Answers to the gateway's own questions come to a queue of its process. */
const replyQueues = 'rpc\\.replies\\.[0-9a-f-]+';

/** That there is news for its subscribers, it hears by another, which it binds to what it follows. */
const pulseQueues = 'live\\.pulse\\.[0-9a-f-]+';
const followed = [exchanges.orderEvents, exchanges.stockEvents];

export function brokerPermissions(role: RoleName): BrokerPermissions {
  const { consumes, reads, publishes } = work[role];
  const [own, bound, heard] = role === 'gateway' ? [[replyQueues, pulseQueues], [pulseQueues], followed] : [[], [], []];
  const settles = consumes.length > 0;
  return {
    configure: anyOf(own),
    write: anyOf([...bound, ...[...publishes, ...(settles ? [exchanges.deadLetters] : [])].map(escaped)]),
    read: anyOf([...own, ...[...consumes, ...consumes.map(deadQueue), ...reads, ...heard].map(escaped)]),
    // A message of its queues goes to wait for its next try, or to the dead letters, and to those of no other role.
    topics: settles
      ? [{ exchange: exchanges.deadLetters, write: `^(${consumes.map(escaped).join('|')})(\\.retry\\.[0-9]+)?$` }]
      : [],
  };
}

/** As RabbitMQ calls the exchange without a name, where permissions are concerned. */
function defaultName(): string {
  return 'amq.default';
}

function anyOf(patterns: string[]): string {
  return patterns.length === 0 ? '^$' : `^(${patterns.join('|')})$`;
}

function escaped(name: string): string {
  return name.replaceAll('.', '\\.');
}
