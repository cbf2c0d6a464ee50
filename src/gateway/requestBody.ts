import { isUtf8 } from 'node:buffer';
import { type IncomingMessage, type ServerResponse } from 'node:http';
import { REFUSED_POINTS, type Charge } from './admission';
import { type Problem, problemBody } from './respond';

/** A request that is refused before GraphQL sees it. */
export class Refusal extends Error {
  readonly problem: Omit<Problem, 'requestId' | 'message'>;

  constructor(message: string, problem: Omit<Problem, 'requestId' | 'message'>) {
    super(message);
    this.name = 'Refusal';
    this.problem = problem;
  }
}

/**
 * The JSON body of a request. Rejects with a Refusal: 413 over the limit, 415 for another content type or encoding, 400 for
 * what is not JSON; and counts that. Rejects with ClientGone when the client left while sending.
 */
export async function readJson(
  request: IncomingMessage,
  response: ServerResponse,
  { bodyLimitBytes, charge }: { bodyLimitBytes: number; charge?: Charge },
): Promise<unknown> {
  try {
    return await read(request, response, bodyLimitBytes);
  } catch (error) {
    if (error instanceof Refusal) charge?.(REFUSED_POINTS);
    throw error;
  }
}

async function read(request: IncomingMessage, response: ServerResponse, limitBytes: number): Promise<unknown> {
  refuseOtherTypes(request);
  if (Number(request.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes);
  if (request.headers.expect !== undefined) response.writeContinue();
  const body = await readBytes(request, limitBytes);
  if (!isUtf8(body)) throw badRequest('The request body is not valid UTF-8: send JSON in UTF-8.');
  if (isDeeperThan(depthMax, body)) throw badRequest(`The JSON is nested more than ${depthMax} levels deep.`);
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw badRequest(`The request body is not valid JSON: ${shortened((error as Error).message)}`);
  }
}

/** The client closed the connection before its request was complete; there is nobody to answer. */
export class ClientGone extends Error {
  constructor() {
    super('The client went away before its request was complete.');
    this.name = 'ClientGone';
  }
}

/**
 * Answers a request whose body was not read to its end. The answer goes out at once; then the rest is read and thrown away,
 * because closing a connection on data that is still coming destroys the answer on its way. Who sends far too much is cut off.
 */
export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  problem: Problem,
  written: (problem: Problem) => { type: string; body: object } = asGraphqlErrors,
): void {
  const { type, body } = written(problem);
  const text = `${JSON.stringify(body)}\n`;
  const length = Buffer.byteLength(text);
  response.writeHead(problem.status, {
    'content-type': type,
    'content-length': length,
    'cache-control': 'no-store',
    ...problem.headers,
  });
  // Nobody sends the body after an answer other than 100: there is nothing to wait for.
  if (request.complete || request.headers.expect !== undefined) {
    response.end(text);
    return;
  }
  response.write(text);
  discard(request, () => response.end());
}

function asGraphqlErrors(problem: Problem) {
  return { type: 'application/json; charset=utf-8', body: problemBody(problem) };
}

const discardedBytesMax = 32 * 1024 * 1024;

function discard(request: IncomingMessage, onEnd: () => void): void {
  let discardedBytes = 0;
  request.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.length;
    if (discardedBytes > discardedBytesMax) request.destroy();
  });
  request.on('end', onEnd);
  request.resume();
}

function refuseOtherTypes(request: IncomingMessage): void {
  if (request.headers['content-type'] === 'application/json' && request.headers['content-encoding'] === undefined) return;
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
  if (type.trim() !== 'application/json') {
    throw unsupported(`Send the request with content-type: application/json, not ${shortened(type.trim()) || 'without one'}.`);
  }
  const charset = parameters.map((parameter) => /^\s*charset="?([^"]*)"?\s*$/.exec(parameter)?.[1]).find(Boolean);
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8') {
    throw unsupported(`Send the JSON in UTF-8, not ${shortened(charset)}.`);
  }
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw unsupported(`Send the body as it is: content-encoding ${shortened(encoding)} is not read here.`);
}

function readBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    request.on('data', (chunk: Buffer) => {
      receivedBytes += chunk.length;
      if (receivedBytes <= limitBytes) chunks.push(chunk);
      else reject(tooLarge(limitBytes));
    });
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)));
    // A broken connection ends in 'close' too; so does a whole request, for which building an error would cost a tenth of our speed.
    request.on('error', () => undefined);
    request.on('close', () => request.complete || reject(new ClientGone()));
  });
}

/** Everyone who walks the values later does so by recursion, and would end in the stack's overflow instead of an answer. */
const depthMax = 100;

/** Looks at brackets alone, outside of texts; in UTF-8 no other character has their bytes. */
function isDeeperThan(limit: number, json: Buffer): boolean {
  let depth = 0;
  let isText = false;
  for (let index = 0; index < json.length; index++) {
    const byte = json[index];
    if (byte === quote) isText = !isText;
    else if (byte === backslash && isText) index++;
    else if (isText) continue;
    else if (byte === openBracket || byte === openBrace) depth++;
    else if (byte === closeBracket || byte === closeBrace) depth--;
    if (depth > limit) return true;
  }
  return false;
}

const [quote, backslash, openBracket, openBrace, closeBracket, closeBrace] = Buffer.from('"\\[{]}');

function tooLarge(limitBytes: number): Refusal {
  const message = `The request body is larger than ${limitBytes} bytes: send fewer items in one request.`;
  return new Refusal(message, { status: 413, code: 'PAYLOAD_TOO_LARGE', details: { limitBytes } });
}

function unsupported(message: string): Refusal {
  return new Refusal(message, { status: 415, code: 'BAD_USER_INPUT', headers: { 'accept-post': 'application/json' } });
}

function badRequest(message: string): Refusal {
  return new Refusal(message, { status: 400, code: 'BAD_USER_INPUT' });
}

function shortened(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 120)}…`;
}
