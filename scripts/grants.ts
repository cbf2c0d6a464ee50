import { parseArgs } from 'node:util';

import { readConfig } from '../src/config';
import { grantTables } from '../src/database';
import { databaseUsers, tablesOf } from '../src/roles';
import { exitCodes, runScript, usageFault } from './exit';
import { readPasswords } from './passwords';

const usage = `Usage: npm run grants -- [--password-file FILE]

Makes a database user for each role (${databaseUsers.map((user) => `holdfast_${user}`).join(', ')}) and
gives it what the role does to its tables, and nothing else. Run it as the owner of the tables (DATABASE_URL), after \`npm run migrate\`
of every release. Safe to repeat: what a user had beyond it is taken back.

  --password-file FILE   a line user=password for each (gateway=…); or PASSWORD_GATEWAY and so on in the environment.
                         Without one a user keeps the password it has, and a new one cannot log in
  --prefix TEXT          before each name, instead of holdfast_

Exit codes: 0 done · 1 failed, and nothing was changed · 64 wrong options or settings · 69 Postgres out of reach
`;

/** `npm run grants`: says on stdout what each user may do, a line each. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      'password-file': { type: 'string' },
      prefix: { type: 'string', default: 'holdfast_' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const { DATABASE_URL: url } = readConfig(process.env);
  if (url === undefined) throw usageFault('DATABASE_URL is not set: it names the database, with the owner of its tables.');
  const passwords = readPasswords(databaseUsers, values['password-file']);
  const grantees = databaseUsers.map((user) => ({
    name: `${values.prefix}${user}`,
    password: passwords[user],
    tables: tablesOf(user),
  }));
  await grantTables(url, grantees);
  for (const { name, password, tables } of grantees)
    process.stdout.write(
      `${name.padEnd(24)} ${Object.keys(tables).length} tables${password === undefined ? '' : ', password set'}\n`,
    );
  return exitCodes.passed;
}

runScript('grants', main);
