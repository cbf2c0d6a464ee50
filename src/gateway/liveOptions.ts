import { type IncomingMessage } from 'node:http';
import { type GraphQLSchema } from 'graphql';
import { type Context } from 'graphql-ws';
import { type WebSocket } from 'ws';

import { type Caller } from '../identity';
import { type Logger, type Metrics } from '../observability';
import { type Admission } from './admission';
import { type OperationLimits } from './operationCost';
import { type ReadingTurns } from './readingTurns';

export interface LiveOptions extends Admission {
  schema: GraphQLSchema;
  log: Logger;
  metrics: Metrics;
  /** Turns off introspection and the suggestions that would give the schema away. */
  production: boolean;
  /** Size of one message of a client. */
  messageLimitBytes: number;
  /** As over HTTP. */
  documentTokensMax?: number;
  operationLimits?: OperationLimits;
  turns?: ReadingTurns;
  connectionsMax: number;
  /** And of these, of one customer. */
  connectionsPerCustomerMax: number;
  /** On one connection. */
  subscriptionsMax: number;
  /** How long a connection may take to say who it is. */
  initTimeoutMs: number;
  /** How often a connection is asked whether anybody is there. */
  keepAliveMs: number;
  /** How long a close is waited for. */
  closeLimitMs?: number;
}

/** What graphql-ws carries along for a connection. */
export interface Connection {
  socket: WebSocket;
  request: IncomingMessage;
  caller?: Caller;
  tokenTimer?: NodeJS.Timeout;
}

/** The payload of `connection_init`. */
export type Params = Record<string, unknown> | undefined;

export type LiveContext = Context<Params, Connection>;
