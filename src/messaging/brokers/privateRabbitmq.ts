import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Logger } from '../../observability';
import { findRabbitmqServer } from './findRabbitmqServer';
import { nodeSettings, writeNodeFiles, type NodeSettings } from './privateRabbitmqFiles';

export interface PrivateRabbitmqOptions {
  /** Where the node lives: data, log, credentials. The same folder gives the same node again, on the same port. */
  dataDir: string;
  /** A free one is chosen, and kept, when none is given. */
  port?: number;
  /** Given: the management page is served there. */
  managementPort?: number;
  /** More virtual hosts beside `/`, each with the same user and policies. */
  vhosts?: readonly string[];
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
  const settings = await nodeSettings(dataDir, options);
  await stopLeftovers(dataDir, options.log);
  writeNodeFiles(dataDir, settings, options);
  const environment = nodeEnvironment(dataDir, settings);
  const epmd = startEpmd(dataDir, environment);
  const node = startNode(server, dataDir, environment);
  writeFileSync(join(dataDir, 'processes.json'), JSON.stringify({ node: node.pid, epmd: epmd.pid }));
  try {
    await untilServing(node, settings.port, dataDir);
  } catch (error) {
    await endProcess(node, 'SIGKILL');
    await endProcess(epmd, 'SIGTERM');
    throw error;
  }
  options.log?.info({ port: settings.port, pid: node.pid }, 'The private RabbitMQ node is up.');
  return handleOf({ server, dataDir, settings, environment, node, epmd });
}

export const serverMissing =
  'RabbitMQ is not installed on this machine: no rabbitmq-server on the PATH. Install it (Debian: apt-get install rabbitmq-server; macOS: brew install rabbitmq), or give RABBITMQ_URL.';

interface RunningNode {
  server: string;
  dataDir: string;
  settings: NodeSettings;
  environment: NodeJS.ProcessEnv;
  node: ChildProcess;
  epmd: ChildProcess;
}

function handleOf({ server, dataDir, settings, environment, node, epmd }: RunningNode): PrivateRabbitmq {
  // A process that ends at once, by a second signal or a fault, must not leave its node behind.
  const endWithUs = () => [node, epmd].forEach((child) => child.kill('SIGTERM'));
  process.once('exit', endWithUs);
  const end = async (signal: NodeJS.Signals) => {
    process.removeListener('exit', endWithUs);
    await endProcess(node, signal);
    await endProcess(epmd, 'SIGTERM');
    rmSync(join(dataDir, 'processes.json'), { force: true });
  };
  return {
    url: `amqp://${settings.user}:${settings.password}@127.0.0.1:${settings.port}`,
    port: settings.port,
    pid: node.pid ?? 0,
    dataDir,
    async control(...args) {
      const tool = server.replace(/rabbitmq-server$/, 'rabbitmqctl');
      const { stdout } = await promisify(execFile)(tool, ['--node', settings.nodeName, '--quiet', ...args], { env: environment });
      return stdout;
    },
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
  };
}

/** Everything the node would otherwise take from the machine is said here, so that no system-wide setting reaches it. */
function nodeEnvironment(dataDir: string, settings: NodeSettings): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: dataDir,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(settings.epmdPort),
    RABBITMQ_NODENAME: settings.nodeName,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(settings.port),
    RABBITMQ_DIST_PORT: String(settings.distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_MNESIA_BASE: join(dataDir, 'mnesia'),
    RABBITMQ_LOG_BASE: join(dataDir, 'log'),
    RABBITMQ_LOGS: join(dataDir, 'log', 'rabbit.log'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dataDir, 'enabled_plugins'),
    RABBITMQ_CONFIG_FILE: join(dataDir, 'rabbitmq'),
    RABBITMQ_CONFIG_FILES: join(dataDir, 'none', '*.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dataDir, 'none', 'advanced'),
    RABBITMQ_CONF_ENV_FILE: join(dataDir, 'none'),
    // The script then becomes the node instead of a shell that watches it: one process, whose pid we know and may signal.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}

/** epmd is started by us and not by the node: the node's own would outlive it unseen. */
function startEpmd(dataDir: string, environment: NodeJS.ProcessEnv): ChildProcess {
  const epmd = spawn('epmd', [], { env: environment, cwd: dataDir, stdio: 'ignore', detached: true });
  epmd.on('error', () => undefined);
  epmd.unref();
  return epmd;
}

/** Detached, so that Ctrl+C in a terminal reaches us alone and we decide when the node may go. */
function startNode(server: string, dataDir: string, environment: NodeJS.ProcessEnv): ChildProcess {
  mkdirSync(join(dataDir, 'log'), { recursive: true });
  const output = openSync(join(dataDir, 'log', 'start.log'), 'w', 0o600);
  const node = spawn(server, [], { env: environment, cwd: dataDir, stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  node.unref();
  return node;
}

async function untilServing(node: ChildProcess, port: number, dataDir: string): Promise<void> {
  const failed = new Promise<string>((resolve) => {
    node.once('error', (error) => resolve(error.message));
    node.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `code ${code}`}`));
  });
  const deadline = performance.now() + startLimitMs;
  while (performance.now() < deadline) {
    const outcome = await Promise.race([failed, answersAmqp(port)]);
    if (outcome === true) return;
    if (typeof outcome === 'string')
      throw new Error(`The private RabbitMQ node did not start: ${outcome}. ${lastWords(dataDir)}`);
  }
  throw new Error(`The private RabbitMQ node did not serve port ${port} within ${startLimitMs / 1000} s. ${lastWords(dataDir)}`);
}

/** True when an AMQP server greets on the port; false, after a short rest, when not. */
function answersAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write(Buffer.from('AMQP\0\0\x09\x01', 'latin1')));
    const answer = (served: boolean) => {
      socket.destroy();
      if (served) resolve(true);
      else setTimeout(() => resolve(false), 100);
    };
    socket.once('data', () => answer(true));
    socket.once('error', () => answer(false));
    socket.setTimeout(5_000, () => answer(false));
  });
}

function lastWords(dataDir: string): string {
  const said = ['start.log', 'rabbit.log']
    .map((file) => readIfThere(join(dataDir, 'log', file)))
    .find((text) => text.trim() !== '');
  const lines = (said ?? '').trim().split('\n').slice(-8);
  return `Its log is in ${join(dataDir, 'log')}; it said last:\n${lines.join('\n')}`;
}

/** Stops the node and the epmd of an earlier run that was killed: by pid, and only when the pid is still that program. */
async function stopLeftovers(dataDir: string, log?: Logger): Promise<void> {
  const { node, epmd } = JSON.parse(readIfThere(join(dataDir, 'processes.json')) || '{}') as { node?: number; epmd?: number };
  for (const [pid, mark] of [
    [node, dataDir],
    [epmd, 'epmd'],
  ] as const) {
    if (pid === undefined || !(await commandOf(pid)).includes(mark)) continue;
    log?.warn({ pid }, 'A process of the private RabbitMQ node is still alive from an earlier run; it is stopped first.');
    await endPid(pid, mark);
  }
}

async function commandOf(pid: number): Promise<string> {
  return promisify(execFile)('ps', ['-ww', '-p', String(pid), '-o', 'args=']).then(
    ({ stdout }) => stdout,
    () => '',
  );
}

async function endPid(pid: number, mark: string): Promise<void> {
  for (const [signal, limitMs] of [
    ['SIGTERM', stopLimitMs],
    ['SIGKILL', 5_000],
  ] as const) {
    process.kill(pid, signal);
    const deadline = performance.now() + limitMs;
    while (performance.now() < deadline) {
      if (!(await commandOf(pid)).includes(mark)) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`Process ${pid} of an earlier private RabbitMQ node does not end: stop it by hand, then start again.`);
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const force = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
  await ended;
  clearTimeout(force);
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const startLimitMs = 60_000;
const stopLimitMs = 20_000;
