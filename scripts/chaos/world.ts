import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { migrate, openDatabase, startEmbeddedPostgres, type Database, type EmbeddedPostgres } from '../../src/database';
import { startPrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';
import { ownLogin } from '../login';
import { createFleet, type Fleet, type RoleCounts } from './fleet';

/**
 * A whole Holdfast with its own servers, to be attacked: a private Postgres and a private RabbitMQ on loopback, and the roles as
 * processes of their own, each with its own wires to the servers. Nothing of it is shared with anyone; closing it leaves nothing.
 */
export interface World {
  /** Where everything of this world lives: data, logs of every process, the clients' journal. */
  readonly folder: string;
  /** The harness's own connection, past every wire that may be cut. */
  readonly database: Database;
  readonly postgres: PostgresNode;
  readonly broker: BrokerNode;
  readonly fleet: Fleet;
  /** Ends every process. The folder is removed, unless it is to be kept for a look. */
  close(options?: { keep: boolean }): Promise<void>;
}

export interface PostgresNode {
  readonly url: string;
  /** Ends the server by a signal: SIGINT is its fast shutdown, SIGQUIT its immediate one. It is started again by itself. */
  end(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL'): void;
}

/** What the harness can do with RabbitMQ: one node, or a cluster behind the same words. */
export interface BrokerNode {
  /** Where clients find it; several addresses, separated by commas, for a cluster. */
  readonly url: string;
  control(...args: string[]): Promise<string>;
  /** Ends it: gracefully, or at once as a crash would. */
  end(how: 'stop' | 'kill9'): Promise<void>;
  /** Starts it again on its data, at the same address. */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  roles: RoleCounts;
  /** Settings for every role, over those of the harness. */
  settings?: Record<string, string>;
  /** Modules that every role loads before its own. */
  preload?: string[];
  /** A broker that is there already, a cluster for one. */
  broker?: (folder: string) => Promise<BrokerNode>;
  /** How `node` runs Holdfast: its program and what precedes it. The built one, unless a test runs the sources. */
  program?: string[];
}

/** Settings under which a fault and its cure fit into seconds; the mechanisms are the same. */
const harnessSettings = {
  ...ownLogin.settings,
  NODE_ENV: 'test',
  LOG_LEVEL: 'warn',
  DATABASE_POOL_SIZE: '6',
  ORDER_REPUBLISH_SECONDS: '5',
  ORDER_DEADLINE_SECONDS: '75',
  DRAIN_SECONDS: '5',
};

/** Starts the servers, brings the database to this release, and starts the roles; resolves when every one of them answers. */
export async function openWorld(options: WorldOptions): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-chaos-'));
  const undo: (() => Promise<unknown>)[] = [() => Promise.resolve(rmSync(folder, { recursive: true, force: true }))];
  const close = async ({ keep } = { keep: false }) => {
    if (keep) undo.shift();
    for (const step of undo.splice(0).reverse()) await step().catch((error: unknown) => complain(error));
  };
  try {
    const [server, broker] = await settledBoth(startPostgres(folder, undo), startBroker(folder, options, undo));
    await migrate(server.url);
    const database = openDatabase({
      url: server.url,
      poolSize: 4,
      applicationName: 'holdfast chaos',
      statementTimeoutMs: 300_000,
    });
    undo.push(() => database.close());
    const fleet = createFleet({
      ...{ folder, program: options.program, preload: options.preload ?? [] },
      settings: { ...harnessSettings, ...options.settings },
      databaseUrl: server.url,
      brokerUrl: broker.url,
    });
    undo.push(() => fleet.close());
    await fleet.start(options.roles);
    return { folder, database, postgres: nodeOf(server), broker, fleet, close };
  } catch (error) {
    await close({ keep: true });
    throw new Error(`The harness could not start, its logs are in ${folder}: ${(error as Error).message}`, { cause: error });
  }
}

async function startPostgres(folder: string, undo: (() => Promise<unknown>)[]): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dataDir: join(folder, 'database'), port: 0 });
  undo.push(() => server.stop());
  return server;
}

function nodeOf(server: EmbeddedPostgres): PostgresNode {
  return { url: server.url, end: (signal) => void process.kill(server.pid, signal) };
}

async function startBroker(folder: string, { broker }: WorldOptions, undo: (() => Promise<unknown>)[]): Promise<BrokerNode> {
  const node = await (broker ?? singleNode)(join(folder, 'rabbitmq'));
  undo.push(() => node.close());
  return node;
}

async function singleNode(dataDir: string): Promise<BrokerNode> {
  let node = await startPrivateRabbitmq({ dataDir });
  const { url } = node;
  return {
    url,
    control: (...args) => node.control(...args),
    end: (how) => node[how](),
    start: async () => {
      node = await startPrivateRabbitmq({ dataDir });
    },
    close: () => node.kill9(),
  };
}

/** Both are over when this is, so that a failure of one does not leave the other behind unseen. */
async function settledBoth<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

function complain(error: unknown) {
  process.stderr.write(`not closed cleanly: ${String(error)}\n`);
}
