import { readFileSync } from 'node:fs';

/** Paths of PEM files. */
export interface CertificateFiles {
  /** Who vouches for the other side; without it, those whom Node knows. */
  ca?: string;
  /** Our own certificate and its key: both or neither. */
  cert?: string;
  key?: string;
}

export type Certificates = { [Part in keyof CertificateFiles]?: string };

/** The contents of the files. `named` says how a path was given, for the line of the one that cannot be used. */
export function readCertificates(files: CertificateFiles, named: Record<keyof CertificateFiles, string>): Certificates {
  if ((files.cert === undefined) !== (files.key === undefined)) throw new Error(`${named.cert} and ${named.key} go together`);
  const read = (part: keyof CertificateFiles, path: string) => [part, readPem(path, named[part])] as const;
  const given = Object.entries(files) as [keyof CertificateFiles, string | undefined][];
  return Object.fromEntries(given.flatMap(([part, path]) => (path === undefined ? [] : [read(part, path)])));
}

function readPem(path: string, name: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${name}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  if (!text.includes('-----BEGIN ')) throw new Error(`${name}: ${path} is not a PEM file`);
  return text;
}

/** What is wrong with the certificate of the other side, or with ours in its eyes; undefined when that is not what failed. */
export function certificateFault(error: unknown): string | undefined {
  if (error instanceof AggregateError) return error.errors.map(certificateFault).find(Boolean);
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `its certificate is for another host name (${String(message)})`;
  const alert = /alert (?:certificate required|bad certificate|certificate expired|unknown ca|handshake failure)/.exec(
    String(message),
  );
  if (alert) return `it does not accept our certificate, or was shown none (${alert[0]})`;
  return typeof code === 'string' ? faults[code] : undefined;
}

const stranger = 'its certificate is not signed by a CA that we trust';
const faults: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is the clock of this machine right?',
  CERT_REVOKED: 'its certificate is revoked',
  SELF_SIGNED_CERT_IN_CHAIN: stranger,
  DEPTH_ZERO_SELF_SIGNED_CERT: stranger,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: stranger,
  UNABLE_TO_GET_ISSUER_CERT: stranger,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: stranger,
  CERT_SIGNATURE_FAILURE: stranger,
  CERT_UNTRUSTED: stranger,
  INVALID_CA: stranger,
  EPROTO: 'it does not speak TLS there, or none that we speak',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there',
};
