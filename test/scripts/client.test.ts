import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';

import { createClient, type Client } from '../../scripts/simulate/client';

/** How the scripts' client takes what a gateway, or what stands in its place, can answer. */
let server: Server;
let client: Client;

/** A server that gives these answers, one after another and the last one for ever. */
async function answering(...answers: [status: number, body: string][]) {
  let turn = 0;
  server = createServer((request, response) => {
    const [status, body] = answers[Math.min(turn++, answers.length - 1)]!;
    request.resume().once('end', () => response.writeHead(status).end(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const urls = [`http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`];
  client = createClient({ urls, connections: 1, retryMs: 10_000 });
}

afterEach(async () => {
  await client.close();
  server.close();
});

const good: [number, string] = [200, '{ "data": { "yes": true } }'];

it.each<[string, [number, string]]>([
  ['a gateway that was frozen while the request came (408)', [408, '']],
  ['a limit (429)', [429, 'slow down']],
  ['a proxy without a gateway behind it (502)', [502, '<html>Bad gateway</html>']],
  ['a gateway without its database', [200, '{ "errors": [{ "extensions": { "code": "SERVICE_UNAVAILABLE" } }] }']],
])('asks again after %s', async (_, passing) => {
  await answering(passing, passing, good);
  await expect(client.ask('{ yes }')).resolves.toEqual({ yes: true });
  expect(client.retries()).toBe(2);
});

it.each<[string, [number, string], RegExp]>([
  ['what is refused', [400, '{ "errors": [{ "message": "no such field" }] }'], /no such field/],
  ['what does not speak GraphQL', [404, 'nothing here'], /answers 404, but not as GraphQL does/],
])('does not ask again after %s', async (_, answer, words) => {
  await answering(answer, good);
  await expect(client.ask('{ yes }')).rejects.toThrow(words);
  expect(client.retries()).toBe(0);
});
