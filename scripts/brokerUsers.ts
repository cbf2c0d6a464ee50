import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

import { deskTopology, notificationsTopology, topology } from '../src/messaging';
import { readConfig } from '../src/config';
import { passwordHash } from '../src/messaging/brokers/privateRabbitmqFiles';
import { connectRabbitmq } from '../src/messaging/brokers/rabbitmq';
import { rabbitmqNodes } from '../src/messaging/brokers/rabbitmqUrl';
import { brokerPermissions, roleNames, type RoleName } from '../src/roles';
import { exitCodes, outOfReach, runScript, usageFault } from './exit';
import { readPasswords } from './passwords';

const usage = `Usage: npm run -s broker-users -- --password-file FILE > users.json
       rabbitmqctl import_definitions users.json

Declares the exchanges, queues and bindings of Holdfast on RABBITMQ_URL (a user who may configure everything), and prints
definitions with a user for each role (${roleNames.map((role) => `holdfast_${role}`).join(', ')})
who may do what the role does, and nothing else. Safe to repeat; to be done again with every release.

  --password-file FILE   a line user=password for each (gateway=…); or PASSWORD_GATEWAY and so on in the environment.
                         Who has none is left out. There are only hashes in what is printed
  --prefix TEXT          before each name, instead of holdfast_
  --no-declare           only prints; the virtual host is still that of RABBITMQ_URL

Exit codes: 0 done · 1 failed · 64 wrong options or settings · 69 RabbitMQ out of reach
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      'password-file': { type: 'string' },
      prefix: { type: 'string', default: 'holdfast_' },
      'no-declare': { type: 'boolean', default: false },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const { RABBITMQ_URL: url } = readConfig(process.env);
  if (url === undefined) throw usageFault('RABBITMQ_URL is not set: it names the broker, with a user who may configure it.');
  const passwords = readPasswords(roleNames, values['password-file']);
  if (!values['no-declare']) await declareEverything(url);
  const vhost = decodeURIComponent(rabbitmqNodes(url)[0]!.pathname.slice(1)) || '/';
  process.stdout.write(`${JSON.stringify(brokerUsers({ vhost, prefix: values.prefix, passwords }), null, 2)}\n`);
  return exitCodes.passed;
}

/** What the roles may not do themselves. */
async function declareEverything(url: string): Promise<void> {
  const options = {
    url,
    random: () => randomInt(2 ** 32) / 2 ** 32,
    connectionName: 'holdfast broker-users',
    bootTimeoutMs: 10_000,
  };
  const broker = await connectRabbitmq(options).catch((error: Error) => {
    throw outOfReach(error.message);
  });
  try {
    for (const part of [topology, notificationsTopology, deskTopology]) await broker.declare(part);
  } finally {
    await broker.close();
  }
}

/** As `rabbitmqctl import_definitions` takes them: added to what is there, replacing users and permissions of the same name. */
export function brokerUsers(options: { vhost: string; prefix: string; passwords: Partial<Record<RoleName, string>> }) {
  const { vhost, prefix, passwords } = options;
  const users = roleNames.flatMap((role) => (passwords[role] === undefined ? [] : [[role, passwords[role]] as const]));
  const permissions = users.map(([role]) => ({ user: `${prefix}${role}`, vhost, ...brokerPermissions(role) }));
  return {
    users: users.map(([role, password]) => ({ name: `${prefix}${role}`, ...passwordHash(password), tags: '' })),
    permissions: permissions.map(({ user, configure, write, read }) => ({ user, vhost, configure, write, read })),
    topic_permissions: permissions.flatMap(({ user, topics }) => topics.map((topic) => ({ user, vhost, ...topic, read: '' }))),
  };
}

if (require.main === module) runScript('broker-users', main, { atOnce: true });
