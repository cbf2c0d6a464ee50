import { parseArgs } from 'node:util';

import { readConfig } from '../src/config';
import { migrate } from '../src/database';
import { exitCodes, runScript, usageFault } from './exit';

const usage = `Usage: npm run migrate

Brings the database at DATABASE_URL to the schema of this release: creates it when missing, applies what is pending. Any number of
these may run at once. An embedded database needs none of it: every start does this.

Exit codes: 0 up to date · 1 a migration failed, and nothing of it was kept · 64 wrong settings · 69 Postgres out of reach
`;

/** `npm run migrate`: says on stdout what it did, a line each. */
async function main(): Promise<number> {
  if (parseArgs({ options: { help: { type: 'boolean' } } }).values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const { DATABASE_URL: url } = readConfig(process.env);
  if (url === undefined) {
    throw usageFault(
      'DATABASE_URL is not set. Example: DATABASE_URL=postgresql://user:password@localhost:5432/holdfast npm run migrate',
    );
  }
  const { host, pathname } = new URL(url);
  say('database', `${host}${pathname}`);
  const applied = await migrate(url, (level, message) => {
    if (level !== 'info' || message.startsWith('Another')) say(level, message);
  });
  for (const name of applied) say('applied', name);
  say('done', applied.length === 0 ? 'nothing to apply, the schema is up to date' : counted(applied.length));
  return exitCodes.passed;
}

function counted(migrations: number): string {
  return `${migrations} migration${migrations === 1 ? '' : 's'}`;
}

function say(word: string, text: string): void {
  process.stdout.write(`${word.padEnd(10)}${text}\n`);
}

runScript('migrate', main);
