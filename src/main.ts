import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import closeWithGrace from 'close-with-grace';

import { ConfigError, readConfig, secretsOf, type Config } from './config';
import { writeRuntime } from './database';
import { armFailpoints, FailpointRefusal } from './faults';
import { layGround, type LaidGround } from './ground';
import { identitySettings } from './identity';
import { hideSecrets, redacted, redactUrl } from './observability';
import { roleNames, seed, startRoles, type RoleName, type Running } from './roles';
import { createStartScreen, type StartScreen } from './startScreen';
import { createUndo, type Undo } from './undo';
import { version } from './version';

const usage = `Usage: npm start [-- options]

  --roles a,b         run only these roles: ${roleNames.join(', ')} (default: all of them, in one process)
  --broker rabbitmq   start a RabbitMQ node of our own, where rabbitmq-server is installed
  --no-seed           do not add the sample products to a new embedded database
  --help              this

Settings come from the environment: see .env.example.
Exit codes: 0 stopped · 1 could not start, or failed · 64 wrong options or settings
`;

/** Starts Holdfast, and stops it on SIGTERM or SIGINT: what is under way is finished first; a later second signal ends it at once. */
async function main() {
  setFlagsFromString(HEAP_GROWTH);
  const options = readOptions();
  const config = readConfig(process.env);
  hideSecrets(secretsOf(config));
  armFailpoints(process.env);
  refuseIsolation(options, config);
  refuseUnknownCallers(options, config);
  const { roles, privateRabbitmq } = options;
  const screen = createStartScreen((text) => process.stdout.write(text));
  screen.line(`holdfast ${version} · node ${process.versions.node} · data ${config.HOLDFAST_DATA}/ (delete it to start over)\n`);
  // Heard from the first moment, so that a start can be broken off and leaves nothing running.
  const undo = createUndo();
  stopOnSignal(undo, config);
  try {
    const ground = await layGround({ config, screen, names: roles, privateRabbitmq, undo });
    await start(ground, options, screen, undo);
  } catch (error) {
    await undo.run();
    throw error;
  }
}

/**
 * How far the heap may grow between two full collections: left alone, V8 lets it grow up to fourfold. Measured on an inventory
 * process that drains 30,000 orders: 203 MiB at its peak instead of 297. With 10 % it was 160, but then up to a third of what a role
 * under full load did was collecting.
 */
const HEAP_GROWTH = '--heap-growing-percent=50';

async function start(ground: LaidGround, { roles, seed: wantsSeed }: Options, screen: StartScreen, undo: Undo) {
  const { config, databaseUrl, brokerUrl, health, broker } = ground;
  if (ground.isNew && wantsSeed) await screen.step('seed', () => seed(ground));
  const running = await screen.step('roles', async () => ({ value: await startRoles(roles, ground), detail: roles.join(', ') }));
  undo.add(async () => {
    health.startDraining();
    await running.stop();
    screen.line(`roles stopped, ${broker.unsettled()} messages unsettled`);
  });
  // For the scripts beside it; with a DATABASE_URL of their own they need none.
  if (!config.DATABASE_URL)
    await writeRuntime(config.HOLDFAST_DATA, {
      databaseUrl,
      brokerUrl,
      gatewayPort: running.port,
      grpcTarget: running.grpcTarget,
    });
  printAddresses(ground, roles, running, screen);
}

/** npm passes a Ctrl-C on to us which the terminal has sent us already: two signals this close are one. */
const SAME_SIGNAL_MS = 1_000;

function stopOnSignal(undo: Undo, { DRAIN_SECONDS }: Config) {
  // Doors, hand-over, consumers and relays may each take the drain time, and a database or broker a little more to close.
  const delay = DRAIN_SECONDS * 1000 + 15_000;
  const stopping = closeWithGrace({ delay, skip: ['SIGINT', 'SIGTERM'], logger: console }, async ({ err }) => {
    if (err) process.stderr.write(redacted(`a fault that nobody caught: ${err.stack}\n`));
    await undo.run();
    process.stdout.write('stopped\n');
  });
  let firstAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      process.stdout.write(`\n${signal}: finishing what is under way; once more to stop at once\n`);
      stopping.close();
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) process.exit(130);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
}

interface Options {
  roles: readonly RoleName[];
  privateRabbitmq: boolean;
  seed: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      roles: { type: 'string' },
      broker: { type: 'string' },
      'no-seed': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    process.exit(0);
  }
  if (values.broker !== undefined && values.broker !== 'rabbitmq')
    throw new UsageError(`--broker ${values.broker}: only rabbitmq can be started.`);
  const roles = values.roles === undefined ? roleNames : rolesOf(values.roles);
  return { roles, privateRabbitmq: values.broker === 'rabbitmq', seed: !values['no-seed'] };
}

function rolesOf(list: string): RoleName[] {
  return [...new Set(list.split(','))].map((word) => {
    const role = roleNames.find((name) => name === word.trim());
    if (!role)
      throw new UsageError(`--roles ${list}: there is no role ${JSON.stringify(word)}; choose from ${roleNames.join(', ')}.`);
    return role;
  });
}

/** Roles in several processes meet in the database and the broker, so both must be ones that others can reach. */
function refuseIsolation({ roles, privateRabbitmq }: Options, { DATABASE_URL, RABBITMQ_URL }: Config) {
  if (roles.length === roleNames.length) return;
  const missing = [DATABASE_URL ? '' : 'DATABASE_URL', RABBITMQ_URL || privateRabbitmq ? '' : 'RABBITMQ_URL'].filter(Boolean);
  if (missing.length > 0)
    throw new UsageError(
      `--roles ${roles.join(',')} needs ${missing.join(' and ')}: the roles meet there. Set it, or start all roles in one process.`,
    );
}

/** In production nobody is let in by a secret that we made up ourselves. */
function refuseUnknownCallers({ roles }: Options, config: Config) {
  if (config.NODE_ENV !== 'production' || !roles.includes('gateway') || identitySettings(config)) return;
  throw new ConfigError([
    'AUTH_SECRET or AUTH_JWKS_URL: one of them is needed in production, to know callers by their tokens (docs/identity.md)',
  ]);
}

class UsageError extends Error {
  override name = 'UsageError';
}

function printAddresses(
  { config, databaseUrl, brokerUrl, logFile, playgroundLogin }: LaidGround,
  roles: readonly RoleName[],
  { url, grpcTarget }: Running,
  screen: StartScreen,
) {
  const isGateway = roles.includes('gateway');
  const rows: [string, string | undefined][] = [
    [
      'GraphQL',
      isGateway ? `${url}/graphql${config.NODE_ENV === 'production' ? '' : '   (a playground, in a browser)'}` : undefined,
    ],
    ['REST', isGateway ? `${url}/openapi.json   (describes it)` : undefined],
    ['Events', isGateway ? `${url}/asyncapi   (describes them)` : undefined],
    ['gRPC', grpcTarget && `${grpcTarget}   (proto/holdfast/v1)`],
    ['Login', playgroundLogin && "npm run -s token   (an operator's, for development; the playground has one)"],
    ['Health', `${url}/health`],
    ['Metrics', `${url}/metrics`],
    ['Postgres', shown(databaseUrl)],
    ['RabbitMQ', brokerUrl && shown(brokerUrl)],
    ['Log', logFile],
    ['Next', isGateway ? 'npm run simulate -- --orders 1000   (in another terminal)' : undefined],
  ];
  screen.line();
  for (const [name, value] of rows) if (value) screen.line(`  ${name.padEnd(10)} ${value}`);
  screen.line('\n  Ctrl-C stops it; nothing acknowledged is lost.');
}

main().catch((error: unknown) => {
  const isUsage = [UsageError, ConfigError, FailpointRefusal].some((kind) => error instanceof kind) || isParseError(error);
  process.stderr.write(`${isUsage ? '' : 'Holdfast could not start. '}${messageOf(error)}\n`);
  process.exit(isUsage ? 64 : 1);
});

function isParseError(error: unknown): boolean {
  return String((error as { code?: string }).code).startsWith('ERR_PARSE_ARGS');
}

function messageOf(error: unknown): string {
  return redacted(error instanceof Error ? error.message : String(error));
}

/** With its password on a terminal, where somebody may want to attach; never in a file or a log. */
function shown(url: string): string {
  return process.stdout.isTTY ? url : redactUrl(url);
}
