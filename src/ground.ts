import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';

import { type Config } from './config';
import { migrate, openDatabase, startEmbeddedPostgres, waitForPostgres, type DatabaseLog } from './database';
import { createIdentity, developmentIdentity, identitySettings, operatorToken } from './identity';
import { type Broker } from './messaging';
import { connectRabbitmq } from './messaging/brokers/rabbitmq';
import { createInProcessBroker } from './messaging/brokers/inProcess';
import { startPrivateRabbitmq } from './messaging/brokers/privateRabbitmq';
import { rabbitmqNodes } from './messaging/brokers/rabbitmqUrl';
import { createHealth, createLogger, createMetrics, redactUrl, type Logger } from './observability';
import { type Ground, type RoleName } from './roles';
import { type StartScreen } from './startScreen';
import { type Undo } from './undo';
import { version } from './version';

/** What the roles stand on. */
export interface LaidGround extends Ground {
  databaseUrl: string;
  /** With its password; undefined in process. */
  brokerUrl?: string;
  /** True when the embedded Postgres was created by this start. */
  isNew: boolean;
  logFile?: string;
}

export interface GroundOptions {
  config: Config;
  screen: StartScreen;
  names: readonly RoleName[];
  /** Start a RabbitMQ node of our own, for which RABBITMQ_URL is not needed. */
  privateRabbitmq: boolean;
  /** Told how to take back each thing that was started. */
  undo: Undo;
}

/** Starts or reaches the database and the broker, and brings the database to this release. */
export async function layGround(options: GroundOptions): Promise<LaidGround> {
  const { config, screen, names, undo } = options;
  const { log, logFile } = openLog(config, names);
  const { url: databaseUrl, isNew } = await screen.step('postgres', () => openPostgres(config, log, undo));
  await screen.step('migrate', async () => described(migrationDetail(await migrate(databaseUrl, databaseLog(log)))));
  const applicationName = `holdfast ${names.join('+')}`;
  const database = openDatabase({
    url: databaseUrl,
    poolSize: config.DATABASE_POOL_SIZE,
    byIndex: true,
    applicationName,
    log: databaseLog(log),
  });
  undo.add(() => database.close());
  const { broker, brokerUrl } = await screen.step('broker', () => openBroker(options, log));
  return {
    ...{ config, database, broker, log, databaseUrl, brokerUrl, isNew, logFile, random },
    ...(names.includes('gateway') ? await openIdentity(config) : {}),
    embedded: brokerUrl === undefined,
    metrics: createMetrics({ version }),
    health: createHealth(),
    newId: uuidv7,
  };
}

/** In production main.ts has made sure that there are settings; elsewhere there is a secret for development. */
async function openIdentity(config: Config): Promise<Pick<Ground, 'identity' | 'playgroundLogin'>> {
  const settings = identitySettings(config);
  if (settings) return { identity: createIdentity(settings) };
  const development = await developmentIdentity(config.HOLDFAST_DATA);
  return { identity: createIdentity(development), playgroundLogin: () => operatorToken(development) };
}

async function openPostgres(config: Config, log: Logger, undo: Undo) {
  if (config.DATABASE_URL) {
    await waitForPostgres(config.DATABASE_URL);
    const value = { url: config.DATABASE_URL, isNew: false };
    return { value, detail: `given by DATABASE_URL (${hostOf(config.DATABASE_URL)})` };
  }
  const server = await startEmbeddedPostgres({
    dataDir: config.HOLDFAST_DATA,
    port: config.POSTGRES_PORT,
    log: databaseLog(log),
  });
  undo.add(() => server.stop());
  const detail = `embedded ${server.version}, ${server.isNew ? 'new cluster' : 'data kept'}, port ${server.port}`;
  return { value: { url: server.url, isNew: server.isNew }, detail };
}

interface OpenBroker {
  value: { broker: Broker; brokerUrl?: string };
  detail: string;
}

async function openBroker({ config, privateRabbitmq, names, undo }: GroundOptions, log: Logger): Promise<OpenBroker> {
  const url = privateRabbitmq ? await startNode(config, log, undo) : config.RABBITMQ_URL;
  if (url === undefined) {
    const broker = createInProcessBroker({ log, random });
    undo.add(() => broker.close());
    return { value: { broker }, detail: 'in process (set RABBITMQ_URL for RabbitMQ)' };
  }
  const broker: Broker = await connectRabbitmq({ url, log, random, connectionName: `holdfast ${names.join('+')}` });
  undo.add(() => broker.close());
  const hosts = rabbitmqNodes(url).map(({ host }) => redactUrl(host));
  const detail = `RabbitMQ ${privateRabbitmq ? 'node of our own' : 'given by RABBITMQ_URL'} (${hosts.join(', ')})`;
  return { value: { broker, brokerUrl: url }, detail };
}

async function startNode(config: Config, log: Logger, undo: Undo): Promise<string> {
  const node = await startPrivateRabbitmq({ dataDir: join(config.HOLDFAST_DATA, 'rabbitmq'), log });
  undo.add(() => node.stop());
  return node.url;
}

/** On a terminal the screen is for people and the log goes to a file; elsewhere the log is JSON lines on stderr. */
function openLog(config: Config, names: readonly RoleName[]): { log: Logger; logFile?: string } {
  const name = `holdfast ${names.join('+')}`;
  if (!process.stderr.isTTY) return { log: createLogger({ level: config.LOG_LEVEL, name }) };
  mkdirSync(config.HOLDFAST_DATA, { recursive: true, mode: 0o700 });
  const logFile = join(config.HOLDFAST_DATA, 'holdfast.log');
  return {
    log: createLogger({ level: config.LOG_LEVEL, name, destination: pino.destination({ dest: logFile, sync: true }) }),
    logFile,
  };
}

function databaseLog(log: Logger): DatabaseLog {
  return (level, message, details) => log[level](details ?? {}, message);
}

function described(detail: string) {
  return { value: undefined, detail };
}

function migrationDetail(applied: string[]): string {
  return applied.length === 0 ? 'current' : `${applied.length} migration${applied.length === 1 ? '' : 's'} applied`;
}

function hostOf(url: string): string {
  return redactUrl(new URL(url).host);
}

/** 0 to below 1. */
function random(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}
