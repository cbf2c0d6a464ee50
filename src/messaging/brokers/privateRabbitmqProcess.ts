import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Logger } from '../../observability';
import { type NodeSettings } from './privateRabbitmqFiles';

/** A node of our own as it lies on the disk, ready to be started any number of times. */
export interface NodePlace {
  /** The start script of the installed server. */
  server: string;
  dataDir: string;
  settings: NodeSettings;
  environment: NodeJS.ProcessEnv;
}

/** Starts the node of this place and resolves when it serves AMQP; a node that does not is ended, with its last words as the error. */
export async function startNode(place: NodePlace, { epmd, onSpawn }: StartNodeOptions = {}): Promise<ChildProcess> {
  const { dataDir, settings } = place;
  const node = spawnNode(place);
  onSpawn?.(node);
  rememberProcesses(dataDir, { node, epmd });
  try {
    await untilServing(node, settings.port, dataDir);
  } catch (error) {
    await endProcess(node, 'SIGKILL');
    throw error;
  }
  return node;
}

export interface StartNodeOptions {
  /** The epmd that is the node's alone. */
  epmd?: ChildProcess;
  /** Told of the process before it serves: it may be ended from then on. */
  onSpawn?: (node: ChildProcess) => void;
}

/** Runs one of the server's own tools, `rabbitmqctl` or another, against the node and gives what it prints. */
export async function runTool(tool: string, { server, settings, environment }: NodePlace, args: string[]): Promise<string> {
  const program = server.replace(/rabbitmq-server$/, tool);
  const { stdout } = await promisify(execFile)(program, ['--node', settings.nodeName, '--quiet', ...args], { env: environment });
  return stdout;
}

/** So that a later start on this folder can end what a killed run left alive. */
export function rememberProcesses(dataDir: string, { node, epmd }: { node?: ChildProcess; epmd?: ChildProcess }): void {
  writeFileSync(join(dataDir, processesFile), JSON.stringify({ node: node?.pid, epmd: epmd?.pid }));
}

/** The processes of this folder have ended, by our will. */
export function forgetProcesses(dataDir: string): void {
  rmSync(join(dataDir, processesFile), { force: true });
}

/** Everything the node would otherwise take from the machine is said here, so that no system-wide setting reaches it. */
export function nodeEnvironment(dataDir: string, settings: NodeSettings, home = dataDir): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    // Erlang keeps its cookie there: nodes of one home may speak to one another.
    HOME: home,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(settings.epmdPort),
    RABBITMQ_NODENAME: settings.nodeName,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(settings.port),
    RABBITMQ_DIST_PORT: String(settings.distributionPort),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1} ${sharedMachine()}`,
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

/**
 * The node shares the machine with the roles and with Postgres: it gets schedulers for half of the cores, and these do not spin for
 * work before they sleep. Measured on two cores: a quarter less processor time for each message.
 */
function sharedMachine(): string {
  const schedulers = Math.max(1, Math.floor(availableParallelism() / 2));
  return `+S ${schedulers}:${schedulers} +sbwt none +sbwtdcpu none +sbwtdio none`;
}

/** epmd is started by us and not by the node: the node's own would outlive it unseen. */
export function startEpmd(dataDir: string, environment: NodeJS.ProcessEnv): ChildProcess {
  const epmd = spawn('epmd', [], { env: environment, cwd: dataDir, stdio: 'ignore', detached: true });
  epmd.on('error', () => undefined);
  epmd.unref();
  return epmd;
}

/** Detached, so that Ctrl+C in a terminal reaches us alone and we decide when the node may go. */
function spawnNode({ server, dataDir, environment }: NodePlace): ChildProcess {
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
    // A node that is not ready yet may hang up without a word.
    socket.once('close', () => answer(false));
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
export async function stopLeftovers(dataDir: string, log?: Logger): Promise<void> {
  const { node, epmd } = JSON.parse(readIfThere(join(dataDir, processesFile)) || '{}') as { node?: number; epmd?: number };
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

export async function endProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
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

const processesFile = 'processes.json';
const startLimitMs = 60_000;
const stopLimitMs = 20_000;
