import { type GraphQLSchema } from 'graphql';

import { pick, seededRandom, type Random } from '../random';
import { hostileRequest } from './hostile';
import { validOperation, type Operation } from './operations';
import { plainHeaders, type FuzzRequest, type RequestBody, type RequestKind } from './request';
import { anyJson, chance, someBytes, wounded, type KnownValues } from './values';

export interface RequestOptions {
  seed: number;
  schema: GraphQLSchema;
  /** Filled as the run goes on: ids that answers told. */
  known: KnownValues;
  /** They take turns. */
  kinds?: readonly RequestKind[];
}

/** Two fifths each are valid and mutated, one is hostile. */
const everyKind: readonly RequestKind[] = ['valid', 'mutated', 'valid', 'mutated', 'hostile'];

/** The request of a number. Its randomness is its own. */
export function fuzzRequest(number: number, { seed, schema, known, kinds = everyKind }: RequestOptions): FuzzRequest {
  const random = seededRandom(seed * 7_919 + number * 104_729);
  const kind = kinds[number % kinds.length]!;
  const operation = validOperation({ schema, known, random });
  switch (kind) {
    case 'valid':
      return { number, kind, name: 'operation', headers: jsonHeaders(random), body: JSON.stringify(operation) };
    case 'mutated':
      return { number, kind, ...mutated(operation, known, random) };
    case 'hostile':
      return { number, kind, ...hostileRequest(operation, random) };
  }
}

/** Every tenth says more about itself, fit or unfit. */
function jsonHeaders(random: Random): Record<string, string> {
  if (!chance(0.1, random)) return plainHeaders;
  const more = pick(
    [
      { 'idempotency-key': `key-${Math.floor(random() * 50)}` },
      { 'idempotency-key': 'k'.repeat(201) },
      { 'idempotency-key': 'two words' },
      { 'x-request-id': '{"a":1}' },
      { 'x-request-id': 'x'.repeat(4_000) },
      { 'x-correlation-id': 'fuzz-correlation' },
      { accept: 'multipart/mixed' },
      { accept: 'text/html' },
      { accept: 'application/graphql-response+json' },
      { 'accept-encoding': 'gzip, br, \u00ff' },
      { 'content-type': 'Application/JSON; charset="UTF-8"' },
      { 'apollographql-client-name': '__proto__' },
    ] as Record<string, string>[],
    random,
  );
  return { ...plainHeaders, ...more };
}

function mutated(operation: Operation, known: KnownValues, random: Random): RequestBody {
  const { name, body } = pick(mutations, random)(operation, known, random);
  return { name, headers: jsonHeaders(random), body };
}

type Mutation = (operation: Operation, known: KnownValues, random: Random) => { name: string; body: string | Buffer };

const inDocument: Mutation = (operation, _known, random) => ({
  name: 'document',
  body: JSON.stringify({ ...operation, query: wounded(operation.query, random) }),
});

const mutations: Mutation[] = [
  inDocument,
  inDocument,
  inDocument,
  (operation, known, random) => {
    const names = [...Object.keys(operation.variables), 'extra'];
    const variables = { ...operation.variables, [pick(names, random)]: anyJson(4, known, random) };
    return { name: 'variable', body: JSON.stringify({ ...operation, variables }) };
  },
  (operation, known, random) => {
    const member = pick(['query', 'variables', 'operationName', 'extensions', '__proto__', 'constructor', 'id'], random);
    const envelope = { ...operation, [`${member}`]: anyJson(3, known, random) };
    return { name: 'envelope', body: JSON.stringify(envelope) };
  },
  (operation, _known, random) => ({ name: 'JSON', body: wounded(JSON.stringify(operation), random) }),
  (operation, _known, random) => {
    const bytes = Buffer.from(JSON.stringify(operation));
    someBytes(3, random).forEach((byte) => (bytes[Math.floor(random() * bytes.length)] = byte));
    return { name: 'bytes', body: bytes };
  },
  (operation) => ({ name: 'twice JSON', body: JSON.stringify(JSON.stringify(operation)) }),
];
