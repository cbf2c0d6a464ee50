import { type ApolloServerPlugin, type GraphQLRequestContext } from '@apollo/server';
import { type GraphQLFormattedError, Kind, type OperationDefinitionNode } from 'graphql';
import { type Logger } from '../observability/logger';
import { type Metrics } from '../observability/metrics';
import { type RequestContext } from '../observability/requestContext';
import { isFault, logFault } from './graphqlErrors';

/**
 * What is noted about every operation and done about its failures: faults are logged whole, with the request id; each operation
 * is timed, and answered 503 with `retry-after` when nothing of it could be done. The label is the one top-level field that is
 * asked for, because the schema bounds those; operations with several fields, or none that is valid, are `other`.
 */
export function operationOutcome(metrics: Metrics, log: Logger): ApolloServerPlugin<RequestContext> {
  return {
    requestDidStart() {
      const startedAtMs = performance.now();
      return Promise.resolve({
        willSendResponse(request: GraphQLRequestContext<RequestContext>) {
          const errors = errorsOf(request);
          if (errors.length > 0) answerUnavailable(request, errors);
          const { operation } = request;
          const labels = { operation: nameOf(operation), type: operation?.operation ?? 'other', outcome: outcomeOf(errors) };
          metrics.graphqlOperationDuration.observe(labels, (performance.now() - startedAtMs) / 1_000);
          return done;
        },
        didEncounterErrors({ errors, contextValue: { requestId, correlationId } }) {
          for (const error of errors.slice(0, faultsLoggedMax))
            logFault(log, error, { requestId, correlationId, path: error.path });
          return done;
        },
      });
    },
    unexpectedErrorProcessingRequest({ error, requestContext }) {
      logFault(log, error, { requestId: requestContext.contextValue.requestId });
      return done;
    },
  };
}

const done = Promise.resolve();

/** One request can fail in thousands of aliases; it may not write thousands of lines. */
const faultsLoggedMax = 10;

function errorsOf({ response }: GraphQLRequestContext<RequestContext>): readonly GraphQLFormattedError[] {
  return (response.body?.kind === 'single' && response.body.singleResult.errors) || [];
}

/** With some data in the answer the status stays 200: a client that goes by the status would throw the data away. */
function answerUnavailable({ response }: GraphQLRequestContext<RequestContext>, errors: readonly GraphQLFormattedError[]): void {
  const unavailable = errors.find((error) => error.extensions?.['code'] === 'SERVICE_UNAVAILABLE');
  const data = response.body?.kind === 'single' ? response.body.singleResult.data : undefined;
  if (unavailable === undefined || Object.values(data ?? {}).some((value) => value !== null)) return;
  response.http.status = 503;
  response.http.headers.set('retry-after', String(unavailable.extensions?.['retryAfterSeconds']));
}

function nameOf(operation: OperationDefinitionNode | undefined): string {
  const [field, ...others] = operation?.selectionSet.selections ?? [];
  return field?.kind === Kind.FIELD && others.length === 0 ? field.name.value : 'other';
}

function outcomeOf(errors: readonly GraphQLFormattedError[]): 'ok' | 'refused' | 'fault' {
  if (errors.length === 0) return 'ok';
  return errors.some((error) => isFault(error.extensions?.['code'])) ? 'fault' : 'refused';
}
