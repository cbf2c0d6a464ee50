import { randomUUID } from 'node:crypto';
import { link, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

import { birthOf, isAlive } from './processes';

/** The right of this process to use a data folder; it ends with the process, however that ends. */
export interface Ownership {
  release(): Promise<void>;
}

/**
 * Takes the data folder, which exists, for this process. Of any number that try at the same instant exactly one succeeds; the
 * others reject with a line that names the owner.
 *
 * The owner is written in `owner.<number>`, and the highest number counts. Nobody ever replaces that file: to follow a dead owner is
 * to create the next number, which the file system grants to one only. So a slow contender cannot take away what a fast one has
 * just got, as it could if a stale file were deleted and made again.
 */
export async function takeOwnership(dataDir: string): Promise<Ownership> {
  for (;;) {
    const current = (await generations(dataDir)).at(-1) ?? 0;
    const owner = await readOwner(ownerFile(dataDir, current));
    if (owner !== undefined && isRunning(owner)) throw new Error(refusal(dataDir, owner));
    const mine = current + 1;
    if (await claim(dataDir, mine)) return { release: () => release(dataDir, mine) };
  }
}

interface Owner {
  pid: number;
  birth: string | undefined;
  host: string;
}

function isRunning(owner: Owner): boolean {
  // The same data folder seen from another container or machine: its pids say nothing here, and Postgres's own lock must do.
  if (owner.host !== hostname()) return false;
  return isAlive(owner.pid) && (owner.birth === undefined || birthOf(owner.pid) === owner.birth);
}

function refusal(dataDir: string, owner: Owner): string {
  const who = owner.pid === process.pid ? 'this process' : `the Holdfast with pid ${owner.pid}`;
  return `The data folder ${resolve(dataDir)} is in use by ${who}. Stop that one, or give this one a folder of its own with HOLDFAST_DATA.`;
}

async function claim(dataDir: string, generation: number): Promise<boolean> {
  const draft = join(dataDir, `owner-draft-${randomUUID()}`);
  const owner: Owner = { pid: process.pid, birth: birthOf(process.pid), host: hostname() };
  await writeFile(draft, JSON.stringify(owner), { mode: 0o600 });
  try {
    // A link appears with its content complete, or fails because someone else was first.
    await link(draft, ownerFile(dataDir, generation));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return isHighest(dataDir, generation);
}

/** A contender that paused long enough may have got a number that was used and tidied away meanwhile; then a higher one exists. */
async function isHighest(dataDir: string, generation: number): Promise<boolean> {
  const all = await generations(dataDir);
  const highest = all.at(-1) === generation;
  const superseded = highest ? all.slice(0, -1) : [generation];
  await Promise.all(superseded.map((old) => rm(ownerFile(dataDir, old), { force: true })));
  return highest;
}

/** The number stays taken; only the name goes out of it, which needs no room on a full disk. */
async function release(dataDir: string, generation: number): Promise<void> {
  await truncate(ownerFile(dataDir, generation));
}

async function generations(dataDir: string): Promise<number[]> {
  const names = await readdir(dataDir);
  return names
    .map((name) => Number(/^owner\.(\d+)$/.exec(name)?.[1]))
    .filter(Number.isSafeInteger)
    .sort((one, other) => one - other);
}

function ownerFile(dataDir: string, generation: number): string {
  return join(dataDir, `owner.${generation}`);
}

/** Undefined when there is none, or it was released. */
async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}
