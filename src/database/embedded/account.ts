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
 * 1. as the user whom the data belongs to, where that is not root;
 * 2. else in a user namespace, where it goes by another user's number: files stay root's, and work under /root too;
 * 3. else as `postgres` or `nobody`, who then owns the data;
 * 4. else not at all: throws a line that asks for DATABASE_URL.
 *
 * Each only if it can reach the programs and the data. A cluster that exists is run by its owner's way alone.
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
  const owner = statSync(existsSync(clusterDir) ? clusterDir : dataDir);
  const user = findUser();
  const asOwner: Account = { prefix: [], uid: owner.uid, gid: owner.gid };
  const inNamespace: Account = { prefix: ['unshare', '--user', `--map-user=${user.uid}`, `--map-group=${user.gid}`] };
  const asOther: Account = { prefix: [], ...user };

  const own = owner.uid === 0 ? inNamespace : asOwner;
  const candidates = existsSync(clusterDir) ? [own] : [own, inNamespace, asOther];
  const found = candidates.find(
    (account) => succeeds(account, program, '--version') && succeeds(account, '/bin/sh', '-c', 'cd "$0"', dataDir),
  );
  if (found !== undefined) return found;
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

function succeeds(account: Account, ...programAndArguments: string[]): boolean {
  const [command = '', ...rest] = [...account.prefix, ...programAndArguments];
  return spawnSync(command, rest, { ...identityOf(account), stdio: 'ignore', timeout: 10_000 }).status === 0;
}
