import { type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Logger } from '../../observability';
import { findRabbitmqServer } from './findRabbitmqServer';
import { nodeSettings, nodeUrl, writeNodeFiles } from './privateRabbitmqFiles';
import {
  endProcess,
  forgetProcesses,
  nodeEnvironment,
  runTool,
  startEpmd,
  startNode,
  stopLeftovers,
  type NodePlace,
} from './privateRabbitmqProcess';

export interface PrivateRabbitmqOptions {
  /** Where the node lives: data, log, credentials. The same folder gives the same node again, on the same port. */
  dataDir: string;
  /** A free one is chosen, and kept, when none is given. */
  port?: number;
  /** Given: the management page is served there. */
  managementPort?: number;
  /** More virtual hosts beside `/`, each with the same user and policies. */
  vhosts?: readonly string[];
  /** Further lines of its configuration. */
  settings?: readonly string[];
  log?: Logger;
}

export interface PrivateRabbitmq {
  /** With user and password; append `/<vhost>` for one of the extra virtual hosts. */
  readonly url: string;
  readonly port: number;
  /** The node's process. */
  readonly pid: number;
  readonly dataDir: string;
  /** Runs `rabbitmqctl` against this node and gives what it prints. */
  control(...args: string[]): Promise<string>;
  /** Lets the node finish, then ends it and its epmd. What was confirmed is there at the next start. */
  stop(): Promise<void>;
  /** Ends the node at once, as a crash would; its data stays. */
  kill9(): Promise<void>;
}

/**
 * A RabbitMQ node of our own, from the `rabbitmq-server` installed on this machine: it listens on 127.0.0.1 only, with its own
 * name, ports, epmd, cookie, data and a generated user, so it neither sees nor disturbs any other node. A node that an earlier
 * run left alive on the same folder is stopped first. Fails with one line that says what is missing.
 */
export async function startPrivateRabbitmq(options: PrivateRabbitmqOptions): Promise<PrivateRabbitmq> {
  const server = findRabbitmqServer();
  if (server === undefined) throw new Error(serverMissing);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const settings = await nodeSettings(dataDir, { port: options.port });
  await stopLeftovers(dataDir, options.log);
  writeNodeFiles(dataDir, settings, options);
  const place: NodePlace = { server, dataDir, settings, environment: nodeEnvironment(dataDir, settings) };
  const epmd = startEpmd(dataDir, place.environment);
  const node = await startNode(place, { epmd }).catch(async (error: unknown) => {
    await endProcess(epmd, 'SIGTERM');
    throw error;
  });
  options.log?.info({ port: settings.port, pid: node.pid }, 'The private RabbitMQ node is up.');
  return handleOf(place, node, epmd);
}

export const serverMissing =
  'RabbitMQ is not installed on this machine: no rabbitmq-server on the PATH. Install it (Debian: apt-get install rabbitmq-server; macOS: brew install rabbitmq), or give RABBITMQ_URL.';

function handleOf(place: NodePlace, node: ChildProcess, epmd: ChildProcess): PrivateRabbitmq {
  const { dataDir, settings } = place;
  // A process that ends at once, by a second signal or a fault, must not leave its node behind.
  const endWithUs = () => [node, epmd].forEach((child) => child.kill('SIGTERM'));
  process.once('exit', endWithUs);
  const end = async (signal: NodeJS.Signals) => {
    process.removeListener('exit', endWithUs);
    await endProcess(node, signal);
    await endProcess(epmd, 'SIGTERM');
    forgetProcesses(dataDir);
  };
  return {
    url: nodeUrl(settings),
    port: settings.port,
    pid: node.pid ?? 0,
    dataDir,
    control: (...args) => runTool('rabbitmqctl', place, args),
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
  };
}
