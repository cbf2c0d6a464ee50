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
import { type Logger } from '../observability/logger';
import { type Metrics } from '../observability/metrics';
import { type RequestContext } from '../observability/requestContext';
import { Unavailable } from '../observability/unavailable';
import { admit, type Admission } from './admission';
import { type RouteHandler } from './httpServer';
import { errorFormatter, logFault } from './graphqlErrors';
import { DOCUMENT_TOKENS_MAX, FAULTS_TOLD_MAX, type OperationLimits } from './operationCost';
import { KeptDocuments } from './keptDocuments';
import { operationGuard } from './operationGuard';
import { operationOutcome } from './operationOutcome';
import { QueryTurns } from './queryTurns';
import { ReadingTurns } from './readingTurns';
import { refusalOf } from './refusals';
import { ClientGone, readJson, sendRefusal } from './requestBody';
import { factsOf, leaving } from './requestFacts';
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
  /** Bounds the work of one document. */
  documentTokensMax?: number;
  operationLimits?: OperationLimits;
  /** Shared with other doors of the process. */
  turns?: ReadingTurns;
  queries?: QueryTurns;
  /** Top-level fields that no database of ours answers. */
  answeredElsewhere?: ReadonlySet<string>;
}

/** GraphQL over HTTP. `handle` answers every request it is given; `stop` ends Apollo once no request is under way. */
export async function createGraphql<Context extends RequestContext>(options: GraphqlOptions<Context>) {
  const requestIdStandIn = randomUUID();
  const apollo = createApollo(options, requestIdStandIn);
  await apollo.start();

  const handle: RouteHandler = async (request, response, requestId) => {
    if (request.method !== 'GET' && request.method !== 'POST') return refuseMethod(request, response, requestId);
    const arrived = await letIn(options, request, response, requestId);
    if (!arrived) return;
    const httpGraphQLRequest = toApollo(request, arrived.body);
    const context = () => contextOf(options, request, arrived.facts);
    // Here and not by a hook of Apollo's: a query that failed in a way nobody thought of would hold its turn for ever.
    const answer = await apollo
      .executeHTTPGraphQLRequest({ httpGraphQLRequest, context })
      .finally(() => arrived.facts.afterwards?.forEach((work) => work()));
    await send(response, answer, (text) => text.replaceAll(requestIdStandIn, requestId));
  };
  return { handle, stop: () => apollo.stop() };
}

interface Arrived {
  facts: RequestContext;
  body: unknown;
}

/**
 * Who asks, decided by the headers alone, and then what; undefined when that was refused. The facts travel in the context and its
 * logger, not in AsyncLocalStorage: on Node 20 that would cost every promise of every request, a seventh of our speed.
 */
async function letIn(
  { bodyLimitBytes = 100 * 1024, log, ...admission }: Omit<GraphqlOptions<never>, 'contextFor'>,
  request: IncomingMessage,
  response: ServerResponse,
  requestId: string,
): Promise<Arrived | undefined> {
  try {
    const admitted = await admit(request, request.socket.remoteAddress, admission);
    const facts = factsOf(request, requestId, log, admitted, leaving(response));
    const limits = { bodyLimitBytes, charge: admitted.charge };
    return { facts, body: request.method === 'POST' ? await readJson(request, response, limits) : undefined };
  } catch (error) {
    if (error instanceof ClientGone) return void response.destroy();
    const refusal = refusalOf(error, requestId);
    if (!refusal) throw error;
    if (error instanceof Unavailable) log.warn({ err: error, requestId }, 'A request was refused: tokens cannot be checked.');
    return void sendRefusal(request, response, refusal);
  }
}

function createApollo<Context extends RequestContext>(options: GraphqlOptions<Context>, requestIdStandIn: string) {
  const { schema, log, metrics, production, documentTokensMax = DOCUMENT_TOKENS_MAX, operationLimits: limits } = options;
  const { turns = new ReadingTurns(), queries = new QueryTurns(), answeredElsewhere } = options;
  metrics.onCollect(() => {
    metrics.graphqlWaiting.set({ for: 'reading' }, turns.waiting());
    metrics.graphqlWaiting.set({ for: 'running' }, queries.waiting());
    return Promise.resolve();
  });
  const guarded = { limits, documents: new KeptDocuments(), turns, queries, answeredElsewhere };
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
    documentStore: guarded.documents,
    parseOptions: { maxTokens: documentTokensMax },
    validationOptions: { maxErrors: FAULTS_TOLD_MAX },
    formatError: errorFormatter(requestIdStandIn, { production }),
    // Cache hints are nobody's here, and looking for them wraps the resolver of every field.
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ...[subscriptionsElsewhere, operationGuard(guarded), operationOutcome(metrics, log)],
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

async function contextOf<Context extends RequestContext>(
  { contextFor, log }: GraphqlOptions<Context>,
  request: IncomingMessage,
  facts: RequestContext,
): Promise<Context> {
  try {
    return await contextFor(facts, request);
  } catch (error) {
    const { requestId, correlationId } = facts;
    logFault(log, error, { requestId, correlationId });
    throw error;
  }
}

/** Said here, because Apollo would first speak of cross-site request forgery, which helps nobody who sent a HEAD. */
function refuseMethod({ method }: IncomingMessage, response: ServerResponse, requestId: string): void {
  const message = `GraphQL is asked by POST, or by GET for queries, not by ${method}. Other origins are not served: use a proxy.`;
  sendProblem(response, { status: 405, code: 'METHOD_NOT_ALLOWED', message, requestId, headers: { allow: 'GET, POST' } });
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
