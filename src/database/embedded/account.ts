import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';

/** How to start a Postgres program, which refuses to run as root. */
export interface Account {
  /** Put before the program and its arguments. */
  prefix: string[];
  /** To become that user; unset to stay who we are. */
  uid?: number;
  gid?: number;
}

/**
 * A normal user runs Postgres as itself. Root does so
 *
 * 1. in a user namespace, where it goes by another user's number: files stay root's, and work under /root too;
 * 2. else as `postgres` or `nobody`, if that user can reach the programs and the data;
 * 3. else not at all: rejects with a line that asks for DATABASE_URL.
 *
 * Data that exists already belongs to who made it, and decides between 1 and 2.
 */
export function chooseAccount({
  program,
  clusterDir,
  dataDir,
}: {
  program: string;
  clusterDir: string;
  dataDir: string;
}): Account {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const owner = existsSync(clusterDir) ? statSync(clusterDir) : undefined;
  if (owner !== undefined && owner.uid !== 0) return { prefix: [], uid: owner.uid, gid: owner.gid };

  const user = findUser();
  const namespace: Account = { prefix: ['unshare', '--user', `--map-user=${user.uid}`, `--map-group=${user.gid}`] };
  if (canRun(namespace, program)) return namespace;
  const other: Account = { prefix: [], ...user };
  if (owner === undefined && canRun(other, program) && canEnter(other, dataDir)) return other;
  throw new Error(
    `Postgres does not run as root, and here it can neither run in a user namespace nor as another user who can read ${program} and ${dataDir}. Start Holdfast as a normal user, or set DATABASE_URL to a Postgres of your own.`,
  );
}

/** The options of `spawn` that make the child run under this account. */
export function identityOf({ uid, gid }: Account): { uid?: number; gid?: number } {
  return uid === undefined ? {} : { uid, gid };
}

/** Postgres insists on a number that the system has a name for. */
function findUser(): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
  const found =
    users.find(({ name }) => name === 'postgres') ??
    users.find(({ name }) => name === 'nobody') ??
    users.find(({ uid }) => uid > 0);
  return found === undefined ? { uid: 65_534, gid: 65_534 } : { uid: found.uid, gid: found.gid };
}

function canRun(account: Account, program: string): boolean {
  const [command = program, ...rest] = [...account.prefix, program, '--version'];
  return spawnSync(command, rest, { ...identityOf(account), stdio: 'ignore', timeout: 10_000 }).status === 0;
}

function canEnter(account: Account, folder: string): boolean {
  return (
    spawnSync('/bin/sh', ['-c', 'cd "$0"', folder], { ...identityOf(account), stdio: 'ignore', timeout: 10_000 }).status === 0
  );
}
