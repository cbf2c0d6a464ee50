import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { AccessDenied } from '../identity';
import { type Logger } from '../observability/logger';
import { redacted } from '../observability/redact';
import { Unavailable } from '../observability/unavailable';
import { readDatabaseFault } from './databaseFaults';
import { inputFault, type InputFault } from './inputFault';
import { maskedMessage } from './respond';

/**
 * Every `extensions.code` an answer to GraphQL can hold. PAYLOAD_TOO_LARGE is answered before GraphQL, as are HTTP's own NOT_FOUND
 * and METHOD_NOT_ALLOWED; GRAPHQL_* and PERSISTED_QUERY_* keep their usual names because tools and clients look for them;
 * whatever is not listed becomes INTERNAL.
 */
export const errorCodes = [
  'BAD_USER_INPUT',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PAYLOAD_TOO_LARGE',
  'IDEMPOTENCY_CONFLICT',
  'IDEMPOTENCY_IN_PROGRESS',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'SERVICE_UNAVAILABLE',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** True for the codes that speak of our trouble and not the caller's. */
export function isFault(code: unknown): boolean {
  return code === 'INTERNAL' || code === 'SERVICE_UNAVAILABLE';
}

/**
 * The one mapper from errors to what a caller sees: a code of the list and the request id always; the fault of an input with the
 * path of the field; everything unknown masked. Apollo does not say which request an error belongs to, hence `requestId` may be
 * a stand-in that the caller replaces. In production no message suggests what else there is: Apollo sees to that where a document
 * does not fit the schema, but not where a variable does not.
 */
export function errorFormatter(requestId: string, { production }: { production: boolean }) {
  // What a message quotes may be an input whole, a webhook's secret included, and a client may log what it is answered.
  const told = (message: string) => redacted(production ? message.replace(/ ?Did you mean .+\?$/s, '') : message);
  return (formatted: GraphQLFormattedError, thrown: unknown): GraphQLFormattedError => {
    const reading = readError(thrown);
    switch (reading.kind) {
      case 'unavailable': {
        const { message, retryAfterSeconds } = reading.error;
        return { ...formatted, message, extensions: { code: 'SERVICE_UNAVAILABLE', requestId, retryAfterSeconds } };
      }
      case 'input': {
        const { message, field } = reading.fault;
        return { ...formatted, message: told(message), extensions: { code: 'BAD_USER_INPUT', requestId, field } };
      }
      case 'refusal':
        return {
          ...formatted,
          message: told(sentence(formatted)),
          extensions: { ...formatted.extensions, code: reading.code, requestId },
        };
      case 'fault':
        return { ...formatted, message: maskedMessage(requestId), extensions: { code: 'INTERNAL', requestId } };
    }
  };
}

/** Where the libraries speak of themselves instead of the request: the recursive parser of its engine, Apollo of its options. */
function sentence({ message, extensions }: GraphQLFormattedError): string {
  if (message === 'Maximum call stack size exceeded') return 'The document is nested too deeply.';
  if (extensions?.['validationErrorCode'] === 'INTROSPECTION_DISABLED') return 'Introspection is off here: see schema.graphql.';
  return message;
}

/** Logs what the caller is not told. */
export function logFault(log: Logger, thrown: unknown, fields: Record<string, unknown>): void {
  const reading = readError(thrown);
  if (reading.kind === 'fault') log.error({ err: reading.error, ...fields }, 'A GraphQL request failed inside.');
  if (reading.kind === 'unavailable')
    log.warn({ err: reading.error, ...fields }, 'A GraphQL request was refused: something is down.');
}

type Reading =
  | { kind: 'unavailable'; error: Unavailable }
  | { kind: 'input'; fault: InputFault }
  | { kind: 'refusal'; code: ErrorCode }
  | { kind: 'fault'; error: unknown };

function readError(thrown: unknown): Reading {
  if (!(thrown instanceof GraphQLError))
    return thrown instanceof Unavailable ? { kind: 'unavailable', error: thrown } : { kind: 'fault', error: thrown };
  if (thrown.originalError instanceof AccessDenied) return { kind: 'refusal', code: thrown.originalError.code };
  if (thrown.originalError instanceof Unavailable) return { kind: 'unavailable', error: thrown.originalError };
  const databaseFault = readDatabaseFault(thrown.originalError);
  if (databaseFault instanceof Unavailable) return { kind: 'unavailable', error: databaseFault };
  if (databaseFault !== undefined) return { kind: 'input', fault: databaseFault };
  const fault = inputFault(thrown);
  if (fault !== undefined) return { kind: 'input', fault };
  const code = codeOf(thrown);
  return code === undefined ? { kind: 'fault', error: thrown.originalError ?? thrown } : { kind: 'refusal', code };
}

function codeOf(error: GraphQLError): ErrorCode | undefined {
  const { code } = error.extensions;
  if (code === 'BAD_REQUEST' || code === 'OPERATION_RESOLUTION_FAILURE') return 'BAD_USER_INPUT';
  // What Apollo and graphql-js say about a request as a whole stands at no field and wraps nothing; some of it has no code.
  if (code === undefined && error.path === undefined && error.originalError === undefined) return 'BAD_USER_INPUT';
  return errorCodes.find((known) => known === code && known !== 'INTERNAL');
}
