import { randomBytes } from 'node:crypto';

import { readConfig } from '../src/config';
import { developmentSecret, identitySettings, signToken, type Caller, type IdentitySettings } from '../src/identity';

/**
 * The token that a command shows to the gateways at these addresses: HOLDFAST_TOKEN, or else an operator's that it signs itself. It signs
 * none for an address elsewhere: whoever answers there would be an operator here. Undefined where there is none to show.
 */
export async function tokenFor(addresses: readonly string[]): Promise<string | undefined> {
  const { HOLDFAST_TOKEN } = readConfig(process.env);
  if (HOLDFAST_TOKEN !== undefined) return HOLDFAST_TOKEN;
  return addresses.every(isOnThisMachine) ? signedToken() : undefined;
}

/** `http://…`, or what gRPC calls a target. */
function isOnThisMachine(address: string): boolean {
  const url = address.includes('://') ? address : `http://${address}`;
  const hostname = URL.canParse(url) ? new URL(url).hostname : '';
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

/**
 * Signed as `caller` with AUTH_SECRET, or with the secret that a Holdfast in development made in the data folder. Undefined where
 * neither is at hand.
 */
export async function signedToken(caller: Caller = anOperator, lifetimeSeconds = DAY_SECONDS): Promise<string | undefined> {
  const config = readConfig(process.env);
  const settings = identitySettings(config) ?? (await developmentSecret(config.HOLDFAST_DATA));
  return settings && 'secret' in settings.key ? signToken(settings, caller, lifetimeSeconds) : undefined;
}

/** For a Holdfast that a command starts for itself: what its processes are given, and what they are shown. */
export const ownLogin = {
  settings: { AUTH_SECRET: randomBytes(32).toString('hex') },
  token: (caller: Caller = anOperator) =>
    signToken(identitySettings(readConfig(ownLogin.settings)) as IdentitySettings, caller, 30 * DAY_SECONDS),
};

/** What to do about it, for people. */
export const loginMissing =
  'Set HOLDFAST_TOKEN to a token that it takes (elsewhere than on this machine nothing else is shown), or HOLDFAST_DATA to the folder of the Holdfast that runs here.';

const anOperator: Caller = { role: 'operator', name: 'command' };
const DAY_SECONDS = 86_400;
