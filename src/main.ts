import { parseArgs } from 'node:util';
import closeWithGrace from 'close-with-grace';

import { ConfigError, readConfig, type Config } from './config';
import { writeRuntime } from './database';
import { layGround, type LaidGround } from './ground';
import { redactUrl } from './observability';
import { roleNames, seed, startRoles, type RoleName, type Running } from './roles';
import { createStartScreen, type StartScreen } from './startScreen';
import { version } from './version';

const usage = `Usage: npm start [-- options]

  --roles a,b         run only these roles: ${roleNames.join(', ')} (default: all of them, in one process)
  --broker rabbitmq   start a RabbitMQ node of our own, where rabbitmq-server is installed
  --no-seed           do not add the sample products to a new embedded database
  --help              this

Settings come from the environment: see .env.example.
Exit codes: 0 stopped · 1 could not start, or failed · 64 wrong options or settings
`;

/** Starts Holdfast, and stops it on SIGTERM or SIGINT: what is under way is finished first; a second signal ends it at once. */
async function main() {
  const options = readOptions();
  const config = readConfig(process.env);
  refuseIsolation(options, config);
  const screen = createStartScreen((text) => process.stdout.write(text));
  screen.line(`holdfast ${version} · node ${process.versions.node} · data ${config.HOLDFAST_DATA}/ (delete it to start over)\n`);
  const ground = await layGround({ config, screen, names: options.roles, privateRabbitmq: options.privateRabbitmq });
  let running: Running;
  try {
    running = await start(ground, options, screen);
  } catch (error) {
    await ground.remove();
    throw error;
  }
  stopOnSignal(ground, running);
}

async function start(ground: LaidGround, options: Options, screen: StartScreen): Promise<Running> {
  const { roles } = options;
  if (ground.isNew && options.seed) await screen.step('seed', () => seed(ground));
  const running = await screen.step('roles', async () => ({ value: await startRoles(roles, ground), detail: roles.join(', ') }));
  if (roles.includes('gateway')) {
    await writeRuntime(ground.config.HOLDFAST_DATA, { databaseUrl: ground.databaseUrl, gatewayPort: running.port });
  }
  printAddresses(ground, roles, running, screen);
  return running;
}

function stopOnSignal(ground: LaidGround, running: Running) {
  const { config, log, health } = ground;
  // Doors, hand-over, consumers and relays may each take the drain time, and a database or broker a little more to close.
  const delay = config.DRAIN_SECONDS * 1000 + 15_000;
  closeWithGrace({ delay, logger: { error: (line) => log.error(String(line)) } }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'a fault that nobody caught; stopping');
    health.startDraining();
    process.stdout.write(`\n${signal ?? 'fault'}: finishing what is under way; once more to stop at once\n`);
    await running.stop();
    const unsettled = ground.broker.unsettled();
    await ground.remove();
    process.stdout.write(`stopped, ${unsettled} messages unsettled\n`);
  });
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

class UsageError extends Error {
  override name = 'UsageError';
}

function printAddresses(
  { config, databaseUrl, brokerUrl, logFile }: LaidGround,
  roles: readonly RoleName[],
  { url }: Running,
  screen: StartScreen,
) {
  const isGateway = roles.includes('gateway');
  const rows: [string, string | undefined][] = [
    [
      'GraphQL',
      isGateway ? `${url}/graphql${config.NODE_ENV === 'production' ? '' : '   (a playground, in a browser)'}` : undefined,
    ],
    ['Health', `${url}/health`],
    ['Metrics', `${url}/metrics`],
    ['Postgres', redactUrl(databaseUrl)],
    ['RabbitMQ', brokerUrl && redactUrl(brokerUrl)],
    ['Log', logFile],
    ['Next', isGateway ? 'npm run simulate -- --orders 1000   (in another terminal)' : undefined],
  ];
  screen.line();
  for (const [name, value] of rows) if (value) screen.line(`  ${name.padEnd(10)} ${value}`);
  screen.line('\n  Ctrl-C stops it; nothing acknowledged is lost.');
}

main().catch((error: unknown) => {
  const isKnown =
    error instanceof UsageError ||
    error instanceof ConfigError ||
    (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  process.stderr.write(`${isKnown ? (error as Error).message : `Holdfast could not start: ${messageOf(error)}`}\n`);
  process.exitCode = isKnown ? 64 : 1;
});

function messageOf(error: unknown): string {
  return redactUrl(error instanceof Error ? error.message : String(error));
}
