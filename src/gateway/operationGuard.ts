import { type ApolloServerPlugin, HeaderMap } from '@apollo/server';
import { GraphQLError, Kind, OperationTypeNode, parse, type DocumentNode, type OperationDefinitionNode } from 'graphql';

import { type RequestContext } from '../observability';
import { REFUSED_POINTS, type Charge } from './admission';
import { type KeptDocuments } from './keptDocuments';
import { costWithin, MUTATION_COST, operationLimits, refusal, type OperationLimits } from './operationCost';
import { shapeFault } from './operationShape';
import { TOO_MANY_QUERIES, type QueryTurns } from './queryTurns';
import { type ReadingTurns } from './readingTurns';

export interface GuardOptions {
  limits?: OperationLimits;
  /** What Apollo keeps documents in. */
  documents: KeptDocuments;
  turns: ReadingTurns;
  queries: QueryTurns;
  /** Top-level fields that no database of ours answers: they wait for others, and take nobody's turn. */
  answeredElsewhere?: ReadonlySet<string>;
}

/**
 * Refuses an operation that asks for too much, before any of it is done, and a document of a bad shape before it is validated. What is
 * let through counts for the rate limits as one request for each mutation's worth of it: many under aliases are many.
 */
export function operationGuard({
  limits = operationLimits,
  documents,
  turns,
  queries,
  answeredElsewhere = new Set(),
}: GuardOptions): ApolloServerPlugin<RequestContext> {
  const refused = new WeakMap<DocumentNode, string>();
  return {
    requestDidStart() {
      let mayRead = true;
      return Promise.resolve({
        async didResolveSource({ queryHash, contextValue }) {
          // Whoever has waited may find that another has read the same meanwhile.
          if (!documents.has(queryHash)) mayRead = await turns.take(contextValue);
        },
        validationDidStart(request) {
          const fault = mayRead ? shapeFault(request.document, limits) : TOO_MANY_NEW;
          if (fault !== undefined) refused.set(putStandIn(request), fault);
          return Promise.resolve();
        },
        async didResolveOperation({ schema, document, operation, request: { variables = {} }, contextValue }) {
          // Who is to come back has cost nobody anything yet.
          if (!mayRead) throw comeBack(TOO_MANY_NEW);
          const reckon = () => {
            const fault = refused.get(document);
            if (fault !== undefined) throw refusal(fault);
            return { cost: operation ? costWithin(limits, { schema, document, operation, variables }) : 0 };
          };
          const { cost } = charged(reckon, contextValue.charge);
          const { afterwards } = contextValue;
          if (operation?.operation !== OperationTypeNode.QUERY || !afterwards || isOf(answeredElsewhere, operation)) return;
          const over = await queries.take(contextValue, cost);
          if (!over) throw comeBack(TOO_MANY_QUERIES);
          afterwards.push(over);
        },
        didEncounterErrors({ errors, document, operation, contextValue: { charge } }) {
          // Without an operation the document could not be read, or does not fit the schema.
          const isRead = operation !== undefined || (document !== undefined && refused.has(document));
          if (!isRead && !errors.every(isUsualStep)) charge?.(REFUSED_POINTS);
          return Promise.resolve();
        },
      });
    },
  };
}

function isOf(fields: ReadonlySet<string>, { selectionSet: { selections } }: OperationDefinitionNode): boolean {
  return selections.every((selection) => selection.kind === Kind.FIELD && fields.has(selection.name.value));
}

const TOO_MANY_NEW = 'Too many documents that were never seen: try again in 1 s, and send values as variables, not in the text.';

function comeBack(message: string): GraphQLError {
  const http = { status: 429, headers: new HeaderMap([['retry-after', '1']]) };
  return new GraphQLError(message, { extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 1, http } });
}

/** Clients that name a document by its hash send it whole when they are told that it is not known. */
function isUsualStep({ extensions }: GraphQLError): boolean {
  return extensions['code'] === 'PERSISTED_QUERY_NOT_FOUND';
}

/**
 * Apollo has no place where a document can be refused between being read and being validated. So one that is validated at once goes
 * on in its stead, to be refused where that can be done. It is of no use to the next who asks the same, and is not kept.
 */
function putStandIn(request: { document: DocumentNode }): DocumentNode {
  return (request.document = parse('{ __typename }', { noLocation: true }));
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
