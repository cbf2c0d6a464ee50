import { createAddressOf } from '../../src/gateway/addresses';
import { readConfig } from '../../src/config';

/** What a request is counted for, by who connected and what it says in `x-forwarded-for`. */
const addressOf = (peer: string | undefined, said?: string, trusted: string[] = []) =>
  createAddressOf(trusted)({ headers: { 'x-forwarded-for': said } }, peer);

describe('the address that a request is counted for', () => {
  it.each<[string, string | undefined, string | undefined, string | undefined]>([
    ['whoever connects', '203.0.113.7', undefined, '203.0.113.7'],
    ['and not whom it says it speaks for, when nobody trusts it', '203.0.113.7', '198.51.100.1', '203.0.113.7'],
    ['IPv4 in the dress of IPv6', '::ffff:203.0.113.7', undefined, '203.0.113.7'],
    ['a whole network of IPv6', '2001:db8:1:2:aaaa::1', undefined, '2001:db8:1:2::/64'],
    ['of which every address is the same', '2001:db8:1:2:bbbb::2', undefined, '2001:db8:1:2::/64'],
    ['none for this machine', '127.0.0.1', undefined, undefined],
    ['nor by its other name', '::1', undefined, undefined],
    ['but this machine itself, as one, for all whom a proxy on it speaks for', '127.0.0.1', '198.51.100.1', '127.0.0.1'],
    ['none where there is no peer', undefined, '198.51.100.1', undefined],
  ])('is %s', (_case, peer, said, expected) => expect(addressOf(peer, said)).toBe(expected));

  const trusted = ['10.0.0.0/8', 'fd00::/8', '127.0.0.1'];
  it.each<[string, string, string | undefined, string | undefined]>([
    ['whom a trusted proxy speaks for', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['by the last name alone: who asks can write the others', '10.0.0.1', '1.2.3.4, 198.51.100.1', '198.51.100.1'],
    ['past further proxies of the house', '10.0.0.1', '1.2.3.4, 198.51.100.1,10.9.9.9', '198.51.100.1'],
    ['with a port, as some proxies write it', '10.0.0.1', '198.51.100.1:55555', '198.51.100.1'],
    ['IPv6 with a port', 'fd00::1', '[2001:db8:1:2::9]:443', '2001:db8:1:2::/64'],
    ['the proxy itself, when it says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['the proxy itself, when it says no address', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['the last that is an address', '10.0.0.1', '1.2.3.4, rubbish, 10.0.0.2', '10.0.0.2'],
    ['no other for who only calls itself this machine', '10.0.0.1', '127.0.0.1', '127.0.0.1'],
    ['whom a proxy on this machine speaks for', '127.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['whoever connects past the proxies', '203.0.113.7', '198.51.100.1', '203.0.113.7'],
  ])('behind proxies is %s', (_case, peer, said, expected) => expect(addressOf(peer, said, trusted)).toBe(expected));

  it('is found within moments in a header of sixteen thousand names', () => {
    const said = '10.0.0.1,'.repeat(16_000);
    const startedAt = performance.now();
    for (let count = 0; count < 20; count++) addressOf('10.0.0.1', said, trusted);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

it('TRUSTED_PROXIES are addresses and networks, or the start is refused', () => {
  expect(readConfig({ TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8,192.0.2.1' }).TRUSTED_PROXIES).toHaveLength(3);
  expect(readConfig({}).TRUSTED_PROXIES).toEqual([]);
  for (const wrong of ['proxy.example', '10.0.0.0/33', '*', '10.0.0.0/8,'])
    expect(() => readConfig({ TRUSTED_PROXIES: wrong })).toThrow('TRUSTED_PROXIES');
});
