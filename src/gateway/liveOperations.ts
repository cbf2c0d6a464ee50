import {
  createSourceEventStream,
  execute,
  getOperationAST,
  GraphQLError,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  Kind,
  NoSchemaIntrospectionCustomRule,
  OperationTypeNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { type ServerOptions, type SubscribePayload } from 'graphql-ws';
import { v7 as uuidv7 } from 'uuid';

import { type RequestContext } from '../observability';
import { errorFormatter, isFault, logFault } from './graphqlErrors';
import { type Connection, type LiveContext, type LiveOptions, type Params } from './liveOptions';
import { costWithin, DOCUMENT_TOKENS_MAX, FAULTS_TOLD_MAX, operationLimits } from './operationCost';
import { charged } from './operationGuard';
import { shapeFault } from './operationShape';
import { ReadingTurns } from './readingTurns';
import { RateLimited } from './rateLimits';
import { factsOf } from './requestFacts';

/** What is told of to many at once; see `RequestContext.together`. */
type Told = { together?: WeakRef<object> } | undefined;

type Events = AsyncGenerator<ExecutionResult, void, undefined>;

/**
 * The documents of subscribers: held to the same limits as those over HTTP, begun with a context of their own, and carried out anew
 * for each event.
 */
export function createOperations(
  options: LiveOptions,
): Pick<ServerOptions<Params, Connection>, 'onSubscribe' | 'subscribe' | 'onNext' | 'onError'> {
  const { log, production, subscriptionsMax, rateLimits, turns = new ReadingTurns() } = options;
  return {
    async onSubscribe(context, id, payload) {
      const request = contextOf(context, options);
      try {
        if (Object.keys(context.subscriptions).length > subscriptionsMax)
          throw refusal(`This connection has ${subscriptionsMax} subscriptions already: complete one, or open another.`);
        const hasLeft = () => !(id in context.subscriptions);
        const mayRead = await turns.take({ caller: context.extra.caller, hasLeft });
        if (hasLeft()) throw refusal('It was completed before it was read.');
        if (!mayRead) throw refusal('Too many of your subscriptions wait to be read: try again in a second.');
        // Whoever is connected counts as whoever asks by HTTP does.
        const charge = rateLimits?.admit(context.extra.caller, () => undefined);
        return { ...charged(() => argsOf(payload, options), charge), contextValue: request };
      } catch (error) {
        return faultsOf(error).map((fault) => formatted(fault, request, production));
      }
    },
    subscribe: (args) => subscribe(args, options),
    onNext: (_context, _id, _payload, args, result) => {
      if (result.errors === undefined) return undefined;
      const request = args.contextValue as RequestContext;
      for (const error of result.errors.slice(0, FAULTS_LOGGED_MAX)) logFault(log, error, factsToLog(request, error));
      return { ...result, errors: result.errors.map((error) => formatted(error, request, production)) };
    },
    onError: (_context, _id, _payload, errors) =>
      errors.map((error) => (error.extensions['requestId'] === undefined ? masked(error, options) : error)),
  };
}

/** One event can fail in thousands of aliases; it may not write thousands of lines. */
const FAULTS_LOGGED_MAX = 10;

function factsToLog({ requestId, correlationId }: RequestContext, { path }: GraphQLError) {
  return { requestId, correlationId, path };
}

/** What the caller is told of an error, in the words that HTTP has for it. */
function formatted(error: GraphQLError, { requestId }: RequestContext, production: boolean): GraphQLError {
  const { message, extensions, locations, path } = errorFormatter(requestId, { production })(error.toJSON(), error);
  return Object.assign(new GraphQLError(message, { extensions }), {
    toJSON: () => ({ message, ...(locations && { locations }), ...(path && { path }), extensions }),
  });
}

/** What broke the stream of a subscription. */
function masked(error: GraphQLError, { log, production }: LiveOptions): GraphQLError {
  const requestId = uuidv7();
  const request = { requestId, correlationId: requestId } as RequestContext;
  logFault(log, error, factsToLog(request, error));
  return formatted(error, request, production);
}

function contextOf({ extra }: LiveContext, { log }: LiveOptions): RequestContext {
  const { 'x-correlation-id': correlationId } = extra.request.headers;
  return factsOf({ headers: { 'x-correlation-id': correlationId } }, uuidv7(), log, { caller: extra.caller });
}

function argsOf(
  { query, operationName, variables }: SubscribePayload,
  {
    schema,
    production,
    documentTokensMax: maxTokens = DOCUMENT_TOKENS_MAX,
    operationLimits: limits = operationLimits,
  }: LiveOptions,
): ExecutionArgs & { cost: number } {
  const document = parse(query, { maxTokens });
  const fault = shapeFault(document, limits);
  if (fault !== undefined) throw refusal(fault);
  const rules = production ? [...specifiedRules, NoSchemaIntrospectionCustomRule] : specifiedRules;
  const problems = validate(schema, document, rules, { maxErrors: FAULTS_TOLD_MAX });
  if (problems.length > 0) throw new Problems(problems);
  const operation = getOperationAST(document, operationName);
  if (operation?.operation !== OperationTypeNode.SUBSCRIPTION)
    throw refusal('Here is listened to subscriptions: send queries and mutations by POST, and one subscription by its name.');
  const cost = costWithin(limits, { schema, document, operation, variables: variables ?? {} });
  return { schema, document, operationName, variableValues: variables, cost };
}

class Problems extends Error {
  constructor(readonly problems: readonly GraphQLError[]) {
    super('The document does not fit the schema.');
  }
}

function faultsOf(error: unknown): readonly GraphQLError[] {
  if (error instanceof Problems) return error.problems.map((problem) => withCode(problem, 'GRAPHQL_VALIDATION_FAILED'));
  if (error instanceof RateLimited) {
    const { message, retryAfterSeconds } = error;
    return [new GraphQLError(message, { extensions: { code: 'RATE_LIMITED', retryAfterSeconds } })];
  }
  if (!(error instanceof GraphQLError)) return [new GraphQLError(String(error), { originalError: error as Error })];
  return [error.extensions['code'] === undefined ? withCode(error, 'GRAPHQL_PARSE_FAILED') : error];
}

function withCode({ message, nodes, source, positions }: GraphQLError, code: string): GraphQLError {
  return new GraphQLError(message, { nodes, source, positions, extensions: { code } });
}

function refusal(message: string): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_USER_INPUT' } });
}

/**
 * Carries out the document for each event, with a context of its own, so that nothing is remembered from the event before. Whoever has
 * gone away ends the source by the signal: a generator that waits for news hears of no `return`.
 */
async function subscribe(args: ExecutionArgs, { metrics }: LiveOptions): Promise<Events | ExecutionResult> {
  const over = new AbortController();
  const context = Object.assign(args.contextValue as RequestContext, { signal: over.signal });
  const source = await createSourceEventStream(args);
  if (!(Symbol.asyncIterator in source)) return source;
  const operation = nameOf(args.document, args.operationName);
  metrics.liveSubscriptions.inc({ operation });
  const events = told(source);
  // What never began runs no `finally`, so the end is noted here too.
  const finish = () => {
    if (over.signal.aborted) return;
    over.abort();
    metrics.liveSubscriptions.dec({ operation });
  };
  const end = () => {
    finish();
    return events.return();
  };
  return Object.assign(Object.create(events) as Events, {
    next: () => events.next(),
    throw: end,
    return: end,
    [Symbol.asyncIterator](this: Events) {
      return this;
    },
  });

  async function* told(source: AsyncIterable<unknown>): Events {
    try {
      for await (const event of source) {
        if (over.signal.aborted) return;
        const result = await execute({ ...args, rootValue: event, contextValue: contextFor(context, event as Told) });
        const isFaulty = result.errors?.some((error) => isFault(error.extensions['code'] ?? 'INTERNAL')) ?? false;
        metrics.liveEvents.inc({ operation, outcome: isFaulty ? 'fault' : 'ok' });
        yield result;
      }
    } finally {
      finish();
    }
  }
}

function contextFor(context: RequestContext, event: Told): RequestContext {
  return Object.assign(Object.create(context) as RequestContext, { together: event?.together?.deref() ?? {} });
}

/** The field that is subscribed to: the schema bounds those. */
function nameOf(document: DocumentNode, operationName: string | null | undefined): string {
  const [field] = getOperationAST(document, operationName)?.selectionSet.selections ?? [];
  return field?.kind === Kind.FIELD ? field.name.value : 'other';
}
