import { credentials, makeGenericClientConstructor, Metadata, status as statusCodes, type Client } from '@grpc/grpc-js';

import { grpcServices } from '../../src/gateway';
import { below, pick, seededRandom, type Random } from '../random';
import { ANSWER_LIMIT_MS, leakIn } from './judge';
import { keepSlowest, type Timed } from './slowest';
import { anInt, anyJson, aText, chance, learn, wounded, type KnownValues } from './values';
import { VIOLATIONS_MAX, type Violation } from './violation';

export interface DoorsAttack {
  /** Where the gateway serves plain HTTP, and gRPC. */
  url: string;
  grpcTarget: string;
  /** The header that the gateway knows us by. */
  authorization: string;
  seed: number;
  /** For each door. */
  calls: number;
  concurrency: number;
  known: KnownValues;
  signal: AbortSignal;
  onProgress: (calls: number) => void;
}

export interface DoorsOutcome {
  doors: Record<'grpc' | 'rest', { calls: number; accepted: number; refused: number }>;
  /** Each with the call that did it. */
  violations: Violation[];
  /** The slowest answers, slowest first. */
  slowest: Timed[];
  seconds: number;
}

/** How a call went: what breaks a promise in it, in words, and whether it was done. */
interface Fate {
  name: string;
  accepted: boolean;
  faults: string[];
  sample: string;
  /** What came back. */
  answer: string;
}

/**
 * Calls the doors beside GraphQL with what they take and with what they do not. Every call is answered in time, by what it asked for or
 * by what is wrong with it, without a word about our insides; over gRPC in headers that every client takes, on one connection for all.
 */
export async function attackDoors(attack: DoorsAttack): Promise<DoorsOutcome> {
  const outcome: DoorsOutcome = {
    doors: { grpc: { calls: 0, accepted: 0, refused: 0 }, rest: { calls: 0, accepted: 0, refused: 0 } },
    ...{ violations: [], slowest: [], seconds: 0 },
  };
  const startedAt = performance.now();
  const grpc = openGrpc(attack);
  const callAt = { grpc: grpc.call, rest: (random: Random) => callRest(attack, random) };
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < attack.calls * 2 && !attack.signal.aborted && outcome.violations.length < VIOLATIONS_MAX) {
      const number = next++;
      const door = number % 2 === 0 ? 'grpc' : 'rest';
      const sentAt = performance.now();
      const fate = await callAt[door](seededRandom(attack.seed * 6_151 + number * 31_337));
      note(outcome, { door, number, ms: performance.now() - sentAt, ...fate });
      if (fate.accepted) learn(attack.known, fate.answer);
      attack.onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: attack.concurrency }, work));
  grpc.close();
  return { ...outcome, seconds: (performance.now() - startedAt) / 1_000 };
}

function note(outcome: DoorsOutcome, call: Fate & { door: 'grpc' | 'rest'; number: number; ms: number }): void {
  const { door, number, ms, accepted, faults, sample, answer } = call;
  const where = `${door} ${number}: ${call.name}`;
  // An update waits for inventory as long as any answer may take.
  const late = ms > 2 * ANSWER_LIMIT_MS ? [`took ${Math.round(ms)} ms`] : [];
  outcome.doors[door].calls++;
  outcome.doors[door][accepted ? 'accepted' : 'refused']++;
  for (const what of [...faults, ...late])
    outcome.violations.push({ what, where, sample: `${sample}\n      answered ${answer.slice(0, 600)}` });
  keepSlowest(outcome.slowest, { name: `${door} ${call.name}`, number, ms });
}

type Unary = (
  message: object,
  metadata: Metadata,
  options: object,
  answered: (error: { code: number; details: string; metadata: Metadata } | null, answer?: object) => void,
) => void;

function openGrpc({ grpcTarget, authorization, known }: DoorsAttack) {
  const clients = Object.entries(grpcServices()).map(
    ([name, service]) =>
      [name, new (makeGenericClientConstructor(service, name))(grpcTarget, credentials.createInsecure())] as const,
  );
  const clientOf = (service: string) => clients.find(([name]) => name === service)![1];
  const call = (random: Random) => {
    const [method, make] = pick(grpcCalls, random);
    const message = make(known, random);
    const service = method.endsWith('Order') ? 'holdfast.v1.Orders' : 'holdfast.v1.Inventory';
    const metadata = new Metadata();
    metadata.set('authorization', authorization);
    return answered(clientOf(service), method, message, metadata);
  };
  return { call, close: () => clients.forEach(([, client]) => client.close()) };
}

function answered(client: Client, method: string, message: object, metadata: Metadata): Promise<Fate> {
  const unary = (client as unknown as Record<string, Unary>)[method]!.bind(client);
  const sample = JSON.stringify(message).slice(0, 500);
  return new Promise((resolve) => {
    unary(message, metadata, { deadline: Date.now() + 4 * ANSWER_LIMIT_MS }, (error, answer) => {
      if (!error) return resolve({ name: method, accepted: true, faults: [], sample, answer: JSON.stringify(answer) });
      const status = statusCodes[error.code]!;
      const faults = ownFaults.has(status) ? [status] : [];
      const headers = JSON.stringify(error.metadata.toHttp2Headers()).length + encodeURI(error.details).length;
      if (headers > HEADER_BYTES_MAX) faults.push(`a refusal of ${headers} bytes`);
      const leak = leakIn(error.details);
      if (leak) faults.push(`says ${leak}`);
      resolve({ name: method, accepted: false, faults, sample, answer: `${status}: ${error.details}` });
    });
  });
}

const HEADER_BYTES_MAX = 8_000;

/** None of these is the caller's doing. */
const ownFaults = new Set(['INTERNAL', 'UNKNOWN', 'UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED', 'DATA_LOSS']);

const grpcCalls: [string, (known: KnownValues, random: Random) => object][] = [
  ['PlaceOrder', (known, random) => ({ customerId: anyText(known, random), ...lines(known, random), ...extras(known, random) })],
  [
    'UpdateOrder',
    (known, random) => ({
      ...{ orderId: anyText(known, random), ...lines(known, random) },
      ...(chance(0.3, random) && { expectedVersion: anInt(known, random) }),
    }),
  ],
  ['CancelOrder', (known, random) => ({ orderId: anyText(known, random), message: anyText(known, random) })],
  ['GetOrder', (known, random) => ({ orderId: anyText(known, random) })],
  [
    'GetProduct',
    (known, random) => (chance(0.5, random) ? { sku: anyText(known, random) } : { productId: anInt(known, random) }),
  ],
  ['ListProducts', (known, random) => ({ pageSize: anInt(known, random), pageToken: anyText(known, random) })],
];

function lines(known: KnownValues, random: Random) {
  const count = pick([0, 1, 2, 3, 101, 2_000], random);
  // Thousands of endless texts would keep the attacker busy for seconds, and the gateway reads no more than its limit of them.
  const sku = () => (count > 3 ? aText(known, random).toWellFormed() : anyText(known, random));
  const line = () => ({
    ...(chance(0.5, random) ? { productId: anInt(known, random) } : { sku: sku() }),
    quantity: chance(0.7, random) ? 1 + below(3, random) : anInt(known, random),
  });
  const plain = () => ({ productId: pick(known.productIds, random), quantity: 1 });
  if (chance(0.3, random)) return { items: [plain()] };
  return { items: Array.from({ length: count }, chance(0.5, random) ? line : plain) };
}

function extras(known: KnownValues, random: Random) {
  return {
    ...(chance(0.3, random) && { idempotencyKey: anyText(known, random) }),
    ...(chance(0.3, random) && { payment: pick(['NONE', 'BALANCE', anyText(known, random)], random) }),
  };
}

/** Now and then as long as no text should be. */
function anyText(known: KnownValues, random: Random): string {
  return chance(0.1, random) ? pick(['x', 'é', '😀', '\u0000', '%'], random).repeat(40_000) : aText(known, random).toWellFormed();
}

async function callRest({ url, authorization, known }: DoorsAttack, random: Random): Promise<Fate> {
  const [method, path] = pick(restCalls, random)(known, random);
  const body = method === 'GET' ? undefined : restBody(known, random);
  const headers = { authorization, 'content-type': 'application/json' };
  const name = `${method} ${path.slice(0, 60)}`;
  const sample = (body ?? path).slice(0, 500);
  try {
    const response = await fetch(`${url}${path}`, { method, headers, body, redirect: 'manual' });
    const text = await response.text();
    return { name, accepted: response.ok, faults: restFaults(response.status, text), sample, answer: text };
  } catch (error) {
    return { name, accepted: false, faults: ['no answer'], sample, answer: String(error) };
  }
}

const restCalls: ((known: KnownValues, random: Random) => [method: string, path: string])[] = [
  () => ['POST', '/create_order'],
  () => ['POST', '/create_order'],
  (known, random) => ['GET', `/orders/${segment(known, random)}`],
  (known, random) => ['PATCH', `/orders/${segment(known, random)}`],
  (known, random) => ['GET', `/products?first=${segment(known, random)}&after=${segment(known, random)}`],
];

function segment(known: KnownValues, random: Random): string {
  return encodeURIComponent(aText(known, random).toWellFormed());
}

function restBody(known: KnownValues, random: Random): string {
  const good = { customerId: pick(known.customers, random), ...lines(known, random), ...extras(known, random) };
  if (chance(0.3, random)) return JSON.stringify(good);
  if (chance(0.4, random)) return wounded(JSON.stringify(good), random);
  const field = pick(['customerId', 'items', 'payment', 'idempotencyKey', 'expectedVersion', aText(known, random)], random);
  return JSON.stringify({ ...good, [field]: anyJson(3, known, random) });
}

function restFaults(status: number, text: string): string[] {
  const faults = status >= 500 ? [`status ${status}`] : [];
  const leak = leakIn(text);
  if (leak) faults.push(`says ${leak}`);
  try {
    JSON.parse(text);
  } catch {
    faults.push('no JSON');
  }
  return faults;
}
