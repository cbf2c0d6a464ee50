import { type FuzzRequest } from './request';

/** What came back; `status` 0 when the connection ended without an answer. */
export interface Answer {
  status: number;
  contentType: string;
  text: string;
  ms: number;
}

/** No request may take longer, whatever it asks. */
export const ANSWER_LIMIT_MS = 5_000;

/** What breaks a promise in this answer, in words; nothing when all is well. */
export function breaches(request: FuzzRequest, answer: Answer): string[] {
  const found: string[] = [];
  const patience = (request.raw?.pieces.length ?? 0) * (request.raw?.pauseMs ?? 0);
  if (answer.ms > ANSWER_LIMIT_MS + patience) found.push(`took ${Math.round(answer.ms)} ms`);
  if (answer.status === 0) return request.raw ? found : [...found, `no answer: ${answer.text}`];
  const json = parsed(answer.text);
  const codes = codesIn(json);
  if (codes.includes('INTERNAL')) found.push('INTERNAL, a fault of ours');
  if (answer.status >= 500 && !codes.includes('SERVICE_UNAVAILABLE')) found.push(`status ${answer.status}`);
  if (json === undefined && !isBelowGraphql(request, answer)) found.push(`no JSON: ${answer.contentType}`);
  const leak = leakIn(answer.text);
  if (leak) found.push(`says ${leak}`);
  return found;
}

/** The first of our insides that an answer shows, quoted. */
export function leakIn(text: string): string | undefined {
  const leak = leaks.find((pattern) => pattern.test(text));
  return leak && JSON.stringify(leak.exec(text)?.[0]);
}

/** What belongs into our log and never into an answer: stacks, SQL, files, the names of our libraries and their complaints. */
const leaks = [
  /\bat .*\(.*:\d+:\d+\)/,
  /\bat (?:async )?\S+:\d+:\d+/,
  /\bSELECT\s/,
  /\bINSERT\s/,
  /\bUPDATE "/,
  /\bpg_/,
  /relation \\?"/,
  /prisma/i,
  /node_modules|node:internal|\/src\/|\/dist\/|\.[jt]s:\d/,
  /\bE(?:CONN|PIPE|ACCES|NOENT)/,
  /amqplib|type-graphql|graphql-js|ApolloServer|\bzod\b/i,
  /TypeError|RangeError|ReferenceError|is not a function|is not iterable|Cannot read propert|Cannot convert|call stack/,
  /\[object \w+\]/,
  /postgres(?:ql)?:\/\/|amqp:\/\//,
];

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function codesIn(json: unknown): string[] {
  const { errors } = (json ?? {}) as { errors?: { extensions?: { code?: string } }[] };
  return Array.isArray(errors) ? errors.map((error) => error.extensions?.code ?? '') : [];
}

/** What is broken as HTTP is answered by HTTP, without a body, and an upgrade over WebSocket; pages, health and metrics speak for themselves. */
function isBelowGraphql({ raw, headers }: FuzzRequest, { status, text, contentType }: Answer): boolean {
  if (raw) return status === 101 || text === '' || contentType.startsWith('text/');
  return headers.accept?.includes('multipart') === true && status === 200;
}
