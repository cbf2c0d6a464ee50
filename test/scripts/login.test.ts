import { tokenFor } from '../../scripts/login';

/** A command signs itself an operator's token, which must not leave this machine (S2.21). */
const before = process.env;
beforeEach(() => (process.env = { ...before, AUTH_SECRET: 'a-secret-for-tests-of-more-than-32-characters' }));
afterEach(() => (process.env = before));

it.each([
  'http://localhost:4000/graphql',
  'http://127.0.0.1:4000/graphql',
  'http://[::1]:4000',
  '127.0.0.1:50052',
  'localhost:1',
])('shows a token of its own to %s', async (address) => expect(await tokenFor([address])).toMatch(/^ey/));

it.each([
  'https://shop.example/graphql',
  'http://localhost.example/graphql',
  'http://127.0.0.1.example/graphql',
  'http://127.0.0.1@shop.example/graphql',
  'shop.example:50052',
  'dns:///shop.example:50052',
  'no address',
])('shows none to %s, unless it was given one for it', async (address) => {
  expect(await tokenFor([address])).toBeUndefined();
  expect(await tokenFor(['http://localhost:4000', address])).toBeUndefined();
  process.env.HOLDFAST_TOKEN = 'given';
  expect(await tokenFor([address])).toBe('given');
});
