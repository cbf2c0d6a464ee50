import { z } from 'zod';

import { connectionProblem as postgresProblem } from './database/tls';
import { algorithms, identityProblems } from './identity/settings';
import { isNetwork } from './gateway/networks';
import { connectionProblem as rabbitmqProblem, rabbitmqNodes } from './messaging/brokers/rabbitmqUrl';
import { readCertificates } from './tls';

/** What one process runs with. */
export type Config = z.infer<typeof configSchema>;

/**
 * Every setting, once: the name in the environment, its default, its unit in the name, its meaning. README's table and
 * .env.example are made from this.
 */
export const configSchema = z.object({
  PORT: port(4000).describe('Where GraphQL, health and metrics are served.'),
  GRPC_PORT: port(50_052).describe('Where the gateway role serves gRPC; 0 takes a free port.'),
  HOST: z.string().default('127.0.0.1').describe('The address to listen on; 0.0.0.0 for all, as in a container.'),
  TLS_CERT_FILE: file().describe(
    'The certificate, as PEM, with which HTTP and gRPC are served; without one it is for a proxy to do.',
  ),
  TLS_KEY_FILE: file().describe('And its key.'),
  WORKER_PORT: port(0).describe('Where a process without the gateway role serves health and metrics; 0 takes a free port.'),
  HOLDFAST_DATA: z.string().min(1).default('.holdfast').describe('The folder of the embedded Postgres and the private RabbitMQ.'),
  DATABASE_URL: url(['postgres:', 'postgresql:'])
    .optional()
    .describe('A Postgres to use instead of the embedded one; on another machine with ?sslmode=verify-full&sslrootcert=….'),
  RABBITMQ_URL: brokerUrl()
    .optional()
    .describe(
      'A RabbitMQ to use instead of the broker in process; for a cluster the URL of each node, separated by commas. On another machine amqps://…?cacertfile=….',
    ),
  ALLOW_PLAINTEXT: hosts().describe(
    'Other hosts that may be spoken to unencrypted, separated by commas: those in a private network that is yours alone.',
  ),
  POSTGRES_PORT: port(5433).describe(
    'Where a new embedded Postgres listens, or nearby if that is taken; it keeps its port after that.',
  ),
  DATABASE_POOL_SIZE: count(10, 2, 200).describe('Database connections of one process.'),
  NODE_ENV: z
    .enum(['development', 'production', 'test'])
    .default('development')
    .describe('production turns off the playground and introspection, and needs AUTH_SECRET or AUTH_JWKS_URL.'),
  AUTH_SECRET: z
    .string()
    .min(32, 'must be at least 32 characters: `openssl rand -base64 32` makes one')
    .optional()
    .describe('The secret that tokens are signed with (HS256). In development one is made in the data folder.'),
  AUTH_JWKS_URL: keysUrl()
    .optional()
    .describe('Instead of a secret: where the public keys of whoever signs the tokens are published.'),
  AUTH_ALGORITHM: z
    .enum(algorithms)
    .optional()
    .describe('The one algorithm of tokens: HS256 with a secret; with public keys RS256 unless given.'),
  AUTH_ISSUER: z.string().min(1).optional().describe('The `iss` of tokens; holdfast unless given, needed with AUTH_JWKS_URL.'),
  AUTH_AUDIENCE: z.string().min(1).optional().describe('The `aud` of tokens; holdfast unless given, needed with AUTH_JWKS_URL.'),
  AUTH_ROLE_CLAIM: z.string().min(1).default('role').describe('The claim with the role: customer, operator or service.'),
  AUTH_TOKEN_AGE_MAX_SECONDS: wholeNumber(60, 31_536_000)
    .optional()
    .describe('Tokens older than this are refused, whatever end they have; they must carry `iat` then.'),
  HOLDFAST_TOKEN: z.string().min(1).optional().describe('For the commands beside it: the token they show to the gateway.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('How much is logged, as JSON lines on stderr, or in a file of the data folder when that is a terminal.'),
  CURRENCY: z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR')
    .default('EUR')
    .describe('The currency of every price.'),
  ORDER_DEADLINE_SECONDS: count(600, 5, 86_400).describe('A PENDING order is cancelled as EXPIRED after this.'),
  ORDER_REPUBLISH_SECONDS: count(30, 1, 3_600).describe('A PENDING order is published again after this, then at twice the age.'),
  /** 900 lines of the most units at the highest price still total within the whole numbers that are exact. */
  ORDER_LINES_MAX: count(100, 1, 900).describe('Lines of one order.'),
  ORDER_QUANTITY_MAX: count(100_000, 1, 100_000).describe('Units of one product in one order.'),
  RATE_CUSTOMER_PER_MINUTE: count(600, 0, 1_000_000).describe(
    'Requests of one customer in a minute, at all gateways together; 0 for no limit. Operators and services have none.',
  ),
  RATE_ADDRESS_PER_MINUTE: count(6_000, 0, 10_000_000).describe(
    'Requests from one address in a minute, of customers and of nobody known; 0 for no limit. This machine has none.',
  ),
  TRUSTED_PROXIES: z
    .string()
    .optional()
    .transform((text) => text?.split(',').map((network) => network.trim()) ?? [])
    .refine((networks) => networks.every(isNetwork), 'must be addresses or networks such as 10.0.0.0/8, separated by commas')
    .describe('Proxies whose `x-forwarded-for` is believed: addresses or networks, separated by commas. Nobody else is.'),
  BODY_LIMIT_KIB: count(100, 1, 10_240).describe('Size of one request body.'),
  LIVE_CONNECTIONS_MAX: count(1_000, 1, 100_000).describe('Subscriptions: WebSocket connections to one gateway at a time.'),
  LIVE_CONNECTIONS_PER_CUSTOMER_MAX: count(20, 1, 1_000).describe('And of these, of one customer.'),
  LIVE_SUBSCRIPTIONS_MAX: count(20, 1, 1_000).describe('Subscriptions on one connection.'),
  LIVE_INIT_TIMEOUT_SECONDS: count(5, 1, 60).describe('How long a connection may take to say who it is.'),
  LIVE_KEEPALIVE_SECONDS: count(15, 1, 600).describe(
    'A connection is asked this often whether anybody is there; one that has not answered by the next time is cut.',
  ),
  GRAPHQL_COST_MAX: count(25_000, 5_000, 1_000_000).describe(
    'Cost of one GraphQL operation: a value of the answer is 1, a lookup 50, an entry of a list that is sent 100, a mutation 4,000.',
  ),
  GRAPHQL_DEPTH_MAX: count(20, 5, 100).describe('Fields inside one another in a GraphQL document.'),
  GRAPHQL_ALIASES_MAX: count(30, 0, 5_000).describe('Aliases in a GraphQL document.'),
  GRAPHQL_REPEATS_MAX: count(60, 10, 5_000).describe(
    'How often one field, by the name of its answer, may stand in a GraphQL document, and spreads of fragments together.',
  ),
  GRAPHQL_TOKENS_MAX: count(2_000, 100, 50_000).describe('Words and signs of a GraphQL document.'),
  REQUEST_TIMEOUT_SECONDS: count(30, 1, 600).describe(
    'How long the answer to an HTTP request or to a gRPC call may take; what was asked for may still be done after that.',
  ),
  HEADERS_TIMEOUT_SECONDS: count(10, 1, 600).describe('How long the headers of an HTTP request may take to arrive.'),
  RECEIVE_TIMEOUT_SECONDS: count(15, 1, 600).describe('How long the whole of an HTTP request or a gRPC call may take to arrive.'),
  KEEP_ALIVE_SECONDS: count(65, 1, 600).describe(
    'How long an idle HTTP connection stays open: longer than at the load balancer before it.',
  ),
  COMMIT_BATCH_MAX: count(64, 1, 500).describe('Orders that share one commit at most.'),
  CONSUMER_BATCH_MAX: count(256, 1, 500).describe('Messages that share one transaction at most.'),
  BACKLOG_MAX: count(50_000, 10, 10_000_000).describe(
    'Orders that wait for inventory, in the outbox and in its queue, before new ones are answered BUSY; taken again below four fifths.',
  ),
  INTAKE_MAX: count(256, 16, 10_000).describe('Embedded only: messages on their way before new orders wait.'),
  SMTP_URL: url(['smtp:', 'smtps:'])
    .optional()
    .describe(
      'The mail server for customers who want e-mail. Without one it goes into the log; in production it is then refused.',
    ),
  MAIL_FROM: z.string().min(3).max(254).default('shop@localhost').describe('The sender of e-mail.'),
  WEBHOOK_PRIVATE_NETWORKS: z
    .enum(['refuse', 'allow'])
    .default('refuse')
    .describe('Whether webhooks may lead to this machine and into private networks, such as a receiver beside it.'),
  NOTIFY_TIMEOUT_SECONDS: count(10, 1, 60).describe('How long a mail server or the receiver of a webhook may take.'),
  NOTIFY_ATTEMPTS_MAX: count(10, 1, 50).describe('How often a notification is tried before it is given up.'),
  NOTIFY_RETRY_SECONDS: count(10, 1, 3_600).describe(
    'The longest first pause between two tries; each later one is four times it.',
  ),
  NOTIFY_CONCURRENCY_MAX: count(50, 1, 1_000).describe('Notifications that one process sends at a time.'),
  NOTIFY_RECEIVER_CONCURRENCY_MAX: count(5, 1, 100).describe('And of these, to one receiver.'),
  NOTIFY_KEEP_DAYS: count(30, 1, 3_650).describe('How long finished notifications can be read.'),
  DRAIN_SECONDS: count(20, 1, 300).describe('How long a stop waits for what is under way.'),
});

/** Reads the environment. Throws ConfigError naming all problems at once. */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''));
  if (given.NODE_TLS_REJECT_UNAUTHORIZED === '0') throw new ConfigError([trustsAnybody]);
  const parsed = configSchema.safeParse(given);
  if (parsed.success) return consistent(parsed.data);
  throw new ConfigError(parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`));
}

const trustsAnybody =
  'NODE_TLS_REJECT_UNAUTHORIZED: 0 makes Node trust whoever answers; name the CA instead (docs/security.md), or NODE_EXTRA_CA_CERTS';

function consistent(config: Config): Config {
  const problems = [...identityProblems(config), ...transportProblems(config)];
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** No password leaves this machine unencrypted by an oversight, and no certificate is missed only when it is needed. */
function transportProblems({ DATABASE_URL, RABBITMQ_URL, ALLOW_PLAINTEXT, TLS_CERT_FILE, TLS_KEY_FILE }: Config): string[] {
  const database = DATABASE_URL && postgresProblem(DATABASE_URL, ALLOW_PLAINTEXT);
  const broker = RABBITMQ_URL && rabbitmqProblem(RABBITMQ_URL, ALLOW_PLAINTEXT);
  const problems = [...(database ? [`DATABASE_URL: ${database}`] : []), ...(broker ? [`RABBITMQ_URL: ${broker}`] : [])];
  try {
    serverCertificates({ TLS_CERT_FILE, TLS_KEY_FILE });
  } catch (error) {
    problems.push((error as Error).message);
  }
  return problems;
}

/** What HTTP and gRPC are served with; undefined without TLS. */
export function serverCertificates({ TLS_CERT_FILE: cert, TLS_KEY_FILE: key }: Pick<Config, 'TLS_CERT_FILE' | 'TLS_KEY_FILE'>) {
  const read = readCertificates({ cert, key }, { ca: '', cert: 'TLS_CERT_FILE', key: 'TLS_KEY_FILE' });
  return read.cert === undefined ? undefined : { cert: read.cert, key: read.key! };
}

/** What must never be shown: of URLs their passwords, as they stand there and as they are meant. */
export function secretsOf({ DATABASE_URL, RABBITMQ_URL, SMTP_URL, AUTH_SECRET, HOLDFAST_TOKEN }: Config): string[] {
  const urls = [DATABASE_URL, SMTP_URL].flatMap((text) => (text === undefined ? [] : [new URL(text)]));
  const nodes = RABBITMQ_URL === undefined ? [] : rabbitmqNodes(RABBITMQ_URL);
  const passwords = [...urls, ...nodes].flatMap(({ password, searchParams }) => [password, searchParams.get('password') ?? '']);
  return [...passwords, ...passwords.map(decoded), AUTH_SECRET, HOLDFAST_TOKEN].filter(
    (secret) => secret !== undefined && secret !== '',
  ) as string[];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export class ConfigError extends Error {
  override name = 'ConfigError';

  constructor(readonly problems: string[]) {
    super(`The configuration cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  }
}

/** A row of the configuration table. */
export interface ConfigField {
  name: string;
  /** As it stands in the environment; empty when there is none. */
  default: string;
  meaning: string;
}

export function configFields(): ConfigField[] {
  return Object.entries(configSchema.shape).map(([name, field]) => {
    const fallback = field.safeParse(undefined).data;
    return { name, default: fallback === undefined ? '' : String(fallback), meaning: field.description ?? '' };
  });
}

function port(fallback: number) {
  return z.coerce.number({ error: 'must be a number' }).int().min(0).max(65_535).default(fallback);
}

function count(fallback: number, min: number, max: number) {
  return wholeNumber(min, max).default(fallback);
}

function wholeNumber(min: number, max: number) {
  const range = `must be a whole number, ${min} to ${max}`;
  return z.coerce.number({ error: range }).int(range).min(min, range).max(max, range);
}

function url(protocols: string[]) {
  const expected = `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`;
  return z.string().refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), expected);
}

/** Over plain HTTP anybody on the way could put in keys of his own, so that is for this machine alone. */
function keysUrl() {
  const isSafe = (value: string) => {
    if (!URL.canParse(value)) return false;
    const { protocol, hostname } = new URL(value);
    return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
  };
  return z.string().refine(isSafe, 'must be a URL that begins with https://');
}

function file() {
  return z.string().min(1).optional();
}

/** In lower case, as URLs give them. */
function hosts() {
  const split = (value: string) => value.split(',').map((host) => host.trim().toLowerCase());
  const expected = 'must be host names separated by commas, without ports: postgres,rabbitmq';
  return z
    .string()
    .default('')
    .transform((value) => (value === '' ? [] : split(value)))
    .refine((named) => named.every((host) => /^[a-z0-9._-]+$|^[0-9a-f:]+$/.test(host)), expected);
}

function brokerUrl() {
  return z.string().superRefine((value, context) => {
    try {
      rabbitmqNodes(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  });
}
