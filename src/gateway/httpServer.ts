import { createServer, IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, Server as NetServer } from 'node:net';
import { type Duplex } from 'node:stream';
import { type Logger } from '../observability/logger';
import { type Metrics } from '../observability/metrics';
import { PortInUse } from './portInUse';
import { requestIdOf } from './requestIds';
import { lateMessage, maskedMessage, sendProblem } from './respond';

/** Answers one request; what it throws is answered as a masked 500. */
export type RouteHandler = (request: IncomingMessage, response: ServerResponse, requestId: string) => void | Promise<void>;

/** By path. A path that ends in `/` takes everything below it. */
export type Routes = Readonly<Record<string, RouteHandler>>;

/** Takes over the connection of a request that asks for a WebSocket. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface HttpServerOptions {
  /** 0 picks a free one. */
  port: number;
  /** The variable that sets the port, for the message when it is in use; `PORT` unless given. */
  portVariable?: string;
  host: string;
  /** Given: HTTPS is served, with these. */
  tls?: { cert: string; key: string };
  routes: Routes;
  /** By path: where a WebSocket may be asked for. */
  upgrades?: Readonly<Record<string, Upgrade>>;
  log: Logger;
  metrics: Metrics;
  /** How long `close` waits for requests that are under way. */
  closeLimitMs?: number;
  times?: Partial<HttpTimes>;
}

export interface HttpTimes {
  /** How long an answer may take. */
  answerMs: number;
  /** How long the headers, and the whole of a request, may take to arrive. */
  headersMs: number;
  receiveMs: number;
  /** How long a connection without a request stays open. */
  keepAliveMs: number;
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
    void answer({ options, times, server, underWay }, request, response);
  const times = { ...usualTimes, ...options.times };
  const settings = { ...nodeTimeouts(times), IncomingMessage: requestsWith(options.upgrades ?? {}) };
  const server: Server = options.tls ? createTlsServer({ ...settings, ...options.tls }, take) : createServer(settings, take);
  server.on('upgrade', (request, socket, head) => options.upgrades![pathOf(request.url ?? '/')]!(request, socket, head));
  // Without this listener Node invites every body; this way a route can refuse one before it is sent.
  server.on('checkContinue', take);
  await listen(server, { port, portVariable, host });
  const address = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    port: address.port,
    url: `${options.tls ? 'https' : 'http'}://${nameOf(host)}:${address.port}`,
    close: () => (closing ??= close({ options, times, server, underWay }, closeLimitMs)),
  };
}

/** Keep-alive outlasts the usual 60 s of a load balancer, so that it is never us who closes a connection it is about to use. */
const usualTimes: HttpTimes = { answerMs: 30_000, headersMs: 10_000, receiveMs: 15_000, keepAliveMs: 65_000 };

function nodeTimeouts({ headersMs, receiveMs, keepAliveMs }: HttpTimes) {
  return {
    ...{ keepAliveTimeout: keepAliveMs, headersTimeout: Math.min(headersMs, receiveMs), requestTimeout: receiveMs },
    connectionsCheckingInterval: Math.min(2_000, headersMs, receiveMs),
  };
}

/**
 * Where nobody listens for upgrades Node answers such requests as it does others; where somebody does, it hands over all of them, and
 * some clients ask for HTTP/2 in every request. So a request is one for an upgrade only where it asks for a WebSocket and there is one.
 */
function requestsWith(upgrades: NonNullable<HttpServerOptions['upgrades']>): typeof IncomingMessage {
  return class Request extends IncomingMessage {
    declare asked: boolean | null;

    get upgrade(): boolean {
      if (this.method === 'CONNECT') return this.asked === true;
      const isWebSocket = this.headers.upgrade?.toLowerCase() === 'websocket';
      return this.asked === true && isWebSocket && Object.hasOwn(upgrades, pathOf(this.url ?? '/'));
    }

    set upgrade(asked: boolean | null) {
      this.asked = asked;
    }
  };
}

interface Serving {
  options: HttpServerOptions;
  times: HttpTimes;
  server: Server;
  underWay: Set<ServerResponse>;
}

async function answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { options, times, server, underWay } = serving;
  const startedAtMs = performance.now();
  const requestId = requestIdOf(request);
  response.setHeader('x-request-id', requestId);
  underWay.add(response);
  if (!server.listening) response.setHeader('connection', 'close');
  const route = routeOf(options.routes, request.url ?? '/');
  let isLate = false;
  const deadline = setTimeout(() => (isLate = tellLate(response, requestId, times.answerMs)), times.answerMs);
  response.on('close', () => {
    clearTimeout(deadline);
    underWay.delete(response);
    observe(options, request, response, { route, requestId, startedAtMs });
  });
  try {
    const handler = options.routes[route] ?? answerUnknown(options.routes);
    await handler(request, response, requestId);
  } catch (error) {
    // Nobody can be answered twice: that is all that went wrong.
    if (isLate) return;
    options.log.error({ err: error, requestId, method: request.method, route }, 'A request failed inside.');
    fail(response, requestId);
  }
}

/** The work goes on, and may succeed. True when the caller was told; false when half an answer is out, which may take as long as it takes. */
function tellLate(response: ServerResponse, requestId: string, limitMs: number): boolean {
  if (response.headersSent) return false;
  const headers = { 'retry-after': '1', connection: 'close' };
  sendProblem(response, { status: 503, code: 'SERVICE_UNAVAILABLE', message: lateMessage(limitMs), requestId, headers });
  return true;
}

const unknownRoute = 'other';

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

function routeOf(routes: Routes, url: string): string {
  const path = pathOf(url);
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
