import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  ApolloServer,
  type ApolloServerPlugin,
  HeaderMap,
  type HTTPGraphQLRequest,
  type HTTPGraphQLResponse,
} from '@apollo/server';
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { GraphQLError, type GraphQLSchema, OperationTypeNode } from 'graphql';
import { AccessDenied } from '../identity';
import { type Logger } from '../observability/logger';
import { type Metrics } from '../observability/metrics';
import { type RequestContext } from '../observability/requestContext';
import { Unavailable } from '../observability/unavailable';
import { admit, retryHeader, type Admission } from './admission';
import { challengeOf } from './callers';
import { type RouteHandler } from './httpServer';
import { errorFormatter, logFault } from './graphqlErrors';
import { DOCUMENT_TOKENS_MAX, operationCost, type OperationLimits } from './operationCost';
import { operationOutcome } from './operationOutcome';
import { RateLimited } from './rateLimits';
import { ClientGone, readJson, Refusal, sendRefusal } from './requestBody';
import { factsOf } from './requestFacts';
import { correlationIdOf } from './requestIds';
import { sendProblem } from './respond';

export interface GraphqlOptions<Context extends RequestContext> extends Admission {
  schema: GraphQLSchema;
  /** What resolvers get: `facts`, or `Object.assign(facts, …)` with what a role adds; a spread copy would lose its logger. */
  contextFor: (facts: RequestContext, request: IncomingMessage) => Context | Promise<Context>;
  log: Logger;
  metrics: Metrics;
  /** Turns off introspection and the suggestions that would give the schema away. */
  production: boolean;
  bodyLimitBytes?: number;
  /** Bounds the work of one document: checking it is quadratic in the worst case. */
  documentTokensMax?: number;
  operationLimits?: OperationLimits;
}

/** GraphQL over HTTP. `handle` answers every request it is given; `stop` ends Apollo once no request is under way. */
export async function createGraphql<Context extends RequestContext>(options: GraphqlOptions<Context>) {
  const requestIdStandIn = randomUUID();
  const apollo = createApollo(options, requestIdStandIn);
  await apollo.start();
  const { bodyLimitBytes = 100 * 1024 } = options;

  const handle: RouteHandler = async (request, response, requestId) => {
    if (request.method !== 'GET' && request.method !== 'POST') return refuseMethod(request, response, requestId);
    const body = request.method === 'POST' ? await bodyOrRefusal(request, response, { bodyLimitBytes, requestId }) : undefined;
    if (body === refused) return;
    const httpGraphQLRequest = toApollo(request, body);
    const context = () => contextOf(options, request, requestId);
    const answer = await apollo.executeHTTPGraphQLRequest({ httpGraphQLRequest, context });
    await send(response, answer, (text) => text.replaceAll(requestIdStandIn, requestId));
  };
  return { handle, stop: () => apollo.stop() };
}

function createApollo<Context extends RequestContext>(options: GraphqlOptions<Context>, requestIdStandIn: string) {
  const { schema, log, metrics, production, documentTokensMax = DOCUMENT_TOKENS_MAX, operationLimits } = options;
  return new ApolloServer<Context>({
    schema,
    logger: log,
    introspection: !production,
    hideSchemaDetailsFromClientErrors: production,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    // The process owns its signals: Apollo must not stop on its own while consumers still drain.
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: documentTokensMax },
    formatError: errorFormatter(requestIdStandIn, { production }),
    // Cache hints are nobody's here, and looking for them wraps the resolver of every field.
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ...[subscriptionsElsewhere, operationCost(operationLimits), operationOutcome(metrics, log)],
    ],
  });
}

/** Apollo would carry out a subscription as if it were a query. */
const subscriptionsElsewhere: ApolloServerPlugin = {
  requestDidStart: () =>
    Promise.resolve({
      didResolveOperation: ({ operation }) => {
        if (operation?.operation !== OperationTypeNode.SUBSCRIPTION) return Promise.resolve();
        const message = 'Subscriptions are told over WebSocket, at the same address, in the protocol graphql-transport-ws.';
        return Promise.reject(new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } }));
      },
    }),
};

/**
 * The facts travel in the context and its logger, not in AsyncLocalStorage: on Node 20 that would cost every promise of every
 * request, a seventh of our speed.
 */
async function contextOf<Context extends RequestContext>(
  options: GraphqlOptions<Context>,
  request: IncomingMessage,
  requestId: string,
): Promise<Context> {
  const { contextFor, log } = options;
  try {
    const admitted = await admit(request, request.socket.remoteAddress, options);
    return await contextFor(factsOf(request, requestId, log, admitted), request);
  } catch (error) {
    if (error instanceof Refusal) throw refusedByHeader(error);
    if (error instanceof AccessDenied) throw refusedByToken(error);
    if (error instanceof RateLimited) throw refusedByRate(error);
    if (error instanceof Unavailable) throw unavailable(error, log);
    logFault(log, error, { requestId, correlationId: correlationIdOf(request, requestId) });
    throw error;
  }
}

function refusedByHeader({ message, problem: { code, status, details } }: Refusal): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...details, http: { status } } });
}

function refusedByToken(denied: AccessDenied): GraphQLError {
  const { status, header } = challengeOf(denied);
  const http = { status, headers: new HeaderMap([['www-authenticate', header]]) };
  return new GraphQLError(denied.message, { extensions: { code: denied.code, http } });
}

function refusedByRate(limited: RateLimited): GraphQLError {
  const { message, retryAfterSeconds } = limited;
  const http = { status: 429, headers: new HeaderMap(Object.entries(retryHeader(limited))) };
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED', retryAfterSeconds, http } });
}

function unavailable(error: Unavailable, log: Logger): GraphQLError {
  log.warn({ err: error }, 'A request was refused: tokens cannot be checked.');
  const http = { status: 503, headers: new HeaderMap([['retry-after', String(error.retryAfterSeconds)]]) };
  return new GraphQLError(error.message, { extensions: { code: 'SERVICE_UNAVAILABLE', http } });
}

/** Said here, because Apollo would first speak of cross-site request forgery, which helps nobody who sent a HEAD. */
function refuseMethod({ method }: IncomingMessage, response: ServerResponse, requestId: string): void {
  const message = `GraphQL is asked by POST, or by GET for queries, not by ${method}. Other origins are not served: use a proxy.`;
  sendProblem(response, { status: 405, code: 'METHOD_NOT_ALLOWED', message, requestId, headers: { allow: 'GET, POST' } });
}

const refused = Symbol('refused');

async function bodyOrRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  { bodyLimitBytes, requestId }: { bodyLimitBytes: number; requestId: string },
): Promise<unknown> {
  try {
    return await readJson(request, response, bodyLimitBytes);
  } catch (error) {
    if (error instanceof Refusal) sendRefusal(request, response, { ...error.problem, message: error.message, requestId });
    else if (error instanceof ClientGone) response.destroy();
    else throw error;
    return refused;
  }
}

function toApollo(request: IncomingMessage, body: unknown): HTTPGraphQLRequest {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  return { method: request.method ?? 'GET', headers, search: mark === -1 ? '' : url.slice(mark), body };
}

async function send(
  response: ServerResponse,
  { status, headers, body }: HTTPGraphQLResponse,
  withRequestId: (text: string) => string,
): Promise<void> {
  for (const [name, value] of headers) response.setHeader(name, value);
  // Two callers get two answers to one GET.
  response.setHeader('cache-control', 'no-store');
  if (body.kind === 'complete') {
    // Apollo writes errors first, so an answer without them is known at its beginning.
    const text = body.string.startsWith('{"errors"') ? withRequestId(body.string) : body.string;
    response.writeHead(status ?? 200, { 'content-length': Buffer.byteLength(text) });
    response.end(text);
    return;
  }
  response.writeHead(status ?? 200);
  await pipeline(Readable.from(body.asyncIterator).map(withRequestId), response);
}
