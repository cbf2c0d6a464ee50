import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { openDatabase, readRuntime, type Database } from '../../src/database';
import { type Undo } from '../../src/undo';
import { type FleetRole, type RoleCounts } from '../chaos/fleet';
import { ownLogin } from '../login';
import { Crew } from './crew';
import { peakMiB, ProcessTable, sharedOutMiB } from './procfs';
import { addProducts, type Products } from './products';
import { makeDatabase, type Servers } from './servers';

/** A Holdfast to be measured, with a database of its own: several processes, or one. */
export interface Site {
  readonly name: string;
  readonly gatewayUrls: readonly string[];
  /** The header that its gateways know us by. */
  readonly authorization: string;
  readonly products: Products;
  /** The bench's own connections: one to look everything up, one that only ever follows an index. */
  readonly database: Database;
  readonly watch: Database;
  readonly brokerUrl?: string;
  /** The processes of each part, by role and server. */
  parts(table: ProcessTable): Record<string, number[]>;
  /** Rejects when a process of it ends by itself, or the bench is to stop. */
  untimelyEnd(): Promise<never>;
  /** Ends every inventory process, then starts so many. */
  setInventory(count: number): Promise<void>;
  /** Looks at the memory that each part holds; to be called when a round has been measured. */
  notePeaks(): void;
  /** The most that was seen of each part, in MiB: see `Peaks`. */
  peaksMiB(): Record<string, number>;
  /** Processes that were told to end and did so with a code other than 0. */
  badEnds(): readonly string[];
  /** Ends the processes and the bench's own connections; the database stays where its server does. */
  stop(): Promise<void>;
}

interface SiteOptions {
  undo: Undo;
  /** Rejects when the bench is to stop. */
  aborted: Promise<never>;
}

export interface DistributedOptions extends SiteOptions {
  name: string;
  roles: RoleCounts;
  /** The virtual host of RabbitMQ; the first one unless given. */
  host?: string;
  settings?: Record<string, string>;
  /** How many connections to Postgres its processes may open together: the server lets in a hundred. */
  connectionsMax: number;
}

/** As in production; only patience differs, because an order that waits in a backlog on purpose is not late. */
const patience = { ORDER_REPUBLISH_SECONDS: '3600', ORDER_DEADLINE_SECONDS: '86400', BACKLOG_MAX: '10000000' };
const common = { NODE_ENV: 'production', LOG_LEVEL: 'warn', ...patience, ...ownLogin.settings };
/** As many connections as a process has by default. */
const POOL_SIZE_MAX = 10;

/** The roles as processes on the private servers, with no proxy in between. */
export async function openDistributed(servers: Servers, options: DistributedOptions): Promise<Site> {
  const { name, roles, host, settings, undo, aborted } = options;
  const databaseUrl = await makeDatabase(servers, name);
  const brokerUrl = host === undefined ? servers.rabbitmq.url : `${servers.rabbitmq.url}/${host}`;
  const folder = join(servers.folder, name);
  mkdirSync(folder, { recursive: true });
  const urls = { DATABASE_URL: databaseUrl, RABBITMQ_URL: brokerUrl, HOLDFAST_DATA: folder };
  const crew = new Crew(folder, { ...common, ...settings, ...urls, DATABASE_POOL_SIZE: String(poolSizeOf(options)) });
  undo.add(() => crew.end('SIGKILL'));
  for (const [role, count] of Object.entries(roles)) await Promise.race([crew.start(role as FleetRole, count), aborted]);
  const serverPids = (table: ProcessTable) => ({
    postgres: table.tree(servers.postgres.pid),
    rabbitmq: table.tree(servers.rabbitmq.pid),
  });
  return siteOf({ name, brokerUrl, crew, undo, aborted, serverPids, databaseUrl, gatewayUrls: crew.urlsOf('gateway') });
}

/** `npm start`: all roles in one process, with the embedded Postgres and the broker in process. */
export async function openEmbedded({ folder, undo, aborted }: SiteOptions & { folder: string }): Promise<Site> {
  mkdirSync(folder, { recursive: true });
  const dataDir = join(folder, 'data');
  const crew = new Crew(folder, { ...common, POSTGRES_PORT: '0', HOLDFAST_DATA: dataDir });
  undo.add(() => crew.end('SIGTERM'));
  await Promise.race([crew.start('holdfast', 1), aborted]);
  const { databaseUrl } = (await readRuntime(dataDir))!;
  const serverPids = (table: ProcessTable) => {
    const [holdfast = 0] = crew.pids()['holdfast'] ?? [];
    return { postgres: table.tree(holdfast).filter((pid) => pid !== holdfast) };
  };
  return siteOf({ name: 'embedded', crew, undo, aborted, serverPids, databaseUrl, gatewayUrls: crew.urlsOf('holdfast') });
}

interface Opened extends SiteOptions, Pick<Site, 'name' | 'brokerUrl' | 'gatewayUrls'> {
  crew: Crew;
  databaseUrl: string;
  serverPids: (table: ProcessTable) => Record<string, number[]>;
}

async function siteOf({ name, brokerUrl, gatewayUrls, crew, databaseUrl, serverPids, aborted, undo }: Opened): Promise<Site> {
  const { database, watch, close } = openConnections(databaseUrl);
  undo.add(close);
  const parts = (table: ProcessTable) => ({ ...crew.pids(), ...serverPids(table) });
  const untimelyEnd = () => Promise.race([aborted, ...crew.untimelyEnds()]);
  const peaks = new Peaks(parts);
  return {
    ...{ name, brokerUrl, gatewayUrls, database, watch },
    authorization: `Bearer ${await ownLogin.token()}`,
    products: await addProducts(database),
    ...{ parts, untimelyEnd },
    notePeaks: () => peaks.note(),
    peaksMiB: () => peaks.mostMiB(),
    badEnds: () => crew.badEnds,
    async setInventory(count) {
      peaks.note();
      await Promise.race([crew.end('SIGTERM', 'inventory'), untimelyEnd()]);
      await Promise.race([crew.start('inventory', count), untimelyEnd()]);
    },
    async stop() {
      await close();
      await crew.end('SIGTERM');
    },
  };
}

/** One for looking on while it runs, and one for what reads everything. */
function openConnections(url: string) {
  const shared = { applicationName: 'holdfast bench', statementTimeoutMs: 900_000, poolSize: 1 };
  const database = openDatabase({ ...shared, url });
  const watch = openDatabase({ ...shared, url, byIndex: true });
  let closed: Promise<unknown> | undefined;
  const close = async () => void (await (closed ??= Promise.all([database.close(), watch.close()])));
  return { database, watch, close };
}

function poolSizeOf({ roles, connectionsMax }: DistributedOptions): number {
  const share = Math.floor(connectionsMax / (roles.gateway + roles.orders + roles.inventory + roles.accounts));
  return Math.max(1, Math.min(POOL_SIZE_MAX, share));
}

/**
 * The most memory of each part, in MiB: of a role the process that ever held most, by the kernel's own mark, ended ones included. For
 * Postgres, whose processes share most of theirs, there is no such mark: it is the most that was seen when a round had just ended.
 */
class Peaks {
  private readonly most: Record<string, number> = {};

  constructor(private readonly parts: Site['parts']) {}

  note(): void {
    for (const [part, pids] of Object.entries(this.parts(new ProcessTable()))) {
      const held = part === 'postgres' ? sharedOutMiB(pids) : Math.max(0, ...pids.map(peakMiB));
      this.most[part] = Math.max(this.most[part] ?? 0, held);
    }
  }

  mostMiB(): Record<string, number> {
    return { ...this.most };
  }
}
