import { buildClientSchema, getIntrospectionQuery, type GraphQLSchema, type IntrospectionQuery } from 'graphql';

import { breaches, type Answer } from './judge';
import { requestKinds, type FuzzRequest, type RequestKind } from './request';
import { fuzzRequest } from './requests';
import { createSender } from './send';
import { keepSlowest, type Timed } from './slowest';
import { learn, type KnownValues } from './values';
import { VIOLATIONS_MAX, type Violation } from './violation';

export interface GraphqlAttack {
  url: string;
  /** The header that the gateway knows us by. */
  authorization: string;
  /** Where `url` says whether it is well. */
  healthUrl: string;
  schema: GraphQLSchema;
  seed: number;
  /** Every kind in its share, unless some are chosen. */
  kinds?: readonly RequestKind[];
  requests: number;
  concurrency: number;
  known: KnownValues;
  signal: AbortSignal;
  onProgress: (requests: number) => void;
}

export interface GraphqlOutcome {
  kinds: Record<RequestKind, { requests: number; accepted: number; refused: number }>;
  /** How many of the refused had asked too often; a customer does so. */
  rateLimited: number;
  /** Each with the request that did it, so that it can be sent again. */
  violations: Violation[];
  /** The slowest answers, slowest first. */
  slowest: Timed[];
  /** The slowest of those that a whole request was refused with: what comes in pieces takes its sender's time. */
  slowestRefusals: Timed[];
  /** The longest that the gateway was silent for a look at its health: how long one request held up all others. */
  silenceMs: number;
  seconds: number;
}

/** Sends the requests of a seed, several at a time, and holds every answer against what an answer must be. */
export async function attackGraphql(attack: GraphqlAttack): Promise<GraphqlOutcome> {
  const { requests, concurrency, signal } = attack;
  const outcome = newOutcome();
  const sender = createSender(attack.url, concurrency, attack.authorization);
  const probe = startProbe(attack.healthUrl, outcome);
  const startedAt = performance.now();
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < requests && !signal.aborted && outcome.violations.length < VIOLATIONS_MAX) {
      const request = fuzzRequest(next++, attack);
      const answer = await sender.send(request);
      note(outcome, request, answer);
      if (request.kind === 'valid') learn(attack.known, answer.text);
      attack.onProgress(++done);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  await probe.stop();
  await sender.close();
  return { ...outcome, seconds: (performance.now() - startedAt) / 1_000 };
}

/** The schema that a gateway serves, as it says itself. */
export async function schemaOf(url: string): Promise<GraphQLSchema> {
  const body = JSON.stringify({ query: getIntrospectionQuery() });
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { data } = (await response.json()) as { data: IntrospectionQuery };
  return buildClientSchema(data);
}

const PROBE_EVERY_MS = 250;

function newOutcome(): GraphqlOutcome {
  const kinds = Object.fromEntries(requestKinds.map((kind) => [kind, { requests: 0, accepted: 0, refused: 0 }]));
  return {
    kinds: kinds as GraphqlOutcome['kinds'],
    rateLimited: 0,
    violations: [],
    slowest: [],
    slowestRefusals: [],
    silenceMs: 0,
    seconds: 0,
  };
}

function note(outcome: GraphqlOutcome, request: FuzzRequest, answer: Answer): void {
  const { kinds, violations, slowest, slowestRefusals } = outcome;
  const counts = kinds[request.kind];
  const isAccepted = answer.text.startsWith('{"data"');
  counts.requests++;
  counts[isAccepted ? 'accepted' : 'refused']++;
  if (answer.status === 429) outcome.rateLimited++;
  const where = `${request.kind} ${request.number}: ${request.name}`;
  for (const what of breaches(request, answer)) violations.push({ what, where, sample: sampleOf(request, answer) });
  const timed = { name: request.name, number: request.number, ms: answer.ms };
  keepSlowest(slowest, timed);
  if (!isAccepted && !request.raw) keepSlowest(slowestRefusals, timed);
}

function sampleOf({ raw, body }: FuzzRequest, { text }: Answer): string {
  const sent = raw ? raw.pieces.join('') : body.toString();
  return `${sent.slice(0, 1_500)}\n      answered ${text.slice(0, 600)}`;
}

/** Asks for health all the while: one process answers all, so its longest silence is the longest block. */
function startProbe(url: string, outcome: GraphqlOutcome) {
  let isOver = false;
  const running = (async () => {
    while (!isOver) {
      const startedAt = performance.now();
      const trouble = await fetch(url, { signal: AbortSignal.timeout(30_000) })
        .then(async (response) => (await response.text(), response.ok ? undefined : `status ${response.status}`))
        .catch((error: unknown) => String(error));
      outcome.silenceMs = Math.max(outcome.silenceMs, Math.round(performance.now() - startedAt));
      if (trouble) outcome.violations.push({ what: `the gateway is not well: ${trouble}`, where: 'health', sample: '' });
      await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS));
    }
  })();
  return {
    stop: () => {
      isOver = true;
      return running;
    },
  };
}
