import { isPublicAddress } from '../../src/notifications/channels/publicAddress';

/** What IANA keeps for special purposes; where an address can carry another one inside, it carries 10.0.0.1 or 127.0.0.1 here. */
describe('the address of a receiver', () => {
  it.each([
    ['IPv4 in the old notation', '::10.0.0.1'],
    ['IPv4-mapped', '::ffff:10.0.0.1'],
    ['IPv4-translated', '::ffff:0:10.0.0.1'],
    ['IPv4-translated, the first', '::ffff:0:0:0'],
    ['IPv4-translated, the last', '::ffff:0:ffff:ffff'],
    ['NAT64', '64:ff9b::10.0.0.1'],
    ['NAT64 of a network of its own', '64:ff9b:1::a00:1'],
    ['NAT64 of a network of its own, the last', '64:ff9b:1:ffff:ffff:ffff:ffff:ffff'],
    ['6to4', '2002:a00:1::'],
    ['6to4 of this machine', '2002:7f00:1::1'],
    ['Teredo', '2001:0:a00:1::f5ff:fffe'],
    ['discard-only', '100::1'],
    ['the dummy prefix', '100:0:0:1::1'],
    ['documentation', '2001:db8::1'],
    ['documentation, the longer', '3fff::1'],
    ['segment routing', '5f00::1'],
    ['AS112', '2620:4f:8000::1'],
    ['unique local', 'fd12:3456::1'],
    ['link-local', 'fe80::1'],
    ['link-local, of one of our networks', 'fe80::1%lo'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['loopback', '::1'],
    ['unspecified', '::'],
    ['this network', '0.1.2.3'],
    ['shared', '100.127.255.255'],
    ['6to4 relays', '192.88.99.1'],
    ['multicast of IPv4', '224.0.0.1'],
    ['broadcast', '255.255.255.255'],
  ])('is not public: %s, %s', (_what, address) => expect(isPublicAddress(address)).toBe(false));

  it.each(['93.184.216.34', '::ffff:93.184.216.34', '2606:4700::1111', '2a00:1450:4001::200e', '2001:4860:4860::8888'])(
    'is public: %s',
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
});
