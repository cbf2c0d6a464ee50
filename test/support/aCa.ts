import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where a certificate and its key lie, as PEM. */
export interface Certified {
  cert: string;
  key: string;
}

/** A certificate authority of a test's own, made by openssl in a folder of its own. */
export interface Ca {
  /** Its own certificate, by which others trust it. */
  file: string;
  folder: string;
  /** Signs a certificate for these names (`DNS:localhost`, `IP:127.0.0.1`), good for `days`; below 0 it has expired. */
  certify(name: string, subjects: string, days?: number): Certified;
  remove(): void;
}

export function aCa(): Ca {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-ca-'));
  const at = (file: string) => join(folder, file);
  openssl('req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=A CA of a test', '-days', '2');
  const certify = (name: string, subjects: string, days = 2) => {
    const [key, request, cert, extensions] = ['key', 'csr', 'pem', 'ext'].map((ending) => at(`${name}.${ending}`));
    openssl('req', '-new', ...newKey, '-keyout', key!, '-out', request!, '-subj', `/CN=${name}`);
    writeFileSync(extensions!, `subjectAltName=${subjects}\n`);
    const signing = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', extensions!];
    openssl('x509', '-req', '-in', request!, ...signing, '-days', String(days), '-out', cert!);
    return { cert: cert!, key: key! };
  };
  return { file: at('ca.pem'), folder, certify, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function openssl(...words: string[]): void {
  execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] });
}
