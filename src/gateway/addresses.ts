import ipaddr, { type IPv6 } from 'ipaddr.js';

import { matches, networkOf, type Address } from './networks';
import { type WithHeaders } from './requestIds';

/** Gives the address that a request is counted for; undefined where none is to be counted. */
export type AddressOf = (request: WithHeaders, peer: string | undefined) => string | undefined;

/**
 * Whoever is at the other end of the connection, unless that is a proxy of the house: then whoever it says it speaks for, the last
 * name in `x-forwarded-for` that is no proxy of the house itself. What stands before that anybody can have written. An IPv6 network
 * of 64 bits is one address, because each of its owners has all of them. This machine is not counted: it is the operator's own, unless
 * it speaks for somebody else.
 */
export function createAddressOf(trustedProxies: readonly string[]): AddressOf {
  const networks = trustedProxies.map((network) => networkOf(network)!);
  const isTrusted = (address: Address) => networks.some((network) => matches(address, network));
  return ({ headers }, peer) => {
    let address = parsed(peer);
    if (address === undefined) return undefined;
    const connected = address;
    if (networks.length > 0 && isTrusted(address)) {
      const named = String(headers['x-forwarded-for'] ?? '').split(',');
      for (let hops = 0; hops < HOPS_MAX && isTrusted(address); hops++) {
        const before = parsed(named.pop());
        if (before === undefined) break;
        address = before;
      }
    }
    const isOurs = address === connected && address.range() === 'loopback' && !isProxied(headers);
    return isOurs ? undefined : nameOf(address);
  };
}

/** Whether a proxy says of itself that it passes the request on. */
export function isProxied(headers: WithHeaders['headers']): boolean {
  return Object.entries(headers).some(([name, value]) => value !== undefined && PROXY_HEADER.test(name));
}

/** No list of these is complete. */
const PROXY_HEADER = /^(via|forwarded|x-forwarded-.*|x-real-ip|x-client-ip|true-client-ip|cf-.*)$/;

/** More proxies than anybody has in a row. */
const HOPS_MAX = 16;

/** Some proxies write the port as well. An IPv4 address in the dress of IPv6 is IPv4. */
function parsed(text: string | undefined): Address | undefined {
  const bare = text?.trim().replace(/^\[(.+)\](?::\d+)?$|^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1$2') ?? '';
  return ipaddr.isValid(bare) ? ipaddr.process(bare) : undefined;
}

function nameOf(address: Address): string {
  if (address.kind() === 'ipv4') return address.toString();
  return `${(address as IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`;
}
