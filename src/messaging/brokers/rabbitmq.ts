import { type Logger } from '../../observability';
import {
  type Broker,
  type BrokerStatus,
  type ConsumeOptions,
  type Delivery,
  type Publication,
  type QueueDepth,
  type Subscription,
  type Topology,
} from '../broker';
import { type AmqpChannel, type AmqpConnection } from './amqp';
import { linkTo } from './rabbitmqConnection';
import { RabbitmqConsumer } from './rabbitmqConsumer';
import { type Link, type LinkOptions } from './rabbitmqLink';
import { Publisher } from './rabbitmqPublisher';
import { declareTopology, findTopology } from './rabbitmqQueues';
import { rabbitmqNodes, shownNodes, withoutPasswords } from './rabbitmqUrl';
import { createRememberedTopology } from './rememberedTopology';
import { deadLetterExchange } from './wireNames';

/**
 * A broker over RabbitMQ. Resolves after the first connection; rejects after `bootTimeoutMs` with a line that says what failed.
 * From then on it reconnects by itself and restores topology, consumers and publishing.
 */
export async function connectRabbitmq(options: RabbitmqOptions): Promise<Broker> {
  const broker = new RabbitmqBroker(options);
  await broker.start();
  return broker;
}

export interface RabbitmqOptions {
  /** `amqp://user:password@host:port/vhost`, or `amqps:` with the parameters `cacertfile`, `certfile` and `keyfile`; several of them, separated by commas, for the nodes of a cluster. */
  url: string;
  /** 0 to below 1, for the node to begin with and the jitter of reconnects. */
  random: () => number;
  log?: Logger;
  /** Shown in RabbitMQ's list of connections. */
  connectionName?: string;
  /** How long a publication may go without a confirm. */
  confirmTimeoutMs?: number;
  /** How long the first connection is tried for. */
  bootTimeoutMs?: number;
  /** How long one connection may take to be set up. */
  setupTimeoutMs?: number;
  /** The longest pause between two tries to reconnect. */
  reconnectDelayMaxMs?: number;
  /** A silent peer is given up after two to three of these. */
  heartbeatSeconds?: number;
  /** How many publications may be unconfirmed on the wire at a time. */
  publishWindowMax?: number;
  /** Told at every change of the status, also while the first connection is tried. */
  onStatus?: (status: BrokerStatus) => void;
}

const defaults = {
  connectionName: 'holdfast',
  confirmTimeoutMs: 10_000,
  bootTimeoutMs: 30_000,
  setupTimeoutMs: 10_000,
  reconnectDelayMaxMs: 5_000,
  heartbeatSeconds: 10,
  publishWindowMax: 200,
};

class RabbitmqBroker implements Broker {
  readonly name = 'rabbitmq';
  private readonly options: typeof defaults & RabbitmqOptions;
  private readonly nodes: readonly URL[];
  private readonly publishing: Link;
  private readonly consuming: Link;
  private readonly publisher: Publisher;
  private readonly consumers = new Set<RabbitmqConsumer>();
  private readonly topology = createRememberedTopology();
  private closing = false;
  private mayDeclare = true;

  constructor(options: RabbitmqOptions) {
    this.options = { ...defaults, ...options };
    this.nodes = nodesOf(options.url);
    // Two connections: an alarm on the broker blocks the one that publishes, and consumers must go on to drain the queues.
    this.publishing = this.link('publishing', (connection) => this.publisher.open(connection));
    this.consuming = this.link('consuming', (connection) => this.buildConsuming(connection));
    this.publisher = new Publisher({
      link: this.publishing,
      confirmTimeoutMs: this.options.confirmTimeoutMs,
      windowMax: this.options.publishWindowMax,
      redeclare: () => this.redeclare(),
      log: options.log,
    });
  }

  async start(): Promise<void> {
    const { bootTimeoutMs } = this.options;
    this.publishing.start();
    this.consuming.start();
    try {
      await Promise.all([this.publishing.ready(bootTimeoutMs), this.consuming.ready(bootTimeoutMs)]);
    } catch (error) {
      const { detail } = this.status();
      await this.close();
      throw new Error(
        `No connection to RabbitMQ within ${bootTimeoutMs / 1000} s: ${detail}. Start it, or correct RABBITMQ_URL.`,
        { cause: error },
      );
    }
  }

  async declare(topology: Topology): Promise<void> {
    const connection = await this.consuming.ready(this.options.setupTimeoutMs);
    await this.declareOn(connection, topology);
    this.topology.remember(topology);
    this.publisher.declared([deadLetterExchange, ...topology.exchanges.map(({ name }) => name)]);
  }

  publish(publication: Publication): Promise<void> {
    return this.publisher.publish(publication);
  }

  async consume(queue: string, { prefetch }: ConsumeOptions, onDelivery: (delivery: Delivery) => void): Promise<Subscription> {
    if (!(prefetch >= 1 && prefetch <= 65_535)) throw new RangeError(`prefetch must be from 1 to 65535; got ${prefetch}.`);
    const consumer = new RabbitmqConsumer({
      queue,
      prefetch,
      onDelivery,
      publisher: this.publisher,
      link: this.consuming,
      redeclare: () => this.redeclare(),
      onChange: () => this.changed(),
      onEnd: () => this.consumers.delete(consumer),
      log: this.options.log,
    });
    const connection = await this.consuming.ready(this.options.setupTimeoutMs);
    try {
      await consumer.attach(connection);
    } catch (error) {
      throw new Error(`Cannot consume "${queue}": ${(error as Error).message}`, { cause: error });
    }
    this.consumers.add(consumer);
    return {
      cancel: async () => {
        this.topology.forgetTemporary(queue);
        await consumer.cancel();
      },
    };
  }

  async depth(queue: string): Promise<QueueDepth | undefined> {
    const connection = await this.consuming.ready(this.options.setupTimeoutMs);
    try {
      return await onOwnChannel(connection, (channel) => depthOn(channel, queue));
    } catch (error) {
      if ((error as { code?: number }).code === 404) return undefined;
      throw error;
    }
  }

  unsettled(): number {
    return this.publisher.unsettled();
  }

  status(): BrokerStatus {
    const where = shownNodes(this.nodes);
    const links = [this.publishing, this.consuming];
    if (this.closing) return { state: 'closed', detail: `${where}, closed` };
    const lost = links.find(({ state }) => state === 'connecting');
    if (lost) return { state: 'connecting', detail: `${where}: ${lost.detail}` };
    const trouble = [...this.consumers].find((consumer) => consumer.trouble)?.trouble;
    if (trouble) return { state: 'connecting', detail: `${where}: ${withoutPasswords(trouble, this.nodes)}` };
    const blocked = links.find(({ state }) => state === 'blocked');
    if (blocked) return { state: 'blocked', detail: `${where}: ${blocked.detail}` };
    return { state: 'ready', detail: where };
  }

  async close(): Promise<void> {
    if (this.closing) return;
    this.closing = true;
    const { confirmTimeoutMs } = this.options;
    await within(closeTimeoutMs, Promise.all([...this.consumers].map((consumer) => consumer.cancel())));
    // Publishing ends before the consumers' channels: retries and dead letters under way are acked by their confirms.
    await within(confirmTimeoutMs + closeTimeoutMs, this.publisher.close(confirmTimeoutMs));
    await within(closeTimeoutMs, Promise.all([...this.consumers].map((consumer) => consumer.close())));
    await Promise.all([this.publishing.close(closeTimeoutMs), this.consuming.close(closeTimeoutMs)]);
    this.changed();
  }

  private link(purpose: string, build: LinkOptions['build']): Link {
    const { random, connectionName, setupTimeoutMs, reconnectDelayMaxMs, heartbeatSeconds, log } = this.options;
    return linkTo(this.nodes, {
      ...{ purpose, build, connectionName, random, setupTimeoutMs, reconnectDelayMaxMs, heartbeatSeconds, log },
      onChange: () => {
        if (purpose === 'publishing' && this.publishing.state === 'ready') this.publisher.pump();
        this.changed();
      },
    });
  }

  private async buildConsuming(connection: AmqpConnection): Promise<void> {
    await this.declareOn(connection, this.topology.durable());
    await this.declareOn(connection, this.topology.temporary()).catch(() => undefined);
    for (const consumer of this.consumers) {
      await consumer.attach(connection).catch(() => void consumer.restore());
    }
  }

  /** Who may not declare (`npm run broker-users`) is content with what is there. Asked once: a refusal stays one. */
  private async declareOn(connection: AmqpConnection, topology: Topology): Promise<void> {
    if (this.mayDeclare) {
      try {
        return await onOwnChannel(connection, (channel) => declareTopology(channel, topology));
      } catch (error) {
        if ((error as { code?: number }).code !== ACCESS_REFUSED) throw error;
        this.mayDeclare = false;
      }
    }
    await onOwnChannel(connection, (channel) => findTopology(channel, topology));
  }

  private async redeclare(): Promise<void> {
    const connection = await this.consuming.ready(this.options.setupTimeoutMs);
    await this.declareOn(connection, this.topology.all());
    this.publisher.declared([deadLetterExchange, ...this.topology.all().exchanges.map(({ name }) => name)]);
  }

  private changed(): void {
    this.options.onStatus?.(this.status());
  }
}

/**
 * RabbitMQ says of a quorum queue whose leader gives no answer within 250 ms that it holds nothing and that nobody consumes it, as if
 * it knew. So that is asked again before it is believed.
 */
async function depthOn(channel: AmqpChannel, queue: string): Promise<QueueDepth> {
  for (let asked = 1; ; asked++) {
    const { messageCount: ready, consumerCount: consumers } = await channel.checkQueue(queue);
    if (ready > 0 || consumers > 0 || asked === DEPTH_ASKED_MAX) return { ready, consumers };
  }
}

const DEPTH_ASKED_MAX = 4;

/** Runs `work` on a channel that lives only for it: a refusal closes a channel, and must not take anything else along. */
async function onOwnChannel<T>(connection: AmqpConnection, work: (channel: AmqpChannel) => Promise<T>): Promise<T> {
  const channel = await connection.createChannel();
  let isOpen = true;
  channel.on('error', () => undefined);
  channel.on('close', () => (isOpen = false));
  try {
    return await work(channel);
  } finally {
    if (isOpen) await channel.close().catch(() => undefined);
  }
}

function nodesOf(url: string): URL[] {
  try {
    return rabbitmqNodes(url);
  } catch (error) {
    throw new Error(`RABBITMQ_URL ${(error as Error).message}.`, { cause: error });
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work.catch(() => undefined), limit]);
  clearTimeout(timer);
}

const closeTimeoutMs = 3_000;
const ACCESS_REFUSED = 403;
