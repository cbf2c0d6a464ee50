import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from 'jose';

import { createIdentity, TokenRefused, type IdentitySettings } from '../../src/identity';
import { Unavailable } from '../../src/observability';

const secret = 'a-secret-for-tests-of-more-than-32-characters';
const settings: IdentitySettings = {
  ...{ key: { secret }, algorithm: 'HS256', issuer: 'the-issuer', audience: 'the-shop', roleClaim: 'role' },
};
const claims = { iss: 'the-issuer', aud: 'the-shop', sub: 'CUST-1', role: 'customer' };

async function signed(more: JWTPayload = {}, { key = secret, alg = 'HS256' } = {}): Promise<string> {
  const payload = { ...claims, exp: seconds() + 600, ...more };
  return new SignJWT(payload).setProtectedHeader({ alg }).sign(new TextEncoder().encode(key));
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000);
}

describe('a token that is good', () => {
  it.each([
    [{}, { role: 'customer', customerId: 'CUST-1' }],
    [
      { sub: 'ann', role: 'operator' },
      { role: 'operator', name: 'ann' },
    ],
    [
      { sub: 'shop-front', role: ['somewhere-else', 'service'] },
      { role: 'service', name: 'shop-front' },
    ],
    [{ aud: ['other', 'the-shop'] }, { role: 'customer', customerId: 'CUST-1' }],
  ])('names the caller: %j', async (more, caller) => {
    expect(await createIdentity(settings).callerOf(await signed(more))).toMatchObject(caller);
  });

  it('names the caller still when it ended three seconds ago, as clocks differ', async () => {
    const token = await signed({ exp: seconds() - 3 });
    expect(await createIdentity(settings).callerOf(token)).toMatchObject({ role: 'customer', customerId: 'CUST-1' });
  });
});

describe('a token that is not good (S2.21)', () => {
  const unsigned = new UnsecuredJWT({ ...claims, exp: seconds() + 600 }).encode();
  const tampered = async () => {
    const [header, , signature] = (await signed()).split('.');
    const payload = Buffer.from(JSON.stringify({ ...claims, role: 'operator', exp: seconds() + 600 })).toString('base64url');
    return [header, payload, signature].join('.');
  };
  it.each<[string, () => string | Promise<string>, string]>([
    ['alg none', () => unsigned, 'not good here'],
    ['another algorithm', () => signed({}, { alg: 'HS512' }), 'not good here'],
    ['another key', () => signed({}, { key: `${secret}.` }), 'not good here'],
    ['another payload than was signed', tampered, 'not good here'],
    ['expired', () => signed({ exp: seconds() - 10 }), 'expired'],
    ['no expiry', () => signed({ exp: undefined }), '`exp`'],
    ['not yet', () => signed({ nbf: seconds() + 60 }), '`nbf`'],
    ['another issuer', () => signed({ iss: 'somebody' }), '`iss`'],
    ['no issuer', () => signed({ iss: undefined }), '`iss`'],
    ['another audience', () => signed({ aud: 'another-shop' }), '`aud`'],
    ['no audience', () => signed({ aud: undefined }), '`aud`'],
    ['no subject', () => signed({ sub: undefined }), '`sub`'],
    ['an empty subject', () => signed({ sub: '' }), '`sub`'],
    ['a subject with NUL', () => signed({ sub: 'CUST\u0000' }), '`sub`'],
    ['a subject that is a number', () => signed({ sub: 42 as never }), '`sub`'],
    ['a subject that is a list', () => signed({ sub: ['CUST-1'] as never }), '`sub`'],
    ['half a character', () => signed({ sub: '\ud800' }), '`sub`'],
    ['no role', () => signed({ role: undefined }), '`role`'],
    ['a role we do not know', () => signed({ role: 'admin' }), '`role`'],
    ['two roles', () => signed({ role: ['customer', 'operator'] }), '`role`'],
    ['garbage', () => 'garbage', 'not good here'],
    ['three dots', () => '...', 'not good here'],
    ['100 KB', () => `${'x'.repeat(100_000)}`, '8192'],
  ])('is refused: %s', async (_name, token, message) => {
    const identity = createIdentity(settings);
    const asked = (async () => identity.callerOf(await token()))();
    await expect(asked).rejects.toThrow(TokenRefused);
    await expect(asked).rejects.toThrow(message);
  });
});

describe('a token may be as old as is configured', () => {
  const hour = { ...settings, ageMaxSeconds: 3_600 };
  it('counts from its `iat`, whatever end it has, also when it was checked before', async () => {
    let now = Date.now();
    const identity = createIdentity({ ...hour, now: () => now });
    const signedAt = Math.floor(now / 1_000);
    const token = await signed({ iat: signedAt, exp: signedAt + 1_000_000 });
    expect(await identity.callerOf(token)).toMatchObject({ until: signedAt * 1_000 + 3_600_000 });
    now += 3_590_000;
    expect(await identity.callerOf(token)).toMatchObject({ customerId: 'CUST-1' });
    now += 20_000;
    await expect(async () => identity.callerOf(token)).rejects.toThrow('expired');
  });

  it('must say when it was signed', async () => {
    await expect(async () => createIdentity(hour).callerOf(await signed())).rejects.toThrow('`iat`');
  });
});

describe('what was checked once', () => {
  it('is known at once, until it expires', async () => {
    let now = Date.now();
    const identity = createIdentity({ ...settings, now: () => now });
    const token = await signed({ exp: Math.floor(now / 1_000) + 60 });
    await identity.callerOf(token);
    expect(identity.callerOf(token)).toMatchObject({ role: 'customer', customerId: 'CUST-1' });
    now += 70_000;
    await expect(Promise.resolve().then(() => identity.callerOf(token))).rejects.toThrow('expired');
  });

  it('is forgotten when others need the room, the longest unused first', async () => {
    const identity = createIdentity({ ...settings, rememberedMax: 2 });
    const [one, two, three] = await Promise.all(['1', '2', '3'].map((sub) => signed({ sub })));
    await identity.callerOf(one!);
    await identity.callerOf(two!);
    await identity.callerOf(one!);
    await identity.callerOf(three!);
    const isKnown = (token: string) => !(identity.callerOf(token) instanceof Promise);
    expect([one, three, two].map((token) => isKnown(token!))).toEqual([true, true, false]);
  });
});

describe.each(['RS256', 'ES256', 'EdDSA'] as const)('keys published as a JWKS, %s', (algorithm) => {
  let server: Server;
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  let asked = 0;
  let isDown = false;

  beforeAll(async () => {
    keys = await generateKeyPair(algorithm);
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: algorithm };
    const useless = { kty: jwk.kty, crv: jwk.crv, kid: 'useless', alg: algorithm };
    server = createServer((_request, response) => {
      asked++;
      response
        .writeHead(isDown ? 500 : 200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ keys: [jwk, useless] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void server.close());

  const identityOf = (now?: () => number) => {
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    return createIdentity({ ...settings, key: { jwksUrl }, algorithm, now });
  };
  const sign = (kid = 'one', key = keys.privateKey) =>
    new SignJWT({ ...claims, exp: seconds() + 600 }).setProtectedHeader({ alg: algorithm, kid }).sign(key);

  it('knows who shows a token, and fetches the keys once', async () => {
    asked = 0;
    const identity = identityOf();
    expect(await identity.callerOf(await sign())).toMatchObject({ role: 'customer', customerId: 'CUST-1' });
    await Promise.all([1, 2, 3].map(async () => identity.callerOf(await sign())));
    expect(asked).toBe(1);
  });

  it('refuses another key, an unknown key, and the public key used as a secret', async () => {
    const others = await generateKeyPair(algorithm);
    const confused = await signed({}, { key: JSON.stringify(await exportJWK(keys.publicKey)) });
    for (const token of [await sign('one', others.privateKey), await sign('two'), confused])
      await expect(Promise.resolve().then(() => identityOf().callerOf(token))).rejects.toThrow(TokenRefused);
  });

  it('goes on with the others when one of them is of no use and a token names it', async () => {
    const identity = identityOf();
    await expect(Promise.resolve(identity.callerOf(await sign('useless')))).rejects.toThrow(Unavailable);
    expect(await identity.callerOf(await sign())).toMatchObject({ customerId: 'CUST-1' });
  });

  it('says that it cannot check while the keys cannot be fetched, and not that the token is bad; and asks for them once a second', async () => {
    isDown = true;
    asked = 0;
    let now = Date.now();
    const identity = identityOf(() => now);
    const ask = async () => identity.callerOf(await sign());
    for (let time = 0; time < 3; time++) await expect(ask()).rejects.toThrow(Unavailable);
    expect(asked).toBe(1);
    isDown = false;
    now += 1_500;
    expect(await ask()).toMatchObject({ customerId: 'CUST-1' });
  });
});
