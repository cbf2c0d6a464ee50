import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import { Pool } from 'undici';

import { type Answer } from './judge';
import { type FuzzRequest, type RawRequest } from './request';

/** Sends requests to one gateway, well-formed ones over kept-alive connections and the others over their own. */
export interface Sender {
  send(request: FuzzRequest): Promise<Answer>;
  close(): Promise<void>;
}

export function createSender(url: string, connections: number, authorization: string): Sender {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections, headersTimeout: GIVE_UP_MS, bodyTimeout: GIVE_UP_MS });

  async function post({ headers, body }: FuzzRequest): Promise<Omit<Answer, 'ms'>> {
    const response = await pool.request({ method: 'POST', path: pathname, headers: { authorization, ...headers }, body });
    const text = await response.body.text();
    return { status: response.statusCode, contentType: String(response.headers['content-type'] ?? ''), text };
  }

  return {
    async send(request) {
      const startedAt = performance.now();
      const answer = await (request.raw ? write(new URL(url), request.raw) : post(request)).catch(unanswered);
      return { ...answer, ms: performance.now() - startedAt };
    },
    close: () => pool.destroy(),
  };
}

/** Longer than any answer may take, so that a late one is seen to be late. */
const GIVE_UP_MS = 30_000;

/** A raw request that waits for an answer which HTTP does not owe it, is given up after so long. */
const RAW_SILENCE_MS = 700;

function unanswered(error: unknown): Omit<Answer, 'ms'> {
  return { status: 0, contentType: '', text: (error as Error).message };
}

async function write({ hostname, port }: URL, { pieces, pauseMs, hangUp }: RawRequest): Promise<Omit<Answer, 'ms'>> {
  const socket = connect({ host: hostname, port: Number(port) });
  let text = '';
  let lastAt = performance.now();
  let isOver = false;
  socket.setEncoding('utf8').on('data', (more: string) => {
    text += more;
    lastAt = performance.now();
  });
  socket.on('error', () => (isOver = true)).on('close', () => (isOver = true));
  for (const piece of pieces) {
    if (!isOver) socket.write(piece);
    await delay(pauseMs);
  }
  if (hangUp) socket.end();
  while (!isOver && performance.now() - lastAt < RAW_SILENCE_MS) await delay(20);
  socket.destroy();
  return asAnswer(text);
}

/** The last answer on the connection, for `100 Continue` may come before it. */
function asAnswer(text: string): Omit<Answer, 'ms'> {
  const start = text.lastIndexOf('HTTP/1.1 ');
  if (start === -1) return { status: 0, contentType: '', text };
  const end = text.indexOf('\r\n\r\n', start);
  const head = text.slice(start, end);
  const contentType = /^content-type: (.*)$/im.exec(head)?.[1]?.trim() ?? '';
  return { status: Number(head.slice(9, 12)), contentType, text: text.slice(end + 4) };
}
