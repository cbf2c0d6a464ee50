import { randomInt } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';

import { type Config } from './config';
import { migrate, openDatabase, startEmbeddedPostgres, type DatabaseLog } from './database';
import { type Broker } from './messaging';
import { connectRabbitmq } from './messaging/brokers/rabbitmq';
import { createInProcessBroker } from './messaging/brokers/inProcess';
import { startPrivateRabbitmq } from './messaging/brokers/privateRabbitmq';
import { createHealth, createLogger, createMetrics, redactUrl, type Logger } from './observability';
import { type Ground, type RoleName } from './roles';
import { type StartScreen } from './startScreen';
import { version } from './version';

/** What the roles stand on, and how to take it away again, in reverse. */
export interface LaidGround extends Ground {
  databaseUrl: string;
  /** The broker's URL without its password; undefined in process. */
  brokerUrl?: string;
  /** True when the embedded Postgres was created by this start. */
  isNew: boolean;
  logFile?: string;
  remove(): Promise<void>;
}

export interface GroundOptions {
  config: Config;
  screen: StartScreen;
  names: readonly RoleName[];
  /** Start a RabbitMQ node of our own, for which RABBITMQ_URL is not needed. */
  privateRabbitmq: boolean;
}

/** Starts or reaches the database and the broker, and brings the database to this release. Leaves nothing behind when it fails. */
export async function layGround(options: GroundOptions): Promise<LaidGround> {
  const { config, screen, names } = options;
  const removals: (() => Promise<void>)[] = [];
  const remove = async () => {
    for (const step of removals.splice(0).reverse()) await step();
  };
  const { log, logFile } = openLog(config, names);
  try {
    const { url: databaseUrl, isNew } = await screen.step('postgres', () => openPostgres(config, log, removals));
    await screen.step('migrate', async () => described(migrationDetail(await migrate(databaseUrl, databaseLog(log)))));
    const database = openDatabase({
      url: databaseUrl,
      poolSize: config.DATABASE_POOL_SIZE,
      applicationName: `holdfast ${names.join('+')}`,
      log: databaseLog(log),
    });
    removals.push(() => database.close());
    const { broker, brokerUrl } = await screen.step('broker', () => openBroker(options, log, removals));
    const metrics = createMetrics({ version });
    const embedded = brokerUrl === undefined;
    return {
      ...{ config, database, broker, log, metrics, embedded, databaseUrl, brokerUrl, isNew, logFile, remove },
      health: createHealth(),
      newId: uuidv7,
      random,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

type Removals = (() => Promise<void>)[];

async function openPostgres(config: Config, log: Logger, removals: Removals) {
  if (config.DATABASE_URL) {
    const value = { url: config.DATABASE_URL, isNew: false };
    return { value, detail: `given by DATABASE_URL (${hostOf(config.DATABASE_URL)})` };
  }
  const server = await startEmbeddedPostgres({
    dataDir: config.HOLDFAST_DATA,
    port: config.POSTGRES_PORT,
    log: databaseLog(log),
  });
  removals.push(() => server.stop());
  const detail = `embedded ${server.version}, ${server.isNew ? 'new cluster' : 'data kept'}, port ${server.port}`;
  return { value: { url: server.url, isNew: server.isNew }, detail };
}

interface OpenBroker {
  value: { broker: Broker; brokerUrl?: string };
  detail: string;
}

async function openBroker(
  { config, privateRabbitmq, names }: GroundOptions,
  log: Logger,
  removals: Removals,
): Promise<OpenBroker> {
  const url = privateRabbitmq ? await startNode(config, log, removals) : config.RABBITMQ_URL;
  if (url === undefined) {
    const broker = createInProcessBroker({ log, random });
    removals.push(() => broker.close());
    return { value: { broker }, detail: 'in process (set RABBITMQ_URL for RabbitMQ)' };
  }
  const broker: Broker = await connectRabbitmq({ url, log, random, connectionName: `holdfast ${names.join('+')}` });
  removals.push(() => broker.close());
  const detail = `RabbitMQ ${privateRabbitmq ? 'node of our own' : 'given by RABBITMQ_URL'} (${hostOf(url)})`;
  return { value: { broker, brokerUrl: url }, detail };
}

async function startNode(config: Config, log: Logger, removals: Removals): Promise<string> {
  const node = await startPrivateRabbitmq({ dataDir: join(config.HOLDFAST_DATA, 'rabbitmq'), log });
  removals.push(() => node.stop());
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
