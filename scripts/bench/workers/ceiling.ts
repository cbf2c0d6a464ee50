import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { ApolloServer, HeaderMap } from '@apollo/server';
import { ApolloServerPluginLandingPageDisabled } from '@apollo/server/plugin/disabled';
import { buildSchema } from 'graphql';

import { type CeilingReply } from './requests';
import { serve } from './serve';

/**
 * The ceiling: what Apollo Server over Node's http does at most, when placing an order is to answer the same words every time. Its
 * own server and not our gateway, which, were it slow, would lower the ceiling and so flatter what is measured against it.
 */
async function start(): Promise<CeilingReply> {
  const apollo = new ApolloServer({ schema: bareSchema(), plugins: [ApolloServerPluginLandingPageDisabled()] });
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
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
  const httpGraphQLRequest = { method: 'POST', headers, search: '', body };
  const answered = await apollo.executeHTTPGraphQLRequest({ httpGraphQLRequest, context: () => Promise.resolve({}) });
  for (const [name, value] of answered.headers) response.setHeader(name, value);
  response.writeHead(answered.status ?? 200);
  response.end(answered.body.kind === 'complete' ? answered.body.string : '');
}

serve(start);
