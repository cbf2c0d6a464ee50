import { type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { queues } from '../../src/contracts';
import { findRabbitmqServer } from '../../src/messaging/brokers/findRabbitmqServer';
import { serverMissing } from '../../src/messaging/brokers/privateRabbitmq';
import { nodeSettings, nodeUrl, writeNodeFiles } from '../../src/messaging/brokers/privateRabbitmqFiles';
import {
  endProcess,
  forgetProcesses,
  nodeEnvironment,
  rememberProcesses,
  runTool,
  startEpmd,
  startNode,
  stopLeftovers,
  type NodePlace,
} from '../../src/messaging/brokers/privateRabbitmqProcess';
import { type BrokerNode } from './world';

export interface ClusterOptions {
  /** Where the cluster lives, a folder for each node in it. The same folder gives the same cluster again, on the same ports. */
  dataDir: string;
  nodes?: number;
  /** More virtual hosts beside `/`, each with the same user and policies. */
  vhosts?: readonly string[];
}

/** Some RabbitMQ nodes that are one broker, on this machine and for nobody else. */
export interface PrivateRabbitmqCluster {
  /** All nodes, separated by commas, as RABBITMQ_URL takes them. */
  readonly url: string;
  readonly nodes: readonly ClusterNode[];
  urlOf(vhost: string): string;
  /** Runs `rabbitmqctl` against the first node that is up. */
  control: (...args: string[]) => Promise<string>;
  /** The node that leads a quorum queue; undefined while none does. */
  leaderOf(queue: string, vhost?: string): Promise<ClusterNode | undefined>;
  /** The names of the nodes that hold a copy of a quorum queue. */
  membersOf(queue: string, vhost?: string): Promise<string[]>;
  /** Lets every node finish, then ends them and their epmd. */
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill9(): Promise<void>;
}

export interface ClusterNode {
  readonly name: string;
  readonly port: number;
  /** Of the process while the node is up. */
  readonly pid: number | undefined;
  readonly url: string;
  /** True while it serves, as far as we know. */
  readonly isUp: boolean;
  /** Ends the node at once, as a crash would; its data stays. */
  kill9(): Promise<void>;
  /** Lets the node finish, then ends it. */
  stop(): Promise<void>;
  /**
   * Starts it on its data, and resolves when it is back in the cluster and serves. When all were down, start all side by side:
   * RabbitMQ waits for a node that may know more.
   */
  start(): Promise<void>;
}

/**
 * Starts the nodes with names, ports, cookie and data of their own and one epmd between them, all on 127.0.0.1. The first start
 * makes the first node and lets the others join it, before anybody can declare a queue: so every quorum queue gets a member on
 * each node. After that they find one another in any order.
 */
export async function startPrivateRabbitmqCluster(options: ClusterOptions): Promise<PrivateRabbitmqCluster> {
  const dataDir = resolve(options.dataDir);
  const { nodes: count = 3, vhosts = [] } = options;
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  await stopLeftovers(dataDir);
  const places = await layPlaces(dataDir, count, vhosts);
  const epmd = startEpmd(dataDir, places[0]!.environment);
  const endWithUs = () => void epmd.kill('SIGTERM');
  process.once('exit', endWithUs);
  rememberProcesses(dataDir, { epmd });
  const nodes = places.map((place) => new Node(place));
  const end = async (how: 'stop' | 'kill9') => {
    await Promise.all(nodes.map((node) => node[how]()));
    process.removeListener('exit', endWithUs);
    await endProcess(epmd, 'SIGTERM');
    forgetProcesses(dataDir);
  };
  const cluster = clusterOf(nodes, end);
  try {
    await startAll(dataDir, nodes);
    await assertOneCluster(cluster);
  } catch (error) {
    await end('kill9');
    throw error;
  }
  return cluster;
}

/**
 * A cluster behind the words for a single broker, for a world to stand on: what is ended each time is the node that leads the next
 * of the busiest queues, and that node comes back; the other two never stop serving.
 */
export async function startClusterBroker(dataDir: string): Promise<BrokerNode> {
  const cluster = await startPrivateRabbitmqCluster({ dataDir });
  let ended: ClusterNode | undefined;
  let turn = 0;
  return {
    url: cluster.url,
    control: cluster.control,
    async end(how) {
      const queue = ledQueues[turn++ % ledQueues.length]!;
      ended = (await cluster.leaderOf(queue)) ?? cluster.nodes[0]!;
      await ended[how]();
    },
    start: async () => ended?.start(),
    close: () => cluster.kill9(),
  };
}

const ledQueues = [queues.orderCreated, queues.stockReplies, queues.orderFulfilled, queues.orderCancelled];

/** One epmd, one user and, by one home, one cookie for all of them. */
async function layPlaces(dataDir: string, count: number, vhosts: readonly string[]): Promise<NodePlace[]> {
  const server = findRabbitmqServer();
  if (server === undefined) throw new Error(serverMissing);
  const folders = Array.from({ length: count }, (_, index) => join(dataDir, `node-${index + 1}`));
  const places: NodePlace[] = [];
  for (const folder of folders) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await stopLeftovers(folder);
    const first = places[0]?.settings;
    const { epmdPort, user, password } = first ?? {};
    const settings = await nodeSettings(folder, { epmdPort, user, password });
    writeNodeFiles(folder, settings, { vhosts, joins: first?.nodeName });
    places.push({ server, dataDir: folder, settings, environment: nodeEnvironment(folder, settings, dataDir) });
  }
  return places;
}

async function startAll(dataDir: string, nodes: Node[]): Promise<void> {
  const mark = join(dataDir, 'formed');
  if (!existsSync(mark)) await nodes[0]!.start();
  await Promise.all(nodes.filter((node) => !node.isUp).map((node) => node.start()));
  writeFileSync(mark, '');
}

/** A node that cannot join goes on alone, as a second broker that nobody wants. */
async function assertOneCluster({ nodes, control }: PrivateRabbitmqCluster): Promise<void> {
  const status = JSON.parse(await control('cluster_status', '--formatter', 'json')) as { running_nodes: string[] };
  const missing = nodes.filter(({ name }) => !status.running_nodes.includes(name));
  if (missing.length > 0) throw new Error(`Not in the cluster: ${missing.map(({ name }) => name).join(', ')}.`);
}

function clusterOf(nodes: Node[], end: (how: 'stop' | 'kill9') => Promise<void>): PrivateRabbitmqCluster {
  const control = (...args: string[]) => {
    const up = nodes.find((node) => node.isUp);
    if (!up) throw new Error('No node of the cluster is up.');
    return runTool('rabbitmqctl', up.place, args);
  };
  const urlOf = (vhost: string) => nodes.map((node) => `${node.url}/${vhost}`).join(',');
  const queueOf = async (queue: string, vhost: string) => {
    const columns = ['name', 'leader', 'members', '--formatter', 'json'];
    const rows = JSON.parse(await control('list_queues', '--vhost', vhost, ...columns)) as QueueRow[];
    return rows.find(({ name }) => name === queue);
  };
  return {
    url: nodes.map(({ url }) => url).join(','),
    ...{ nodes, urlOf, control },
    stop: () => end('stop'),
    kill9: () => end('kill9'),
    async leaderOf(queue, vhost = '/') {
      const row = await queueOf(queue, vhost);
      return nodes.find(({ name, isUp }) => isUp && name === row?.leader);
    },
    membersOf: async (queue, vhost = '/') => (await queueOf(queue, vhost))?.members ?? [],
  };
}

interface QueueRow {
  name: string;
  leader?: string;
  members?: string[];
}

class Node implements ClusterNode {
  readonly url: string;
  isUp = false;
  private process?: ChildProcess;
  private readonly endWithUs = () => void this.process?.kill('SIGTERM');

  constructor(readonly place: NodePlace) {
    this.url = nodeUrl(place.settings);
  }

  get name() {
    return this.place.settings.nodeName;
  }

  get port() {
    return this.place.settings.port;
  }

  get pid() {
    return this.process?.pid;
  }

  async start(): Promise<void> {
    if (this.process) return;
    process.once('exit', this.endWithUs);
    await startNode(this.place, { onSpawn: (node) => (this.process = node) });
    this.isUp = true;
  }

  stop(): Promise<void> {
    return this.end('SIGTERM');
  }

  kill9(): Promise<void> {
    return this.end('SIGKILL');
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const { process: running } = this;
    this.process = undefined;
    this.isUp = false;
    process.removeListener('exit', this.endWithUs);
    if (!running) return;
    await endProcess(running, signal);
    forgetProcesses(this.place.dataDir);
  }
}
