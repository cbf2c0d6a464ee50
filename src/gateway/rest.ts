import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type z } from 'zod';

import { faultsOf } from '../contracts';
import { demand } from '../identity';
import { Unavailable, type Logger, type RequestContext } from '../observability';
import { refusedInput, Refused, type Endpoint } from '../rest';
import { admit, type Admission, type Charge } from './admission';
import { readDatabaseFault } from './databaseFaults';
import { type RouteHandler, type Routes } from './httpServer';
import { LOOKUP_COST } from './operationCost';
import { openApiDocument } from './openApi';
import { readOnly } from './probes';
import { TOO_MANY_QUERIES, type QueryTurns } from './queryTurns';
import { refusalOf } from './refusals';
import { ClientGone, readJson, sendRefusal } from './requestBody';
import { factsOf, leaving } from './requestFacts';
import { maskedMessage, sendJson, type Problem } from './respond';

export interface RestOptions extends Admission {
  endpoints: readonly Endpoint[];
  version: string;
  bodyLimitBytes: number;
  log: Logger;
  /** Shared with other doors of the process: what is only read takes turns. */
  queries: QueryTurns;
}

/** JSON over plain HTTP, for those who want no GraphQL; `/openapi.json` describes it. Refusals are RFC 9457 problems. */
export function restRoutes({ endpoints, version, ...serving }: RestOptions): Routes {
  const document = openApiDocument(endpoints, version);
  const routes = [...new Set(endpoints.map(routeOf))].map((route) => {
    const here = endpoints.filter((endpoint) => routeOf(endpoint) === route);
    return [route, serve(here, serving)] as const;
  });
  return { ...Object.fromEntries(routes), '/openapi.json': readOnly((_request, response) => sendJson(response, 200, document)) };
}

/** The server knows whole paths, and paths that end in `/` with all below them. */
function routeOf({ path }: Endpoint): string {
  return path.replace(/\{.*/, '');
}

type Serving = Omit<RestOptions, 'endpoints' | 'version'>;

function serve(endpoints: Endpoint[], serving: Serving): RouteHandler {
  return async (request, response, requestId) => {
    try {
      const { endpoint, given } = find(endpoints, request);
      const admitted = await admit(request, request.socket.remoteAddress, serving);
      demand(ruleFor(endpoint, request), admitted.caller);
      const context = factsOf(request, requestId, serving.log, admitted, leaving(response));
      const parameters = parsed(endpoint.parameters, given) ?? {};
      const body =
        endpoint.body && parsed(bodySchema(endpoint), await bodyOf(endpoint, { request, response }, { ...serving, ...admitted }));
      const over = endpoint.method === 'GET' ? await turnFor(context, serving) : undefined;
      try {
        const answer = await endpoint.answer({ parameters, body, context });
        sendJson(response, answer.status, answer.body, answer.headers);
      } finally {
        over?.();
      }
    } catch (error) {
      if (error instanceof ClientGone) response.destroy();
      // It came too late, and the caller was told so.
      else if (!response.headersSent) sendRefusal(request, response, problemOf(error, requestId, serving.log), asProblemJson);
    }
  };
}

/** Each is a single lookup, and counts as one. */
async function turnFor(context: RequestContext, { queries }: Serving): Promise<() => void> {
  const over = await queries.take(context, LOOKUP_COST);
  if (over) return over;
  throw new Refused(429, 'RATE_LIMITED', TOO_MANY_QUERIES, { retryAfterSeconds: 1 });
}

function ruleFor({ access, accessWithoutBody }: Endpoint, request: IncomingMessage) {
  return isEmpty(request) ? (accessWithoutBody ?? access) : access;
}

function isEmpty({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
}

/** The endpoint that was asked, with the parameters of its path and of the query, as text. */
function find(endpoints: Endpoint[], request: IncomingMessage): { endpoint: Endpoint; given: Record<string, string> } {
  const url = new URL(request.url ?? '/', 'http://here');
  const matching = endpoints.flatMap((endpoint) => {
    const inPath = match(endpoint.path, url.pathname);
    return inPath ? [{ endpoint, given: { ...Object.fromEntries(url.searchParams), ...inPath } }] : [];
  });
  const found = matching.find(({ endpoint }) => endpoint.method === methodOf(request));
  if (found) return found;
  if (matching.length === 0) throw new Refused(404, 'NOT_FOUND', `Nothing is served at ${url.pathname}; see /openapi.json.`);
  const allow = matching.map(({ endpoint: { method } }) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ');
  throw new Refused(405, 'METHOD_NOT_ALLOWED', `${url.pathname} answers ${allow}, not ${request.method}.`, { allow });
}

/** HEAD is GET without the body, which Node leaves out by itself. */
function methodOf({ method }: IncomingMessage): string | undefined {
  return method === 'HEAD' ? 'GET' : method;
}

/** What stands at the places of the braces; undefined when the path is another. */
function match(pattern: string, path: string): Record<string, string> | undefined {
  const [expected, actual] = [pattern.split('/'), path.split('/')];
  if (expected.length !== actual.length) return undefined;
  const given: Record<string, string> = {};
  for (const [index, part] of expected.entries()) {
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    if (name === undefined && part !== actual[index]) return undefined;
    if (name !== undefined) given[name] = decoded(actual[index]!);
  }
  return given;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Refused(400, 'BAD_USER_INPUT', `${part.slice(0, 100)} is not a valid part of an address: encode it in UTF-8.`);
  }
}

function bodySchema({ body }: Endpoint): z.ZodType | undefined {
  return body?.required === false ? body.schema.optional() : body?.schema;
}

/** Undefined when no body was sent where none is needed. */
async function bodyOf(
  endpoint: Endpoint,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
  limits: { bodyLimitBytes: number; charge?: Charge },
) {
  if (isEmpty(request) && endpoint.body?.required === false) return refuseOtherSites(request);
  if (isEmpty(request))
    throw new Refused(400, 'BAD_USER_INPUT', `${endpoint.path} needs a JSON body; /openapi.json describes it.`);
  return readJson(request, response, limits);
}

/**
 * A POST without a body is sent by any page of any site without asking us first, unlike one of JSON: who would order so from a
 * browser must come from here.
 */
function refuseOtherSites({ headers }: IncomingMessage): undefined {
  const site = headers['sec-fetch-site'] ?? 'none';
  const { origin } = headers;
  const isFromHere = origin === undefined || (URL.canParse(origin) && new URL(origin).host === headers.host);
  const isForeign = !isFromHere || !['none', 'same-origin'].includes(String(site));
  if (isForeign) throw new Refused(403, 'FORBIDDEN', 'Pages of other sites cannot order without a body: send JSON.');
}

function parsed<T>(schema: z.ZodType<T> | undefined, value: unknown): T | undefined {
  const result = schema?.safeParse(value);
  if (result?.success === false) throw refusedInput(faultsOf(result.error));
  return result?.data;
}

/** What the caller is told of anything that was thrown; faults of ours are logged whole, and masked. */
function problemOf(error: unknown, requestId: string, log: Logger): Problem {
  if (error instanceof Refused) {
    const { allow, ...details } = error.more;
    const { retryAfterSeconds } = details;
    const headers = {
      ...(typeof allow === 'string' && { allow }),
      ...(typeof retryAfterSeconds === 'number' && { 'retry-after': String(retryAfterSeconds) }),
    };
    return { status: error.status, code: error.code, message: error.message, requestId, details, headers };
  }
  const fault = readDatabaseFault(error);
  const reason = fault instanceof Unavailable ? fault : error;
  if (reason instanceof Unavailable) log.warn({ err: error, requestId }, 'A REST request was refused: something is down.');
  const refusal = refusalOf(reason, requestId);
  if (refusal) return refusal;
  if (fault) return { status: 400, code: 'BAD_USER_INPUT', message: fault.message, requestId };
  log.error({ err: error, requestId }, 'A REST request failed inside.');
  return { status: 500, code: 'INTERNAL', message: maskedMessage(requestId), requestId };
}

/** RFC 9457, with our code and request id beside its members. */
function asProblemJson({ status, code, message, requestId, details }: Problem) {
  return {
    type: 'application/problem+json',
    body: { status, title: titleOf(code), detail: message, code, requestId, ...details },
  };
}

/** The code in words: the same for every problem of a kind, as the RFC wants it. */
function titleOf(code: string): string {
  const words = code.toLowerCase().replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
