import { join } from 'node:path';

import { migrate, startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/database';
import { startPrivateRabbitmq, type PrivateRabbitmq } from '../../src/messaging/brokers/privateRabbitmq';
import { type Undo } from '../../src/undo';
import { ProcessTable } from './procfs';

/** A Postgres and a RabbitMQ of the bench's own, on loopback. */
export interface Servers {
  folder: string;
  postgres: EmbeddedPostgres;
  rabbitmq: PrivateRabbitmq;
}

/** `hosts`: virtual hosts of RabbitMQ beside the first, so that several Holdfasts share a server and no queue. */
export async function startServers(folder: string, hosts: string[], undo: Undo): Promise<Servers> {
  const postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'database'), port: 0 });
  undo.add(() => postgres.stop());
  const rabbitmq = await endedWithUs(() => startPrivateRabbitmq({ dataDir: join(folder, 'rabbitmq'), vhosts: hosts }));
  undo.add(() => rabbitmq.kill9());
  return { folder, postgres, rabbitmq };
}

/**
 * A server that is up ends with us by itself, but one that is only starting would go on alone when a second signal ends the bench at
 * once: then whatever was started since the beginning of its start is ended.
 */
async function endedWithUs<T>(start: () => Promise<T>): Promise<T> {
  const before = new ProcessTable().children(process.pid);
  const endStarted = () => {
    const started = new ProcessTable().children(process.pid).filter((pid) => !before.includes(pid));
    for (const pid of started) process.kill(pid, 'SIGKILL');
  };
  process.once('exit', endStarted);
  try {
    return await start();
  } finally {
    process.removeListener('exit', endStarted);
  }
}

/** A database of this name on the server, brought to this release. */
export async function makeDatabase({ postgres }: Servers, name: string): Promise<string> {
  const url = databaseUrl({ postgres }, name);
  await migrate(url);
  return url;
}

export function databaseUrl({ postgres }: Pick<Servers, 'postgres'>, name: string): string {
  const url = new URL(postgres.url);
  url.pathname = `/${name}`;
  return url.href;
}
