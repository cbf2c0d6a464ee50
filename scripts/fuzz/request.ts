export const requestKinds = ['valid', 'mutated', 'hostile'] as const;
export type RequestKind = (typeof requestKinds)[number];

/** What is sent to the gateway, and under which name its fate is reported. */
export interface FuzzRequest {
  number: number;
  kind: RequestKind;
  name: string;
  headers: Record<string, string>;
  body: string | Buffer;
  /** Sent as it stands on a connection of its own, because no HTTP client would write it. Such a request may go unanswered. */
  raw?: RawRequest;
}

export interface RawRequest {
  /** What is written, piece by piece. */
  pieces: (string | Buffer)[];
  /** Between two pieces. */
  pauseMs: number;
  /** Ends the connection after the last piece instead of waiting for an answer. */
  hangUp: boolean;
}

export type RequestBody = Omit<FuzzRequest, 'number' | 'kind'>;

export const plainHeaders = { 'content-type': 'application/json' };
