import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { ApolloServer, HeaderMap } from '@apollo/server';
import { ApolloServerPluginCacheControlDisabled, ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { buildSchema } from 'graphql';

import { type CeilingReply } from './requests';
import { serve } from './serve';

/**
 * The ceiling: what Apollo Server over Node's http does at most, when placing an order is to answer the same words every time. Its
 * own server and not our gateway, which, were it slow, would lower the ceiling and so flatter what is measured against it; and nothing
 * in it that the gateway's own door does without, for the same reason.
 */
async function start(): Promise<CeilingReply> {
  const plugins = [ApolloServerPluginLandingPageDisabled(), ApolloServerPluginCacheControlDisabled()];
  const apollo = new ApolloServer({ schema: bareSchema(), plugins });
  await apollo.start();
  const server = createServer((request, response) => void answer(apollo, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql` };
}

/** The committed schema, so that the same document is parsed, validated and executed against the same types. */
function bareSchema() {
  const schema = buildSchema(readFileSync(above(__dirname, 'schema.graphql'), 'utf8'));
  schema.getMutationType()!.getFields()['createOrder']!.resolve = () => order;
  return schema;
}

/** Found from the sources as from what is built of them. */
function above(folder: string, name: string): string {
  const path = join(folder, name);
  if (existsSync(path)) return path;
  if (dirname(folder) === folder) throw new Error(`${name} is in no folder above ${__dirname}: run the bench from a checkout.`);
  return above(dirname(folder), name);
}

const order = {
  __typename: 'Order',
  id: 'ORD-01900000-0000-7000-8000-000000000000',
  status: 'PENDING',
  version: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  message: 'Order received. Inventory check in progress.',
};

async function answer(apollo: ApolloServer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
  const body: unknown = JSON.parse((await bodyOf(request)).toString());
  const httpGraphQLRequest = { method: 'POST', headers, search: '', body };
  const answered = await apollo.executeHTTPGraphQLRequest({ httpGraphQLRequest, context: () => Promise.resolve({}) });
  const text = answered.body.kind === 'complete' ? answered.body.string : '';
  for (const [name, value] of answered.headers) response.setHeader(name, value);
  // Without its length, which Apollo does not say, Node would send the answer in chunks.
  response.writeHead(answered.status ?? 200, { 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** By events: an iterator over the request takes several promises and a stream's end more. */
function bodyOf(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
    request.once('error', reject);
  });
}

serve(start);
