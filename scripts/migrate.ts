import { migrate } from '../src/database';

/** `npm run migrate`: brings DATABASE_URL to the schema of this release and prints what was done. Ends with 1 when it could not. */
async function main(): Promise<void> {
  const url = process.env.DATABASE_URL;
  if (url === undefined || !/^postgres(ql)?:\/\//.test(url)) {
    throw new Error(
      `DATABASE_URL ${url === undefined ? 'is not set' : 'is no postgresql:// URL'}. Example: DATABASE_URL=postgresql://user:password@localhost:5432/holdfast npm run migrate`,
    );
  }
  const { host, pathname } = new URL(url);
  say('database', `${host}${pathname}`);
  const applied = await migrate(url, (level, message) => {
    if (level !== 'info' || message.startsWith('Another')) say(level, message);
  });
  for (const name of applied) say('applied', name);
  say(
    'done',
    applied.length === 0
      ? 'nothing to apply, the schema is up to date'
      : `${applied.length} migration${applied.length === 1 ? '' : 's'}`,
  );
}

function say(word: string, text: string): void {
  process.stdout.write(`${word.padEnd(10)}${text}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${'failed'.padEnd(10)}${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
