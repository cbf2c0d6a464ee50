import { readFileSync } from 'node:fs';

import { usageFault } from './exit';

/**
 * The passwords of the given users: of each line `user=password` of the file, or of the environment (PASSWORD_GATEWAY for `gateway`).
 * Never of the command line, where every user of the machine can read them.
 */
export function readPasswords<User extends string>(
  users: readonly User[],
  file: string | undefined,
): Partial<Record<User, string>> {
  const given = file === undefined ? new Map<string, string>() : fromFile(file);
  const strangers = [...given.keys()].filter((user) => !(users as readonly string[]).includes(user));
  if (strangers.length > 0) throw usageFault(`${file}: there is no user ${strangers.join(', ')}; there are ${users.join(', ')}.`);
  const entries = users.map((user) => [user, given.get(user) ?? process.env[`PASSWORD_${user.toUpperCase()}`]] as const);
  const known = entries.filter((entry): entry is [User, string] => entry[1] !== undefined && entry[1] !== '');
  const short = known.filter(([, password]) => password.length < PASSWORD_MIN).map(([user]) => user);
  if (short.length > 0)
    throw usageFault(
      `The password of ${short.join(', ')} is too short: ${PASSWORD_MIN} characters at least (\`openssl rand -hex 24\`).`,
    );
  return Object.fromEntries(known) as Partial<Record<User, string>>;
}

const PASSWORD_MIN = 16;

function fromFile(file: string): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw usageFault(`--password-file ${file} cannot be read (${(error as NodeJS.ErrnoException).code}).`);
  }
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  if (lines.some((line) => !/^[a-z]+=./.test(line))) throw usageFault(`${file}: every line must be user=password.`);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).trimEnd()]));
}
