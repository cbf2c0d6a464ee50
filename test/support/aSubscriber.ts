import { createClient, type Client, type ClientOptions } from 'graphql-ws';
import WebSocket from 'ws';

import { eventually } from './eventually';

/** Somebody who listens at a gateway, as the clients of graphql-ws do. */
export interface Subscriber {
  client: Client;
  /** What was heard of each subscription, in its order. */
  follow<T = Record<string, unknown>>(query: string, variables?: Record<string, unknown>): Heard<T>;
  /** How the connection ended, each time it did. */
  closes: { code: number; reason: string }[];
  /** Cuts the connection without a word. */
  cut(): void;
  leave(): Promise<void>;
}

export interface Heard<T> {
  data: T[];
  errors: { message: string; extensions: { code: string; requestId: string; field?: string } }[];
  /** Undefined while it goes on. */
  end?: 'complete' | 'failed';
  stop(): void;
  /** The data once there are so many. */
  atLeast(count: number, limitMs?: number): Promise<T[]>;
  /** Resolves when it has ended. */
  ended(): Promise<void>;
}

export function aSubscriber(
  url: string,
  headers: Record<string, string> | (() => Promise<Record<string, string>>),
  options: Partial<ClientOptions> = {},
): Subscriber {
  const closes: Subscriber['closes'] = [];
  let socket: WebSocket | undefined;
  let isToBeCut = false;
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: headers,
    ...options,
    on: {
      opened: (opened) => {
        socket = opened as WebSocket;
        if (isToBeCut) cut();
      },
      closed: (event) => closes.push(event as { code: number; reason: string }),
      ...options.on,
    },
  });
  return { client, follow, closes, cut, leave: async () => client.dispose() };

  /** What is not open yet is cut when it is. */
  function cut() {
    isToBeCut = socket === undefined;
    socket?.terminate();
  }

  function follow<T>(query: string, variables?: Record<string, unknown>): Heard<T> {
    const heard: Heard<T> = {
      ...{ data: [], errors: [], stop: () => undefined },
      atLeast: (count, limitMs) => eventually(() => (heard.data.length >= count ? heard.data : undefined), limitMs),
      ended: async () => void (await eventually(() => heard.end)),
    };
    heard.stop = client.subscribe<T>(
      { query, variables },
      {
        next: ({ data, errors }) => {
          if (data) heard.data.push(data);
          if (errors) heard.errors.push(...(errors as unknown as Heard<T>['errors']));
        },
        error: (error) => {
          if (Array.isArray(error)) heard.errors.push(...(error as Heard<T>['errors']));
          heard.end = 'failed';
        },
        complete: () => (heard.end ??= 'complete'),
      },
    );
    return heard;
  }
}
