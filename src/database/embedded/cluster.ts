import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { identityOf, type Account } from './account';
import { type PostgresBinaries } from './binaries';

/** A Postgres data directory with the password that opens it, in one folder. */
export interface Cluster {
  /** What Postgres is given with `-D`. */
  dataDir: string;
  password: string;
  isNew: boolean;
}

/**
 * Reads the cluster in `clusterDir`, or makes it. It is made under another name and renamed when complete, so that a creation killed
 * in the middle leaves nothing that looks like a cluster; its remains are removed by the next.
 */
export async function openCluster(clusterDir: string, binaries: PostgresBinaries, account: Account): Promise<Cluster> {
  await removeUnfinished(clusterDir);
  const isNew = !existsSync(clusterDir);
  if (isNew) await createCluster(clusterDir, binaries, account);
  return { dataDir: join(clusterDir, 'data'), password: await readPassword(clusterDir), isNew };
}

async function readPassword(clusterDir: string): Promise<string> {
  const path = join(clusterDir, passwordFile);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new Error(
      `The password of the embedded Postgres cannot be read from ${path}. Restore that file, or remove ${clusterDir} to begin with an empty database.`,
      { cause: error },
    );
  }
}

async function createCluster(clusterDir: string, binaries: PostgresBinaries, account: Account): Promise<void> {
  const unfinished = `${clusterDir}.unfinished-${randomUUID()}`;
  try {
    await fillCluster(unfinished, binaries, account);
    await rename(unfinished, clusterDir);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

async function fillCluster(unfinished: string, binaries: PostgresBinaries, account: Account): Promise<void> {
  await mkdir(unfinished, { mode: 0o700 });
  const passwordPath = join(unfinished, passwordFile);
  await writeFile(passwordPath, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  if (account.uid !== undefined && account.gid !== undefined) {
    await chown(unfinished, account.uid, account.gid);
    await chown(passwordPath, account.uid, account.gid);
  }
  await runInitdb(binaries, account, join(unfinished, 'data'), passwordPath);
}

const passwordFile = 'password';

/** One call for the thousand files of a new cluster, where the system has it, instead of one for each: half the time of an initdb. */
const syncAtOnce = process.platform === 'linux' ? ['--sync-method=syncfs'] : [];

/** Sorting and case rules come with the server, not from the machine's C library, whose updates would break indexes. */
async function runInitdb(binaries: PostgresBinaries, account: Account, dataDir: string, passwordPath: string): Promise<void> {
  const [command = binaries.initdb, ...rest] = [
    ...account.prefix,
    binaries.initdb,
    `--pgdata=${dataDir}`,
    '--username=holdfast',
    `--pwfile=${passwordPath}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    ...syncAtOnce,
  ];
  const child = spawn(command, rest, {
    ...identityOf(account),
    cwd: dirname(dataDir),
    env: { ...process.env, ...binaries.environment, LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => output.push(text));
  const failure = await new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : `initdb ended with ${signal ?? `code ${code}`}`));
  });
  if (failure === undefined) return;
  const said = output.join('').trim().split('\n').slice(-6).join('\n  ');
  throw new Error(
    `The embedded Postgres could not create its data: ${failure}. It said:\n  ${said}\nPut that right, or set DATABASE_URL to a Postgres of your own.`,
  );
}

async function removeUnfinished(clusterDir: string): Promise<void> {
  const parent = dirname(clusterDir);
  const remains = (await readdir(parent))
    .map((name) => join(parent, name))
    .filter((path) => path.startsWith(`${clusterDir}.unfinished-`));
  await Promise.all(remains.map((path) => rm(path, { recursive: true, force: true, maxRetries: 5 })));
}
