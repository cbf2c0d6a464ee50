import { Pool } from 'undici';

import { Ending, exitCodes, outOfReach } from '../exit';
import { loginMissing, tokenFor } from '../login';

/** Talks GraphQL to a gateway, or to several in turn, over kept-alive connections. */
export interface Client {
  /**
   * The data of an operation. What a gateway that restarts or was halted brings (a broken connection, 408, 429, 5xx,
   * SERVICE_UNAVAILABLE) is tried again until `retryMs` have passed, then ends the script as out of reach. Only for what is safe to repeat.
   * Throws RefusedRequest for an answer that trying again would not change.
   */
  ask<Data>(query: string, variables?: Record<string, unknown>, retryMs?: number): Promise<Data>;
  /** How often something was asked again. */
  retries(): number;
  close(): Promise<void>;
}

export interface ClientOptions {
  /** One or more gateways: each attempt goes to the next. */
  urls: readonly string[];
  connections: number;
  retryMs: number;
  /** The token that is shown; the command's own unless given. */
  login?: () => Promise<string | undefined>;
  /** Aborted: nothing is tried again. */
  signal?: AbortSignal;
}

/** The gateway understood and said no. */
export class RefusedRequest extends Error {
  override name = 'RefusedRequest';
}

export function createClient(options: ClientOptions): Client {
  const { urls, connections, retryMs: defaultRetryMs, login = () => tokenFor(urls), signal } = options;
  const gateways = urls.map((url) => gatewayAt(url, connections));
  let retries = 0;
  let turn = 0;
  let headers: Promise<Record<string, string>> | undefined;

  async function ask<Data>(query: string, variables: Record<string, unknown> = {}, retryMs = defaultRetryMs): Promise<Data> {
    const body = JSON.stringify({ query, variables });
    const deadline = performance.now() + retryMs;
    for (let attempt = 1; ; attempt++) {
      const gateway = gateways[turn++ % gateways.length]!;
      const answer = await post<Data>(gateway, body).catch((error: unknown) => ({ trouble: messageOf(error) }));
      if (!('trouble' in answer)) return answer.data;
      if (signal?.aborted) throw new Ending(exitCodes.interrupted, 'interrupted.');
      if (performance.now() >= deadline)
        throw outOfReach(
          `Holdfast at ${urls.join(' and ')} is out of reach: ${answer.trouble}. Start it (npm start), or give its address with --url.`,
        );
      retries++;
      await new Promise((resolve) => setTimeout(resolve, Math.min(50 * 2 ** Math.min(attempt, 6), 2_000)));
    }
  }

  async function post<Data>({ url, pool, path }: Gateway, body: string): Promise<{ data: Data } | { trouble: string }> {
    headers ??= login().then(headersWith);
    const response = await pool.request({ method: 'POST', path, headers: await headers, body });
    const text = await response.body.text();
    const { data, errors } = parse<Data>(text, response.statusCode, url);
    const fault = errors?.find((error) => transient.includes(error.extensions?.code ?? ''));
    if (fault || isPassing(response.statusCode)) return { trouble: fault?.message ?? `it answers ${response.statusCode}` };
    if (errors) throw new RefusedRequest(sentenceOf(errors[0] ?? {}));
    return { data: data as Data };
  }

  const close = async () => void (await Promise.all(gateways.map(({ pool }) => pool.close())));
  return { ask, retries: () => retries, close };
}

function headersWith(token: string | undefined): Record<string, string> {
  const json = { 'content-type': 'application/json' };
  return token === undefined ? json : { ...json, authorization: `Bearer ${token}` };
}

function sentenceOf({ message = 'refused without a reason', extensions }: GraphqlFault): string {
  return extensions?.code === 'UNAUTHENTICATED' ? `${message} ${loginMissing}` : message;
}

interface Gateway {
  url: string;
  path: string;
  pool: Pool;
}

function gatewayAt(url: string, connections: number): Gateway {
  const { origin, pathname, search } = new URL(url);
  const pool = new Pool(origin, { connections, headersTimeout: 30_000, bodyTimeout: 30_000, connectTimeout: 5_000 });
  return { url, path: pathname + search, pool };
}

/** 408: a gateway that was frozen finds requests overdue that it had no time to read. */
const isPassing = (status: number) => status === 408 || status === 429 || status >= 500;

const transient = ['SERVICE_UNAVAILABLE', 'INTERNAL', 'RATE_LIMITED'];

interface GraphqlAnswer<Data> {
  data?: Data | null;
  errors?: GraphqlFault[];
}

interface GraphqlFault {
  message?: string;
  extensions?: { code?: string };
}

function parse<Data>(text: string, status: number, url: string): GraphqlAnswer<Data> {
  try {
    const answer = JSON.parse(text) as GraphqlAnswer<Data> | null;
    if (answer && (answer.data !== undefined || Array.isArray(answer.errors))) return answer;
  } catch {
    // Said below: not JSON is no GraphQL either.
  }
  if (isPassing(status)) return {};
  throw outOfReach(`${url} answers ${status}, but not as GraphQL does. Is it Holdfast's /graphql?`);
}

function messageOf(error: unknown): string {
  if (error instanceof Ending || error instanceof RefusedRequest) throw error;
  const { message, code } = error as { message?: string; code?: string };
  return message ? message : (code ?? String(error));
}
