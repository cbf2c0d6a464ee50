import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type IdentitySettings } from './settings';
import { signToken } from './signToken';

/** Where nothing is configured, in development alone: tokens signed with a secret that the first start made, for this folder only. */
export async function developmentIdentity(dataDir: string): Promise<IdentitySettings> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  await makeSecret(secretFile(dataDir));
  const settings = await developmentSecret(dataDir);
  if (settings === undefined) throw new Error(`${secretFile(dataDir)} holds no secret: delete it, and start again.`);
  return settings;
}

/** Several processes may start at once: the first file stays, and it has its name only when it is whole. */
async function makeSecret(file: string): Promise<void> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  await link(draft, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(draft);
  await chmod(file, 0o600);
}

/** A token as whoever runs the shop, for the playground; made anew whenever its page is opened. */
export function operatorToken(settings: IdentitySettings): Promise<string> {
  return signToken(settings, { role: 'operator', name: 'playground' }, PLAYGROUND_SECONDS);
}

const PLAYGROUND_SECONDS = 12 * 3_600;

/** What a Holdfast on this folder checks tokens by, if it was started there in development; undefined otherwise. */
export async function developmentSecret(dataDir: string): Promise<IdentitySettings | undefined> {
  const text = await readFile(secretFile(dataDir), 'utf8').catch(() => '');
  const secret = text.trim();
  if (secret.length < 32) return undefined;
  const name = 'holdfast-development';
  return { key: { secret }, algorithm: 'HS256', issuer: name, audience: name, roleClaim: 'role' };
}

function secretFile(dataDir: string): string {
  return join(dataDir, 'development-secret');
}
