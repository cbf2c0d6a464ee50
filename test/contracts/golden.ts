import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * One file for every version of every message that was ever published, as it went over the wire: `OrderCreated/1.json`. They are
 * written once and never again, for messages like them may lie in a queue, an outbox or somebody's archive. `SHA256SUMS` beside them
 * (read by `sha256sum -c`, too) holds each to its bytes.
 */
export interface Golden {
  folder: string;
  /** Paths in the folder, sorted: `OrderCreated/1.json`. */
  files: string[];
  /** The digest that each path was entered with. */
  sums: Map<string, string>;
  read: (file: string) => string;
}

const ledgerName = 'SHA256SUMS';

export function openGolden(folder: string): Golden {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.json'))
    .sort();
  const ledger = existsSync(join(folder, ledgerName)) ? readFileSync(join(folder, ledgerName), 'utf8') : '';
  const sums = new Map([...ledger.matchAll(/^([0-9a-f]{64}) {2}(\S+)$/gm)].map(([, sum, file]) => [file!, sum!]));
  return { folder, files, sums, read: (file) => readFileSync(join(folder, file), 'utf8') };
}

/** What was done to files that must not be touched, a line for each. */
export function brokenSeals({ files, sums, read }: Golden): string[] {
  const unlisted = files.filter((file) => !sums.has(file)).map((file) => `${file} is not in ${ledgerName}`);
  const others = [...sums].flatMap(([file, sum]) => {
    if (!files.includes(file)) return [`${file} was removed`];
    return sha256(read(file)) === sum ? [] : [`${file} was changed`];
  });
  return [...unlisted, ...others];
}

/** The versions of a message, oldest first. */
export function versionsOf({ files }: Golden, name: string): string[] {
  const numberOf = (file: string) => Number(/(\d+)\.json$/.exec(file)![1]);
  return files.filter((file) => dirname(file) === name).sort((one, other) => numberOf(one) - numberOf(other));
}

/** Adds the next version of a message, when it differs from the newest one; never touches what is there. */
export function addVersion(golden: Golden, name: string, body: string): void {
  const versions = versionsOf(golden, name);
  const newest = versions.at(-1);
  if (newest !== undefined && golden.read(newest) === body) return;
  const file = `${name}/${versions.length + 1}.json`;
  mkdirSync(join(golden.folder, name), { recursive: true });
  writeFileSync(join(golden.folder, file), body, { flag: 'wx' });
  writeFileSync(join(golden.folder, ledgerName), `${sha256(body)}  ${file}\n`, { flag: 'a' });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
