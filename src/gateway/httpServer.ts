import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, Server as NetServer } from 'node:net';
import { type Logger } from '../observability/logger';
import { type Metrics } from '../observability/metrics';
import { PortInUse } from './portInUse';
import { requestIdOf } from './requestIds';
import { maskedMessage, sendProblem } from './respond';

/** Answers one request; what it throws is answered as a masked 500. */
export type RouteHandler = (request: IncomingMessage, response: ServerResponse, requestId: string) => void | Promise<void>;

/** By path. A path that ends in `/` takes everything below it. */
export type Routes = Readonly<Record<string, RouteHandler>>;

export interface HttpServerOptions {
  /** 0 picks a free one. */
  port: number;
  /** The variable that sets the port, for the message when it is in use; `PORT` unless given. */
  portVariable?: string;
  host: string;
  /** Given: HTTPS is served, with these. */
  tls?: { cert: string; key: string };
  routes: Routes;
  log: Logger;
  metrics: Metrics;
  /** How long `close` waits for requests that are under way. */
  closeLimitMs?: number;
}

export interface HttpServer {
  readonly port: number;
  /** Where people reach it, without a path. */
  readonly url: string;
  /** Stops accepting, lets requests under way finish for up to `closeLimitMs`, then cuts what is left. Safe to repeat. */
  close(): Promise<void>;
}

/** Serves the routes. Rejects with PortInUse when another program holds the port. */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { port, portVariable = 'PORT', host, closeLimitMs = 20_000 } = options;
  const underWay = new Set<ServerResponse>();
  const take = (request: IncomingMessage, response: ServerResponse) =>
    void answer({ options, server, underWay }, request, response);
  const server = options.tls ? createTlsServer({ ...timeouts, ...options.tls }, take) : createServer({ ...timeouts }, take);
  // Without this listener Node invites every body; this way a route can refuse one before it is sent.
  server.on('checkContinue', take);
  await listen(server, { port, portVariable, host });
  const address = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    port: address.port,
    url: `${options.tls ? 'https' : 'http'}://${nameOf(host)}:${address.port}`,
    close: () => (closing ??= close({ options, server, underWay }, closeLimitMs)),
  };
}

/** Keep-alive outlasts the usual 60 s of a load balancer, so that it is never us who closes a connection it is about to use. */
const timeouts = { keepAliveTimeout: 65_000, headersTimeout: 10_000, requestTimeout: 15_000, connectionsCheckingInterval: 2_000 };

interface Serving {
  options: HttpServerOptions;
  server: Server;
  underWay: Set<ServerResponse>;
}

async function answer({ options, server, underWay }: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const startedAtMs = performance.now();
  const requestId = requestIdOf(request);
  response.setHeader('x-request-id', requestId);
  underWay.add(response);
  if (!server.listening) response.setHeader('connection', 'close');
  const route = routeOf(options.routes, request.url ?? '/');
  response.on('close', () => {
    underWay.delete(response);
    observe(options, request, response, { route, requestId, startedAtMs });
  });
  try {
    const handler = options.routes[route] ?? answerUnknown(options.routes);
    await handler(request, response, requestId);
  } catch (error) {
    options.log.error({ err: error, requestId, method: request.method, route }, 'A request failed inside.');
    fail(response, requestId);
  }
}

const unknownRoute = 'other';

function routeOf(routes: Routes, url: string): string {
  const end = url.indexOf('?');
  const path = end === -1 ? url : url.slice(0, end);
  if (Object.hasOwn(routes, path)) return path;
  return Object.keys(routes).find((route) => route.endsWith('/') && path.startsWith(route)) ?? unknownRoute;
}

function observe(
  { metrics, log }: HttpServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  { route, requestId, startedAtMs }: { route: string; requestId: string; startedAtMs: number },
): void {
  const seconds = (performance.now() - startedAtMs) / 1_000;
  const method = knownMethods.has(request.method ?? '') ? request.method : 'other';
  // 499 is what proxies write for a client that went away before its answer was complete.
  const status = response.writableFinished ? response.statusCode : 499;
  metrics.httpRequestDuration.observe({ route, method, status }, seconds);
  if (log.isLevelEnabled('debug')) log.debug({ requestId, route, method, status, seconds }, 'request');
}

const knownMethods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function answerUnknown(routes: Routes): RouteHandler {
  return (_request, response, requestId) => {
    const message = `Nothing is served here. There is ${Object.keys(routes).join(', ')}.`;
    sendProblem(response, { status: 404, code: 'NOT_FOUND', message, requestId });
  };
}

/** After the head is out nothing true can be said any more, so the connection is cut: half an answer must not look whole. */
function fail(response: ServerResponse, requestId: string): void {
  if (response.headersSent) response.destroy();
  else sendProblem(response, { status: 500, code: 'INTERNAL', message: maskedMessage(requestId), requestId });
}

function listen(
  server: Server,
  { port, portVariable, host }: { port: number; portVariable: string; host: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new PortInUse(port, host, portVariable) : error);
    });
    server.listen(port, host, resolve);
  });
}

function nameOf(host: string): string {
  if (host === '0.0.0.0' || host === '::' || host === '') return 'localhost';
  return isIPv6(host) ? `[${host}]` : host;
}

/**
 * Kept-alive connections are told to close by the next answer on them. Closing them at once would break requests that are on
 * their way, so idle ones get a moment first; Node's own `close` does not grant it, net's does.
 */
async function close({ options: { log }, server, underWay }: Serving, limitMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  for (const response of underWay) if (!response.headersSent) response.setHeader('connection', 'close');
  const hangUp = setInterval(() => server.closeIdleConnections(), idleGraceMs);
  const cut = setTimeout(() => {
    log.warn(`Requests were still under way after ${limitMs} ms and were cut.`);
    server.closeAllConnections();
  }, limitMs);
  await closed;
  clearInterval(hangUp);
  clearTimeout(cut);
  // Ends Node's watch over slow connections; there is nothing left to close.
  server.close(() => undefined);
}

const idleGraceMs = 250;
