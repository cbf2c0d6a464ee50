import { accessSync, constants, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/**
 * The start script of the installed RabbitMQ, or undefined when there is none. Debian's command on the PATH is a wrapper that
 * switches to the system's own user and folders, so the script that belongs to the server itself is looked for first.
 */
export function findRabbitmqServer(path: string = process.env.PATH ?? ''): string | undefined {
  const onPath = path
    .split(delimiter)
    .map((folder) => join(folder, 'rabbitmq-server'))
    .find(isExecutable);
  const real = onPath === undefined ? undefined : realpathSync(onPath);
  const beside = real === undefined ? [] : [real, ...versions(join(dirname(real), '..', 'lib', 'rabbitmq', 'lib'))];
  return [...versions('/usr/lib/rabbitmq/lib'), ...beside].find((script) => isExecutable(script) && isServersOwn(script));
}

function versions(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.startsWith('rabbitmq_server-'));
    return names
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      .map((name) => join(folder, name, 'sbin', 'rabbitmq-server'));
  } catch {
    return [];
  }
}

/** The server's own script stands beside its environment script; a wrapper stands alone. */
function isServersOwn(script: string): boolean {
  return isExecutable(join(dirname(script), 'rabbitmq-env'));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
