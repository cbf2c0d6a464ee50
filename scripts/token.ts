import { parseArgs } from 'node:util';

import { roles, type Caller } from '../src/identity';
import { Ending, exitCodes, runScript, usageFault } from './exit';
import { signedToken } from './login';

const usage = `Usage: holdfast token [options]     (npm run -s token -- [options])

Prints a token for the header \`authorization: Bearer <token>\`. It is signed with AUTH_SECRET, or with the secret of the Holdfast that was
started in development on the data folder.

  --role R      operator (default), service, customer
  --name N      who it is; of a customer, its customer id
  --hours H     how long it is good (24)
  --help        this

Exit codes: 0 printed · 1 there is nothing to sign with · 64 wrong options
`;

/** `holdfast token` (S2.21). */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: declared });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const hours = Number(values.hours);
  if (!(hours > 0 && hours <= 24 * 365)) throw usageFault(`--hours ${values.hours}: a number up to ${24 * 365} is wanted.`);
  const token = await signedToken(callerOf(values.role, values.name), Math.round(hours * 3_600));
  if (token === undefined)
    throw new Ending(
      exitCodes.failed,
      'There is nothing to sign with: set AUTH_SECRET, or HOLDFAST_DATA of a Holdfast in development.',
    );
  process.stdout.write(`${token}\n`);
  return exitCodes.passed;
}

const declared = {
  role: { type: 'string', default: 'operator' },
  name: { type: 'string' },
  hours: { type: 'string', default: '24' },
  help: { type: 'boolean', default: false },
} as const;

function callerOf(role: string, name: string | undefined): Caller {
  const known = roles.find((one) => one === role);
  if (known === undefined) throw usageFault(`--role ${role}: there are ${roles.join(', ')}.`);
  if (known === 'customer') {
    if (name === undefined) throw usageFault('--role customer needs --name with the customer id.');
    return { role: known, customerId: name };
  }
  return { role: known, name: name ?? 'command' };
}

runScript('token', main);
