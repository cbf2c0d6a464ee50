import { type WebSocket } from 'ws';

/** Connections that have not said who they are. */
export interface Unnamed {
  /** Until it has said so, or is closed. */
  add(socket: WebSocket, address?: string): void;
  remove(socket: WebSocket): void;
  isEmpty(): boolean;
  /** Cuts one: the oldest of the address that has most of them. */
  cutOne(): void;
}

/**
 * Anybody can connect and say nothing. Where there is no more room such a connection gives its place to the next, so that they keep
 * nobody out; and because it is taken from the address that has most, a single one does not drive out those who are about to speak.
 */
export function createUnnamed(): Unnamed {
  const byAddress = new Map<string, Set<WebSocket>>();
  const remove = (socket: WebSocket) => {
    for (const [address, sockets] of byAddress) if (sockets.delete(socket) && sockets.size === 0) byAddress.delete(address);
  };
  return {
    add(socket, address = '') {
      const sockets = byAddress.get(address) ?? new Set();
      byAddress.set(address, sockets.add(socket));
      socket.on('close', () => remove(socket));
    },
    remove,
    isEmpty: () => byAddress.size === 0,
    cutOne() {
      const [most] = [...byAddress.values()].sort((one, other) => other.size - one.size);
      const [oldest] = most ?? [];
      if (!oldest) return;
      remove(oldest);
      oldest.terminate();
    },
  };
}
