import { execFileSync } from 'node:child_process';

/**
 * What the history says was done to golden messages since they came: `changed OrderCreated/1.json in 15c80fc`. On the first-parent
 * line, so that a merge counts as one step, and what a branch does to its own files before it is merged is its own matter.
 * Undefined where there is no history to ask, as in a source archive; a shallow clone answers for the commits that it has.
 */
export function goldenHistory(root: string, folder: string): string[] | undefined {
  const log = git(root, [
    'log',
    '--first-parent',
    '-m',
    '--no-renames',
    '--diff-filter=MDT',
    '--name-status',
    '--format=%h',
    '--',
    folder,
  ]);
  if (log === undefined) return undefined;
  let commit = '';
  return log.split('\n').flatMap((line) => {
    const [status, path = ''] = line.split('\t');
    if (!path) commit = line || commit;
    const file = path.slice(folder.length + 1);
    return file.endsWith('.json') ? [`${status === 'D' ? 'removed' : 'changed'} ${file} in ${commit}`] : [];
  });
}

/** Undefined without git, or where the folder is in no repository of its own. */
function git(root: string, args: string[]): string | undefined {
  try {
    const run = (...given: string[]) =>
      execFileSync('git', ['-C', root, '-c', `safe.directory=${root}`, ...given], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    return run('rev-parse', '--show-prefix').trim() === '' ? run(...args) : undefined;
  } catch {
    return undefined;
  }
}
