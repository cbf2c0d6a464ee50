import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually } from '../support/eventually';

export interface ComposeRabbitmq {
  /** Without user and password. */
  amqpHost: string;
  /** What the management page asks. */
  managementUrl: string;
  stop(): Promise<void>;
}

/**
 * A node with the files that docker-compose.yml mounts, read the way the image reads them: the configuration as one of several in
 * conf.d, the definitions from where the configuration says. Only that folder and the ports are this test's own.
 */
export async function startComposeRabbitmq(server: string): Promise<ComposeRabbitmq> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-compose-rabbitmq-'));
  const [amqpPort, managementPort, distributionPort, epmdPort] = await freePorts(4);
  layFiles(folder, amqpPort!, managementPort!);
  const environment = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: folder,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(epmdPort),
    RABBITMQ_NODENAME: `compose-${amqpPort}@localhost`,
    RABBITMQ_DIST_PORT: String(distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'none'),
    RABBITMQ_CONFIG_FILES: join(folder, 'conf.d'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
    RUNNING_UNDER_SYSTEMD: 'true',
  };
  const epmd = spawn('epmd', [], { env: environment, stdio: 'ignore' });
  const node = spawn(server, [], { env: environment, cwd: folder, stdio: 'ignore' });
  const stop = async () => {
    await end(node);
    await end(epmd);
    rmSync(folder, { recursive: true, force: true });
  };
  const managementUrl = `http://127.0.0.1:${managementPort}`;
  try {
    await eventually(async () => node.exitCode !== null || (await fetch(managementUrl)).ok);
    if (node.exitCode !== null)
      throw new Error(`rabbitmq-server ended with code ${node.exitCode}; its log is below ${folder}/log`);
  } catch (error) {
    await stop();
    throw error;
  }
  return { amqpHost: `127.0.0.1:${amqpPort}`, managementUrl, stop };
}

function layFiles(folder: string, amqpPort: number, managementPort: number): void {
  mkdirSync(join(folder, 'conf.d'));
  const deployed = (name: string) => readFileSync(join(__dirname, '../../deploy/rabbitmq', name), 'utf8');
  const ports = [
    'listeners.tcp.1 = 127.0.0.1:' + amqpPort,
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${managementPort}`,
  ];
  writeFileSync(join(folder, 'conf.d', '10-ports.conf'), `${ports.join('\n')}\n`);
  writeFileSync(join(folder, 'conf.d', '50-holdfast.conf'), deployed('rabbitmq.conf').replaceAll('/etc/rabbitmq/', `${folder}/`));
  writeFileSync(join(folder, 'definitions.json'), deployed('definitions.json'));
  writeFileSync(join(folder, 'enabled_plugins'), '[rabbitmq_management].\n');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** All held until the last is found, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
