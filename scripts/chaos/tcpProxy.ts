import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP wire to a server that a test can cut, or make swallow everything without a word. */
export interface TcpProxy {
  readonly port: number;
  /** Resets every connection, and refuses new ones until `heal`. */
  cut(): void;
  /** Keeps connections open but passes nothing on, in either direction, until `heal`. */
  blackHole(): void;
  /** Resets each new connection once the server has sent so many bytes on it. */
  cutAfter(bytes: number): void;
  /** How many connections were made so far. */
  connections(): number;
  /** Passes on again; connections made in the black hole are reset. */
  heal(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  let state: 'passing' | 'cut' | 'black hole' = 'passing';
  let bytesMax = Infinity;
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (state === 'cut') return reset(client);
    connections += 1;
    const upstream = createConnection(target);
    let bytes = 0;
    upstream.on('data', (data) => {
      bytes += data.length;
      if (bytes >= bytesMax) reset(client);
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (data) => state === 'passing' && to.write(data));
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        if (state !== 'black hole') to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const resetAll = () => sockets.forEach(reset);
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut';
      resetAll();
    },
    blackHole() {
      state = 'black hole';
    },
    cutAfter(bytes) {
      bytesMax = bytes;
      resetAll();
    },
    connections: () => connections,
    heal() {
      bytesMax = Infinity;
      if (state === 'black hole') resetAll();
      state = 'passing';
    },
    async close() {
      state = 'cut';
      resetAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * One that is not connected yet would first wait to be, in order to be reset; and of one whose end is under way Node loses the handle
 * (seen on 20.20), and then never finishes its own exit.
 */
function reset(socket: Socket): void {
  if (socket.connecting || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
