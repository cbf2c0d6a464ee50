import { connect, type ChannelModel } from 'amqplib';
import { hostname } from 'node:os';
import { type Writable } from 'node:stream';
import { certificateFault } from '../../tls';
import { type AmqpConnection } from './amqp';
import { Link, type LinkOptions } from './rabbitmqLink';
import { certificatesOf, tlsParameters, withoutPasswords } from './rabbitmqUrl';

/** A link goes round the nodes by itself: at every loss and every refusal it is the next one's turn. */
export function linkTo(nodes: readonly URL[], options: LinkToOptions): Link {
  const { purpose, build, random, setupTimeoutMs, reconnectDelayMaxMs, log, onChange } = options;
  const { length } = nodes;
  // Anywhere, so that many processes spread over the nodes.
  let turn = Math.floor(random() * length) - 1;
  return new Link({
    purpose,
    connect: () => connectTo(nodes[++turn % length]!, options),
    triesPerRound: length,
    build,
    destroy,
    describe: (error) => {
      const why = withoutPasswords(describe(error), nodes);
      return length === 1 ? why : `${nodes[turn % length]!.host}: ${why}`;
    },
    random,
    setupTimeoutMs,
    reconnectDelayMaxMs,
    log,
    onChange,
  });
}

export interface LinkToOptions extends Omit<LinkOptions, 'connect' | 'triesPerRound' | 'destroy' | 'describe'> {
  /** Shown in RabbitMQ's list of connections. */
  connectionName: string;
  /** A silent peer is given up after two to three of these. */
  heartbeatSeconds: number;
}

async function connectTo(node: URL, options: LinkToOptions): Promise<AmqpConnection> {
  const { purpose, connectionName, setupTimeoutMs, heartbeatSeconds } = options;
  const url = new URL(node);
  for (const name of tlsParameters) url.searchParams.delete(name);
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(heartbeatSeconds));
  const connection_name = `${connectionName} ${purpose} (${hostname()}, pid ${process.pid})`;
  const connection = await connect(url.href, {
    ...{ timeout: setupTimeoutMs, noDelay: true, clientProperties: { connection_name } },
    ...{ ...certificatesOf(node), rejectUnauthorized: true },
  });
  gatherWrites(streamOf(connection));
  return connection;
}

/** What one turn of the event loop has to say leaves in one system call: amqplib makes one of every message, and each wakes the broker. */
function gatherWrites(stream: Writable | undefined): void {
  if (!stream) return;
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
  stream.write = (...args: unknown[]) => {
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(() => stream.uncork());
    }
    return write(...args);
  };
}

/** amqplib only half-closes a socket, which waits for an answer that a silent peer never gives. */
function destroy(connection: AmqpConnection, reason: string): void {
  streamOf(connection)?.destroy(new Error(reason));
}

/** amqplib keeps its socket to itself. */
function streamOf(connection: AmqpConnection): Writable | undefined {
  return ((connection as ChannelModel).connection as unknown as { stream?: Writable }).stream;
}

/** A refused connection to a name with several addresses has its reasons inside and no message of its own. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('; ');
  return certificateFault(error) ?? (error instanceof Error ? error.message : String(error));
}
