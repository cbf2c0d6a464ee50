import { Agent, request } from 'undici';

import { type Channel, type Outcome, type Parcel } from './channel';
import { isPublicAddress, lookupPublic } from './publicAddress';
import { signatureOf } from './signature';

export interface WebhookOptions {
  timeoutMs: number;
  /** Connections to one receiver at most. */
  connectionsMax: number;
  /** Refuse plain http. */
  httpsOnly: boolean;
  /** Allow addresses of this machine and of private networks, such as a receiver beside us in a cluster. */
  privateNetworks: boolean;
}

/**
 * POSTs the event to a URL of the customer's, signed after Standard Webhooks. Any 2xx is a receipt. Whoever chooses a URL must not
 * reach through us what only we can reach: no redirect is followed, and the address that a name resolves to is looked at when it
 * is connected to, so that a name which changes its mind after the check gains nothing.
 */
export function createWebhookChannel(options: WebhookOptions): Channel {
  const { timeoutMs, connectionsMax: connections, privateNetworks } = options;
  const connect = { timeout: timeoutMs, ...(privateNetworks ? {} : { lookup: lookupPublic }) };
  const agent = new Agent({ connections, connect, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, keepAliveTimeout: 4_000 });
  return {
    send: (parcel) => post(agent, parcel, options).catch((error: unknown) => failed(error, timeoutMs)),
    problemWith: (target) => problemWith(target, options),
    receiverOf: (target) => new URL(target).host,
    // Not `close`: that would wait for whoever never answers.
    close: () => agent.destroy(),
  };
}

async function post(agent: Agent, parcel: Parcel, options: WebhookOptions): Promise<Outcome> {
  // Looked at again at each attempt: what may be called is ours to change.
  const problem = problemWith(parcel.target, options);
  if (problem !== undefined) return { type: 'failed', error: `The URL ${problem}`, hopeless: true };
  const signal = AbortSignal.timeout(options.timeoutMs);
  const { statusCode: status, body } = await request(parcel.target, {
    dispatcher: agent,
    method: 'POST',
    headers: headersOf(parcel),
    body: parcel.body,
    signal,
  });
  // Read to keep the connection, and only so far: what it says is of no interest, and may be without end.
  await body.dump({ limit: ANSWER_BYTES_MAX, signal }).catch(() => undefined);
  if (status >= 200 && status < 300) return { type: 'delivered', status };
  return { type: 'failed', status, error: whyRefused(status), hopeless: status === GONE };
}

const ANSWER_BYTES_MAX = 16_384;

/** The receiver says that it wants nothing more, ever. */
const GONE = 410;

function headersOf({ eventId, body, secret, at, correlationId }: Parcel): Record<string, string> {
  const timestamp = Math.floor(at.getTime() / 1000);
  return {
    'content-type': 'application/json',
    'user-agent': 'holdfast',
    'webhook-id': eventId,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatureOf(secret ?? '', eventId, timestamp, body),
    'x-correlation-id': encodeURIComponent(correlationId.toWellFormed()),
  };
}

function whyRefused(status: number): string {
  if (status === GONE) return 'It answered 410: it wants nothing more';
  if (status >= 300 && status < 400) return `It answered ${status}: redirects are not followed`;
  return `It answered ${status}`;
}

function problemWith(target: string, { httpsOnly, privateNetworks }: WebhookOptions): string | undefined {
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) return 'must be one that begins with https://';
  if (httpsOnly && url.protocol !== 'https:') return 'must begin with https://';
  if (url.username || url.password) return 'must hold no password: what we send is signed with the secret';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!privateNetworks && !isPublicAddress(host)) return 'must not lead to this machine or into a private network';
  return undefined;
}

function failed(error: unknown, timeoutMs: number): Outcome {
  const { name, code, message } = error as Error & { code?: string };
  const isLate = name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT';
  if (isLate) return { type: 'failed', error: `No answer within ${timeoutMs / 1000} s` };
  const inner = error instanceof AggregateError ? error.errors.map((one) => (one as Error).message).join('; ') : '';
  return { type: 'failed', error: message || inner || String(code ?? name) };
}
