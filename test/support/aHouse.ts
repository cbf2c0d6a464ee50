import { randomBytes, randomInt } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

import { readConfig, type Config } from '../../src/config';
import { type Database } from '../../src/database';
import { createIdentity, identitySettings, signToken, type Caller } from '../../src/identity';
import { type Broker } from '../../src/messaging';
import { createInProcessBroker } from '../../src/messaging/brokers/inProcess';
import { createHealth, createLogger, createMetrics, type Logger } from '../../src/observability';
import { roleNames, startRoles, type Ground, type RoleName, type Running } from '../../src/roles';
import { createTestDatabase, type TestDatabase } from './postgres';

/** All roles, running on a database of their own. */
export interface House extends Running {
  ground: Ground;
  database: Database;
  /** To start another house on the same data. */
  testDatabase: TestDatabase;
  /** Sends a GraphQL document and gives its data; fails on any error. */
  ask<T = Record<string, unknown>>(
    query: string,
    variables?: Record<string, unknown>,
    headers?: Record<string, string>,
  ): Promise<T>;
  /** Sends anything and gives what came back. */
  post(
    body: string | object,
    headers?: Record<string, string>,
  ): Promise<{ status: number; json: GraphqlAnswer; headers: Headers }>;
  /** The header of whoever asks; `ask` and `post` are an operator's unless given other headers. */
  as(caller: Caller): Promise<{ authorization: string }>;
  /** Stops the roles; the database stays until `drop`. */
  drop(): Promise<void>;
}

export interface GraphqlAnswer {
  data?: Record<string, unknown> | null;
  errors?: { message: string; path?: string[]; extensions: { code: string; requestId: string; field?: string } }[];
}

export interface HouseOptions {
  config?: Partial<Record<keyof Config, string>>;
  broker?: Broker;
  roles?: readonly RoleName[];
  log?: Logger;
  /** To start again on the data of a house that stopped. */
  testDatabase?: TestDatabase;
}

/** Starts the roles as `npm start` does, on a free port, with the broker in process unless another is given. */
export async function aHouse({ config = {}, broker, roles = roleNames, testDatabase, log }: HouseOptions = {}): Promise<House> {
  const ownDatabase = testDatabase ?? (await createTestDatabase());
  const { database } = ownDatabase;
  const random = () => randomInt(2 ** 32) / 2 ** 32;
  const settings = readConfig({
    ...{ PORT: '0', GRPC_PORT: '0', DRAIN_SECONDS: '5', NODE_ENV: 'test', AUTH_SECRET: randomBytes(32).toString('hex') },
    ...config,
  });
  const identity = identitySettings(settings)!;
  const as = async (caller: Caller) => ({ authorization: `Bearer ${await signToken(identity, caller, 3_600)}` });
  const operator = await as({ role: 'operator', name: 'test' });
  const ground: Ground = {
    ...{ config: settings, identity: createIdentity(identity) },
    ...{ database, random, newId: uuidv7, metrics: createMetrics(), health: createHealth() },
    broker: broker ?? createInProcessBroker({ random }),
    log: log ?? createLogger({ level: process.env.TEST_LOG_LEVEL ?? 'silent', name: 'test' }),
    embedded: broker === undefined || broker.name === 'in-process',
  };
  const running = await startRoles(roles, ground);
  const stop = async () => {
    await running.stop();
    await ground.broker.close();
  };
  const drop = async () => {
    await stop();
    await ownDatabase.drop();
  };
  return { ...running, ground, database, testDatabase: ownDatabase, stop, drop, ask, post, as };

  async function post(body: string | object, headers: Record<string, string> = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const request = { method: 'POST', body: text, headers: { 'content-type': 'application/json', ...operator, ...headers } };
    const response = await fetch(`${running.url}/graphql`, request);
    return { status: response.status, json: (await response.json()) as GraphqlAnswer, headers: response.headers };
  }

  async function ask<T>(query: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<T> {
    const { json } = await post({ query, variables }, headers);
    if (json.errors || !json.data) throw new Error(`GraphQL failed: ${JSON.stringify(json)}`);
    return json.data as T;
  }
}
