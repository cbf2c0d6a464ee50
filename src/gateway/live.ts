import { type IncomingMessage } from 'node:http';
import { type Duplex } from 'node:stream';
import { CloseCode, handleProtocols, makeServer, type Server } from 'graphql-ws';
import { WebSocketServer, type WebSocket } from 'ws';

import { AccessDenied, type Caller } from '../identity';
import { type Logger, Unavailable } from '../observability';
import { admit } from './admission';
import { createCustomerCount } from './customerCount';
import { type Upgrade } from './httpServer';
import { createOperations } from './liveOperations';
import { RateLimited } from './rateLimits';
import { type Connection, type LiveContext, type LiveOptions, type Params } from './liveOptions';
import { createUnnamed, type Unnamed } from './liveUnnamed';

/** GraphQL subscriptions over WebSocket, in the protocol `graphql-transport-ws`. */
export interface LiveDoor {
  /** Takes over a connection of HTTP. */
  upgrade: Upgrade;
  /** Lets nobody in any more and closes every connection with 1001: clients go on elsewhere. Safe to repeat. */
  close(): Promise<void>;
}

/** What else a connection can be closed with, beside the codes of the protocol. A client of graphql-ws comes back after all of these. */
export const closeCodes = { goingAway: 1001, tooMuch: 1008, tryAgainLater: 1013, tokenOver: 4403 } as const;

/**
 * A connection needs a token, in the payload of `connection_init` or in the header of the upgrade, and ends with it. What a client does
 * not take is not heaped up: each subscription has one message on its way and makes the next when that one has left, and whoever
 * sends while it does not read is cut.
 */
export function createLiveDoor(options: LiveOptions): LiveDoor {
  const { log, metrics, connectionsMax, messageLimitBytes, closeLimitMs = 2_000 } = options;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: messageLimitBytes, handleProtocols });
  const unnamed = createUnnamed();
  const graphql = serverOf(options, unnamed);
  let closing: Promise<void> | undefined;
  sockets.on('wsClientError', (error, socket) => {
    log.debug({ err: error }, 'A connection could not become a WebSocket.');
    refuse(socket, '400 Bad Request', 'A WebSocket could not be made of this request.');
  });

  return {
    upgrade(request, socket, head) {
      // Without a listener the loss of a connection that is refused would end the process.
      socket.on('error', () => undefined);
      if (closing) return refuse(socket, '503 Service Unavailable', 'This server is stopping: connect to another.');
      if (sockets.clients.size >= connectionsMax && unnamed.isEmpty()) {
        metrics.liveConnectionsEnded.inc({ why: 'refused' });
        return refuse(socket, '503 Service Unavailable', 'This server has as many connections as it takes: try again later.');
      }
      sockets.handleUpgrade(request, socket, head, (connection) => {
        if (sockets.clients.size > connectionsMax) unnamed.cutOne();
        unnamed.add(connection, options.addressOf?.(request, request.socket.remoteAddress));
        serve(graphql, connection, request, options);
      });
    },
    close: () => (closing ??= closeAll(sockets, closeLimitMs)),
  };
}

function refuse(socket: Duplex, status: string, message: string): void {
  const headers = ['content-type: text/plain', 'retry-after: 5', 'connection: close', `content-length: ${message.length}`];
  socket.end(`HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${message}`);
}

async function closeAll(sockets: WebSocketServer, limitMs: number): Promise<void> {
  for (const connection of sockets.clients) connection.close(closeCodes.goingAway, 'This server is stopping: go on at another.');
  const cut = setTimeout(() => sockets.clients.forEach((connection) => connection.terminate()), limitMs);
  while (sockets.clients.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  clearTimeout(cut);
  sockets.close();
}

function serverOf(options: LiveOptions, unnamed: Unnamed): Server<Connection> {
  const { log, metrics, initTimeoutMs } = options;
  const customers = createCustomerCount(options.connectionsPerCustomerMax);
  return makeServer<Params, Connection>({
    connectionInitWaitTimeout: initTimeoutMs,
    ...createOperations(options),
    async onConnect(context) {
      const { extra } = context;
      try {
        const caller = await callerIn(context, options);
        // Whoever has left meanwhile would be counted for ever.
        if (extra.socket.readyState !== extra.socket.OPEN) return false;
        if (customers.add(caller)) {
          unnamed.remove(extra.socket);
          extra.caller = caller;
          extra.tokenTimer = closeAt(caller.until, extra.socket);
        } else extra.socket.close(closeCodes.tooMuch, 'This customer has as many connections as it may have.');
      } catch (error) {
        refuseCaller(error, extra.socket, log);
      }
      return extra.caller !== undefined;
    },
    onClose({ extra }: LiveContext, code = 1006) {
      clearTimeout(extra.tokenTimer);
      customers.remove(extra.caller);
      metrics.liveConnectionsEnded.inc({ why: knownCodes.has(code) ? String(code) : 'other' });
    },
  });
}

/** Labels are from a known list, and a client may close with whatever it likes. */
const knownCodes = new Set<number>([
  ...[1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1013],
  ...Object.values(CloseCode).filter((code): code is CloseCode => typeof code === 'number'),
]);

/** Who connects, by `connection_init`; a browser cannot set the header that other clients may show the token in. */
async function callerIn({ connectionParams, extra: { request } }: LiveContext, admission: LiveOptions): Promise<Caller> {
  const given = connectionParams?.['authorization'] ?? connectionParams?.['Authorization'];
  const shown = given === undefined ? {} : { authorization: typeof given === 'string' ? given : '' };
  const headers = { ...request.headers, ...shown };
  const { caller } = await admit({ headers }, request.socket.remoteAddress, admission);
  if (caller) return caller;
  const message = 'This needs a token: send {"authorization":"Bearer <token>"} with connection_init.';
  throw new AccessDenied('UNAUTHENTICATED', message);
}

function refuseCaller(error: unknown, socket: WebSocket, log: Logger): void {
  if (error instanceof AccessDenied) return socket.close(CloseCode.Unauthorized, reason(error.message));
  if (error instanceof RateLimited) return socket.close(closeCodes.tryAgainLater, reason(error.message));
  if (error instanceof Unavailable) return socket.close(closeCodes.tryAgainLater, reason(error.message));
  log.error({ err: error }, 'A connection could not be let in.');
  socket.close(CloseCode.InternalServerError, 'Internal server error');
}

/** The reason of a close may be 123 bytes long. */
function reason(message: string): string {
  return message.length > 120 ? `${message.slice(0, 117)}...` : message;
}

/** What goes on under a token ends with it. */
function closeAt(timeMs: number | undefined, socket: WebSocket): NodeJS.Timeout | undefined {
  const leftMs = (timeMs ?? Infinity) - Date.now();
  if (leftMs > LONGEST_TIMER_MS) return undefined;
  const message = 'The token has expired: connect again with a new one.';
  return setTimeout(() => socket.close(closeCodes.tokenOver, message), Math.max(0, leftMs));
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

function serve(graphql: Server<Connection>, socket: WebSocket, request: IncomingMessage, options: LiveOptions): void {
  const { log, metrics, keepAliveMs } = options;
  metrics.liveConnections.inc();
  const stopAsking = askWhetherAnybodyIsThere(socket, keepAliveMs);
  // What breaks the rules of WebSocket is closed by the library, and said here.
  socket.on('error', (error) => log.debug({ err: error }, 'A WebSocket was at fault.'));
  socket.on('ping', () => cutWhoDoesNotRead(socket));
  const closed = graphql.opened(
    {
      protocol: socket.protocol,
      // Settled when the message has left this process: that is what makes a subscription wait for its client.
      send: (text) =>
        new Promise((resolve) => {
          if (socket.readyState === socket.OPEN) socket.send(text, () => resolve());
          else resolve();
        }),
      close: (code, why) => socket.close(code, why),
      onMessage: (take) =>
        socket.on('message', (message, isBinary) => {
          if (cutWhoDoesNotRead(socket)) return;
          if (isBinary) return socket.close(CloseCode.BadRequest, 'Messages are texts.');
          take(String(message as Buffer)).catch((error: unknown) => {
            log.error({ err: error }, 'A message of a subscriber failed inside.');
            socket.close(CloseCode.InternalServerError, 'Internal server error');
          });
        }),
    },
    { socket, request },
  );
  socket.on('close', (code, why) => {
    stopAsking();
    metrics.liveConnections.dec();
    closed(code, String(why)).catch((error: unknown) => log.error({ err: error }, 'A connection could not be ended.'));
  });
}

function askWhetherAnybodyIsThere(socket: WebSocket, intervalMs: number): () => void {
  let isThere = true;
  socket.on('pong', () => (isThere = true));
  const timer = setInterval(() => {
    if (!isThere) return socket.terminate();
    isThere = false;
    socket.ping();
  }, intervalMs);
  return () => clearInterval(timer);
}

/** Whoever asks for answers and does not take them has them heaped up here, up to this. */
function cutWhoDoesNotRead(socket: WebSocket): boolean {
  if (socket.bufferedAmount <= HEAPED_UP_MAX_BYTES) return false;
  socket.terminate();
  return true;
}

const HEAPED_UP_MAX_BYTES = 1_048_576;
