import { type ApolloServerPlugin } from '@apollo/server';
import { parse, type DocumentNode } from 'graphql';

import { type RequestContext } from '../observability';
import { REFUSED_POINTS, type Charge } from './admission';
import { costWithin, MUTATION_COST, operationLimits, refusal, type OperationLimits } from './operationCost';
import { shapeFault } from './operationShape';
import { ReadingTurns } from './readingTurns';

/**
 * Refuses an operation that asks for too much, before any of it is done, and a document of a bad shape before it is validated. What is
 * let through counts for the rate limits as one request for each mutation's worth of it: many under aliases are many.
 */
export function operationGuard(limits: OperationLimits = operationLimits): ApolloServerPlugin<RequestContext> {
  const misshapen = new WeakMap<DocumentNode, string>();
  const turns = new ReadingTurns();
  return {
    requestDidStart: () =>
      Promise.resolve({
        // Apollo keeps the documents that it found good, and reads others only.
        parsingDidStart: ({ contextValue: { caller } }) => turns.take(caller),
        validationDidStart(request) {
          const fault = shapeFault(request.document, limits);
          if (fault !== undefined) misshapen.set(putStandIn(request), fault);
          return Promise.resolve();
        },
        // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is to be a rejection
        async didResolveOperation({ schema, document, operation, request: { variables = {} }, contextValue }) {
          const reckon = () => {
            const fault = misshapen.get(document);
            if (fault !== undefined) throw refusal(fault);
            return { cost: operation ? costWithin(limits, { schema, document, operation, variables }) : 0 };
          };
          charged(reckon, contextValue.charge?.bind(contextValue));
        },
        // Without an operation the document could not be read, or does not fit the schema.
        didEncounterErrors({ document, operation, contextValue }) {
          const isCounted = operation !== undefined || (document !== undefined && misshapen.has(document));
          if (!isCounted) contextValue.charge?.(REFUSED_POINTS);
          return Promise.resolve();
        },
      }),
  };
}

/**
 * Apollo has no place where a document can be refused between being read and being validated. So one that is validated at once goes
 * on in its stead, to be refused where that can be done; Apollo keeps that one for all who send the same again.
 */
function putStandIn(request: { document: DocumentNode }): DocumentNode {
  return (request.document = parse('{ __typename }'));
}

/** What `reckon` gives; counts what its cost is more than one request, and where it refuses, a refused document. */
export function charged<Reckoned extends { cost: number }>(reckon: () => Reckoned, charge: Charge): Reckoned {
  try {
    const reckoned = reckon();
    const requests = Math.floor(reckoned.cost / MUTATION_COST);
    if (requests > 1) charge?.(requests - 1);
    return reckoned;
  } catch (error) {
    charge?.(REFUSED_POINTS);
    throw error;
  }
}
