import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

/** What makes the node the same one at every start. */
export interface NodeSettings {
  nodeName: string;
  port: number;
  distributionPort: number;
  epmdPort: number;
  user: string;
  password: string;
}

/** The settings kept in the data folder, made on the first start. What is given replaces what is kept. */
export async function nodeSettings(dataDir: string, given: Partial<NodeSettings>): Promise<NodeSettings> {
  const path = join(dataDir, 'node.json');
  const kept = keptSettings(path) ?? (await newSettings());
  const settings = { ...kept, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
  writeSecret(path, JSON.stringify(settings, null, 2));
  return settings;
}

/** Where clients find the node, with user and password. */
export function nodeUrl({ user, password, port }: NodeSettings): string {
  return `amqp://${user}:${password}@127.0.0.1:${port}`;
}

export interface NodeFileOptions {
  vhosts?: readonly string[];
  managementPort?: number;
  settings?: readonly string[];
  /** The name of a running node whose cluster a new node joins at its first start. */
  joins?: string;
}

/** The node's configuration, with user, virtual hosts and policies as definitions that it loads at every start. */
export function writeNodeFiles(
  dataDir: string,
  settings: NodeSettings,
  { vhosts = [], managementPort, settings: further = [], joins }: NodeFileOptions,
): void {
  const management =
    managementPort === undefined ? [] : [`management.tcp.ip = 127.0.0.1`, `management.tcp.port = ${managementPort}`];
  const discovery = 'cluster_formation';
  const cluster =
    joins === undefined
      ? []
      : [`${discovery}.peer_discovery_backend = classic_config`, `${discovery}.classic_config.nodes.1 = ${joins}`];
  const configuration = [
    `load_definitions = ${join(dataDir, 'definitions.json')}`,
    'log.console = false',
    ...management,
    ...cluster,
    ...further,
  ];
  writeFileSync(join(dataDir, 'rabbitmq.conf'), `${configuration.join('\n')}\n`);
  writeFileSync(join(dataDir, 'enabled_plugins'), managementPort === undefined ? '[].\n' : '[rabbitmq_management].\n');
  writeSecret(join(dataDir, 'definitions.json'), JSON.stringify(definitions(settings, ['/', ...vhosts]), null, 2));
}

function definitions({ user, password }: NodeSettings, vhosts: string[]) {
  return {
    users: [{ name: user, ...passwordHash(password), tags: 'administrator' }],
    vhosts: vhosts.map((name) => ({ name })),
    permissions: vhosts.map((vhost) => ({ user, vhost, configure: '.*', write: '.*', read: '.*' })),
    policies: vhosts.map((vhost) => ({
      vhost,
      name: 'unrouted',
      pattern: exchangesWithAlternate,
      'apply-to': 'exchanges',
      definition: { 'alternate-exchange': 'unrouted' },
      priority: 0,
    })),
  };
}

/** Exchanges are declared without arguments, so that any client may assert them; their alternate exchange is this policy. */
const exchangesWithAlternate = '^(orders|inventory|accounts|new_orders_exchange)$';

/** RabbitMQ's own scheme: base64(salt + sha256(salt + password)). */
export function passwordHash(password: string) {
  const salt = randomBytes(4);
  const digest = createHash('sha256').update(salt).update(password, 'utf8').digest();
  return { password_hash: Buffer.concat([salt, digest]).toString('base64'), hashing_algorithm: 'rabbit_password_hashing_sha256' };
}

function keptSettings(path: string): NodeSettings | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as NodeSettings;
  } catch {
    throw new Error(
      `${path} cannot be read as JSON. It holds the ports and the password of the private RabbitMQ node: restore it, or remove its folder to start with an empty node.`,
    );
  }
}

async function newSettings(): Promise<NodeSettings> {
  const [port = 0, distributionPort = 0, epmdPort = 0] = await freePorts(3);
  const password = randomBytes(18).toString('base64url');
  return { nodeName: `holdfast-${port}@localhost`, port, distributionPort, epmdPort, user: 'holdfast', password };
}

/** Ports that nobody listens on now, all different because all are held until the last is found. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function writeSecret(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
}
