import { BlockList, isIP } from 'node:net';

/** Whether a host may be spoken to unencrypted: this machine, a socket of it, or one that was named for it. */
export function mayBePlain(host: string, plaintextHosts: readonly string[]): boolean {
  return isThisMachine(host) || plaintextHosts.includes(unbracketed(host).toLowerCase());
}

/** Loopback by number or as `localhost`, or the folder of a unix socket; not a name that merely resolves to it today. */
export function isThisMachine(host: string): boolean {
  if (host.startsWith('/')) return true;
  const name = unbracketed(host).toLowerCase();
  const version = isIP(name);
  return version === 0 ? name === 'localhost' : loopback.check(name, version === 4 ? 'ipv4' : 'ipv6');
}

/** A line for people, without the URL: there is a password in it. */
export function plaintextRefusal(host: string, remedy: string): string {
  return `would carry its password and everything else to ${host} unencrypted: ${remedy}, or, in a network that is yours alone, name the host in ALLOW_PLAINTEXT`;
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
