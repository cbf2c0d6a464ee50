import { Client, type ClientConfig } from 'pg';

import { mayBePlain, plaintextRefusal, readCertificates } from '../tls';
import { plainUrl } from './url';

/** What pg connects by. */
export type Connection = Required<Pick<ClientConfig, 'connectionString' | 'ssl'>>;

/**
 * How the URL asks to be connected: as libpq reads them, `sslmode` (`disable` or `verify-full`), `sslrootcert`, `sslcert` and
 * `sslkey`. They are taken out of the URL, because pg's own reading of it knows modes that look encrypted and trust anybody; nor is
 * its environment (PGSSLMODE) asked. Throws a line for people when they cannot be used.
 */
export function connectionTo(url: string): Connection {
  const plain = new URL(plainUrl(url));
  const refused = refusedParameters.find((name) => plain.searchParams.has(name));
  if (refused !== undefined) throw new Error(`has ${refused}=…, which is not understood here: say sslmode=verify-full`);
  const mode = plain.searchParams.get('sslmode') ?? 'disable';
  if (mode !== 'disable' && mode !== 'verify-full') {
    throw new Error(`has sslmode=${mode}: say verify-full, which alone makes sure of who answers, or disable`);
  }
  const [ca, cert, key] = ['sslrootcert', 'sslcert', 'sslkey'].map((name) => plain.searchParams.get(name) ?? undefined);
  if (mode === 'disable' && (ca ?? cert ?? key) !== undefined) throw new Error('names certificates but no sslmode=verify-full');
  for (const name of ['sslmode', 'sslrootcert', 'sslcert', 'sslkey']) plain.searchParams.delete(name);
  const files = { ca: ca === 'system' ? undefined : ca, cert, key };
  if (mode === 'disable') return { connectionString: plain.toString(), ssl: false };
  const certificates = readCertificates(files, { ca: 'sslrootcert', cert: 'sslcert', key: 'sslkey' });
  return { connectionString: plain.toString(), ssl: { ...certificates, rejectUnauthorized: true } };
}

/** What is wrong with the way of a DATABASE_URL, or undefined; `plaintextHosts` may be spoken to unencrypted. */
export function connectionProblem(url: string, plaintextHosts: readonly string[]): string | undefined {
  try {
    const connection = connectionTo(url);
    // As pg reads it, for a host can stand in several places.
    const { host } = new Client(connection);
    if (connection.ssl !== false || mayBePlain(host, plaintextHosts)) return undefined;
    return plaintextRefusal(host, 'let it end in ?sslmode=verify-full&sslrootcert=<file of the CA>');
  } catch (error) {
    return (error as Error).message;
  }
}

const refusedParameters = ['ssl', 'uselibpqcompat', 'sslpassword', 'sslnegotiation'];
