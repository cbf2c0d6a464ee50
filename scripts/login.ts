import { randomBytes } from 'node:crypto';

import { readConfig } from '../src/config';
import { developmentSecret, identitySettings, signToken, type Caller, type IdentitySettings } from '../src/identity';

/**
 * The token that a command shows to the gateway: HOLDFAST_TOKEN, or else one that it signs itself as `caller`, with AUTH_SECRET or with
 * the secret that a Holdfast in development made in the data folder. Undefined where none of them is at hand.
 */
export async function commandToken(caller: Caller = anOperator, lifetimeSeconds = DAY_SECONDS): Promise<string | undefined> {
  const config = readConfig(process.env);
  if (config.HOLDFAST_TOKEN !== undefined) return config.HOLDFAST_TOKEN;
  const settings = identitySettings(config) ?? (await developmentSecret(config.HOLDFAST_DATA));
  return settings && 'secret' in settings.key ? signToken(settings, caller, lifetimeSeconds) : undefined;
}

/** For a Holdfast that a command starts for itself: what its processes are given, and what they are shown. */
export const ownLogin = {
  settings: { AUTH_SECRET: randomBytes(32).toString('hex') },
  token: () => signToken(identitySettings(readConfig(ownLogin.settings)) as IdentitySettings, anOperator, 30 * DAY_SECONDS),
};

/** What to do about it, for people. */
export const loginMissing =
  'Set HOLDFAST_TOKEN to a token that it takes, or HOLDFAST_DATA to the folder of the Holdfast that runs here.';

const anOperator: Caller = { role: 'operator', name: 'command' };
const DAY_SECONDS = 86_400;
