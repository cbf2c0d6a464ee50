import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { developmentIdentity } from '../../src/identity';
import { runProgram } from '../scripts/program';
import { startHoldfast, type HoldfastProcess } from '../support/holdfastProcess';

/** What whoever starts Holdfast for the first time needs to know of tokens: nothing. And what production needs: a configuration. */
let folder: string;
let holdfast: HoldfastProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-identity-'));
  holdfast = startHoldfast({ HOLDFAST_DATA: join(folder, 'data') });
  await holdfast.url();
});
afterAll(async () => {
  await holdfast.end('SIGTERM');
  await rm(folder, { recursive: true, force: true });
});

async function ask(query: string, authorization?: string) {
  const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) };
  const init = { method: 'POST', headers, body: JSON.stringify({ query }) };
  return (await fetch(`${await holdfast.url()}/graphql`, init)).text();
}
const order =
  'mutation { createOrder(input: { customerId: "CUST-1", items: [{ sku: "MUG-BLUE", quantity: 1 }] }) { __typename } }';
const token = async (...args: string[]) =>
  (await runProgram('scripts/token.ts', args, { HOLDFAST_DATA: join(folder, 'data') })).stdout.trim();

it('those who start at the same instant on a new folder have one secret', async () => {
  for (let round = 0; round < 20; round++) {
    const data = join(folder, `raced-${round}`);
    const made = await Promise.all(Array.from({ length: 4 }, () => developmentIdentity(data)));
    expect(new Set(made.map(({ key }) => JSON.stringify(key))).size).toBe(1);
  }
});

describe('the first start, in development (S2.21)', () => {
  it('makes a secret that its owner alone can read, and lets nobody do anything without a token', async () => {
    expect((await stat(join(folder, 'data', 'development-secret'))).mode & 0o777).toBe(0o600);
    expect(await ask(order)).toContain('"UNAUTHENTICATED"');
    expect(await ask('{ products { nodes { sku } } }')).toContain('MUG-BLUE');
  });

  it('gives the playground a token that its first mutation works with', async () => {
    const page = await (await fetch(`${await holdfast.url()}/graphql`, { headers: { accept: 'text/html' } })).text();
    const login = /id="login">(.*?)<\/script>/.exec(page)![1]!;
    expect(await ask(order, (JSON.parse(login) as { authorization: string }).authorization)).toContain('"Order"');
  });

  it('npm run token prints a token for each role', async () => {
    expect(await ask('{ deadLetterCounts { queue } }', `Bearer ${await token()}`)).toContain('"data"');
    expect(await ask('{ deadLetterCounts { queue } }', `Bearer ${await token('--role', 'service')}`)).toContain('"FORBIDDEN"');
    const customer = `Bearer ${await token('--role', 'customer', '--name', 'CUST-1')}`;
    expect(await ask(order, customer)).toContain('"Order"');
    expect(await ask(order.replace('CUST-1', 'CUST-2'), customer)).toContain('"FORBIDDEN"');
  });
});

it('npm run token says what is missing where there is nothing to sign with', async () => {
  const { code, stderr } = await runProgram('scripts/token.ts', [], { HOLDFAST_DATA: join(folder, 'nothing') });
  expect([code, stderr]).toEqual([1, expect.stringContaining('AUTH_SECRET')]);
});

it('production does not start without a configuration, and says which settings are missing (S2.21)', async () => {
  const refused = startHoldfast({ NODE_ENV: 'production', HOLDFAST_DATA: join(folder, 'production') });
  expect(await refused.ended).toBe(64);
  for (const name of ['AUTH_SECRET', 'AUTH_JWKS_URL']) expect(refused.complaints()).toContain(name);
});
