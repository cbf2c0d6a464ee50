import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createWriteStream, readFileSync, type WriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { startTcpProxy, type TcpProxy } from './tcpProxy';

export type FleetRole = 'gateway' | 'orders' | 'inventory' | 'accounts' | 'notifications';
/** Nobody needs to be told for an order to be decided. */
export type RoleCounts = Record<Exclude<FleetRole, 'notifications'>, number> & { notifications?: number };

/** The processes of a distributed Holdfast, kept running as an orchestrator would: one that ends is started again. */
export interface Fleet {
  readonly members: readonly FleetMember[];
  /** Where the gateways answer GraphQL. */
  readonly gatewayUrls: readonly string[];
  /** Adds processes; resolves when each answers. */
  start(roles: Partial<RoleCounts>): Promise<void>;
  membersOf(role: FleetRole): FleetMember[];
  /** Resolves when every process answers its health probe; rejects when one does not in time. */
  untilReady(limitMs: number): Promise<void>;
  /** Processes that ended without having been told to, after they had been ready; a promise broken. */
  crashes(): readonly string[];
  close(): Promise<void>;
}

/** One process that plays one role. */
export interface FleetMember {
  /** Such as `inventory-2`. */
  readonly name: string;
  readonly role: FleetRole;
  readonly pid: number | undefined;
  /** Its own wires to the servers: cutting one hurts nobody else. */
  readonly wires: Record<'postgres' | 'rabbitmq', TcpProxy>;
  /** How often it was started. */
  readonly starts: number;
  /** The most memory it was seen to hold, in MiB. */
  readonly peakMiB: number;
  readonly memoryMiB: number;
  signal(signal: NodeJS.Signals): void;
  /** Ends it by SIGKILL; it is started again by itself, with `once` among its settings for this one life. */
  kill9(once?: Life): Promise<void>;
  /** Says what is special about its next life, whenever and however this one ends. */
  plan(next: Life): void;
  /** Resolves with the signal or code when this life of the process is over, by whatever cause. */
  ended(): Promise<string>;
  /** Resolves when it answers. */
  ready(): Promise<void>;
  /** Text of its metrics page; empty while it cannot answer. */
  metrics(): Promise<string>;
}

/** What is special about one life of a process. */
export interface Life {
  settings?: Record<string, string>;
  preload?: string[];
  /** It is expected to end by itself, at a failpoint. */
  doomed?: boolean;
}

export interface FleetOptions {
  folder: string;
  settings: Record<string, string>;
  databaseUrl: string;
  brokerUrl: string;
  preload: string[];
  program?: string[];
}

/** The built program; a test that runs the sources says how. */
export const builtProgram = process.env.HOLDFAST_PROGRAM?.split(' ') ?? [join(__dirname, '..', '..', 'src', 'main.js')];
const RESTART_MS = 200;
const READY_LIMIT_MS = 60_000;

export function createFleet(options: FleetOptions): Fleet {
  const members: Member[] = [];
  const gatewayUrls: string[] = [];
  const crashes: string[] = [];
  const sampling = setInterval(() => members.forEach((member) => member.sampleMemory()), 500).unref();

  async function add(role: FleetRole) {
    const name = `${role}-${members.filter((member) => member.role === role).length + 1}`;
    const port = await freePort();
    const wires = {
      postgres: await startTcpProxy(addressOf(options.databaseUrl)),
      rabbitmq: await startTcpProxy(addressOf(options.brokerUrl)),
    };
    if (role === 'gateway') gatewayUrls.push(`http://127.0.0.1:${port}/graphql`);
    members.push(new Member(name, role, port, wires, options, crashes));
  }

  return {
    members,
    gatewayUrls,
    async start(roles) {
      const before = members.length;
      for (const [role, count] of Object.entries(roles)) for (let i = 0; i < count; i++) await add(role as FleetRole);
      const added = members.slice(before);
      added.forEach((member) => member.launch());
      await Promise.all(added.map((member) => member.ready()));
    },
    membersOf: (role) => members.filter((member) => member.role === role),
    untilReady: async (limitMs) => void (await Promise.all(members.map((member) => member.ready(limitMs)))),
    crashes: () => crashes,
    async close() {
      clearInterval(sampling);
      await Promise.all(members.map((member) => member.close()));
    },
  };
}

class Member implements FleetMember {
  starts = 0;
  peakMiB = 0;
  memoryMiB = 0;
  private child: ChildProcess | undefined;
  private lifeOver: Promise<string> = Promise.resolve('not started');
  private nextLife: Life = {};
  private isClosing = false;
  private wasReady = false;
  /** The end that is under way was ordered by the harness. */
  private isOrdered = false;
  private readonly log: WriteStream;

  constructor(
    readonly name: string,
    readonly role: FleetRole,
    private readonly port: number,
    readonly wires: Record<'postgres' | 'rabbitmq', TcpProxy>,
    private readonly options: FleetOptions,
    private readonly crashes: string[],
  ) {
    this.log = createWriteStream(join(options.folder, `${name}.log`), { flags: 'a' });
  }

  get pid() {
    return this.child?.pid;
  }

  launch(): void {
    const { settings = {}, preload = [], doomed = false } = this.nextLife;
    this.nextLife = {};
    this.wasReady = false;
    this.isOrdered = doomed;
    this.starts++;
    const { program = builtProgram, preload: always, settings: common, databaseUrl, brokerUrl } = this.options;
    const preloads = [...always, ...preload].flatMap((module) => ['--require', module]);
    const { PATH, HOME } = process.env;
    const env = {
      ...{ PATH, HOME, GRPC_PORT: '0', ...common, ...settings, PORT: String(this.port), WORKER_PORT: String(this.port) },
      DATABASE_URL: through(databaseUrl, this.wires.postgres),
      RABBITMQ_URL: brokerUrl.includes(',') ? brokerUrl : through(brokerUrl, this.wires.rabbitmq),
      HOLDFAST_DATA: join(this.options.folder, this.name),
    };
    const child = spawn(process.execPath, [...preloads, ...program, '--roles', this.role], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.pipe(this.log, { end: false });
    child.stderr.pipe(this.log, { end: false });
    this.child = child;
    this.lifeOver = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? `code ${code}`)));
    void this.lifeOver.then((how) => this.onEnd(how));
    // Watched from its start on: what ends before it was ever ready met broken surroundings, which is no crash.
    void this.ready().catch(() => undefined);
  }

  private onEnd(how: string) {
    this.log.write(`--- ${this.name} ended: ${how}\n`);
    if (this.isClosing) return;
    if (this.wasReady && !this.isOrdered) this.crashes.push(`${this.name} ended by itself: ${how}`);
    setTimeout(() => this.isClosing || this.launch(), RESTART_MS);
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  async kill9(once: Life = {}): Promise<void> {
    this.isOrdered = true;
    this.nextLife = once;
    const over = this.lifeOver;
    this.child?.kill('SIGKILL');
    await over;
  }

  plan(next: Life): void {
    this.nextLife = next;
  }

  ended(): Promise<string> {
    return this.lifeOver;
  }

  async ready(limitMs = READY_LIMIT_MS): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!(await this.answers('/health/ready'))) {
      if (performance.now() > deadline || this.isClosing) throw new Error(`${this.name} is not ready after ${limitMs / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.wasReady = true;
  }

  async metrics(): Promise<string> {
    const response = await this.get('/metrics').catch(() => undefined);
    return response?.ok ? response.text() : '';
  }

  sampleMemory(): void {
    this.memoryMiB = residentMiB(this.pid);
    this.peakMiB = Math.max(this.peakMiB, this.memoryMiB);
  }

  async close(): Promise<void> {
    this.isClosing = true;
    this.child?.kill('SIGCONT');
    this.child?.kill('SIGKILL');
    await this.lifeOver;
    // A pipe whose reader has ended is never read to its end, and would keep the harness alive.
    this.child?.stdout?.destroy();
    this.child?.stderr?.destroy();
    this.log.end();
    await Promise.all(Object.values(this.wires).map((wire) => wire.close()));
  }

  private async answers(path: string): Promise<boolean> {
    const response = await this.get(path).catch(() => undefined);
    await response?.text().catch(() => undefined);
    return response?.ok ?? false;
  }

  private get(path: string) {
    return fetch(`http://127.0.0.1:${this.port}${path}`, { signal: AbortSignal.timeout(5_000) });
  }
}

/** VmRSS where there is a /proc; 0 elsewhere. */
function residentMiB(pid: number | undefined): number {
  try {
    return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}

function through(url: string, { port }: TcpProxy): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url.split(',')[0]!);
  return { host: hostname, port: Number(port) };
}

/**
 * Below the range from which the system takes ports for connections and for our wires: one of those would otherwise sit on the
 * port of a process while it is down.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const port = randomInt(20_000, 32_000);
    const server = createServer().once('error', () => resolve(freePort()));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)));
  });
}
