import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

/**
 * The port for the server of this cluster: the one it had last time, else the preferred one, else any that is free. So a URL noted
 * down yesterday works today, unless somebody else sits there.
 */
export async function choosePort(clusterDir: string, preferred: number): Promise<number> {
  for (const port of [await readPort(clusterDir), preferred]) {
    const found = port === undefined ? undefined : await tryPort(port);
    if (found !== undefined) return found;
  }
  const free = await tryPort(0);
  if (free === undefined)
    throw new Error('No free port on 127.0.0.1 for the embedded Postgres. Set DATABASE_URL to a Postgres of your own.');
  return free;
}

/** Remembers the port for the next start. */
export async function keepPort(clusterDir: string, port: number): Promise<void> {
  await writeFile(join(clusterDir, 'port'), `${port}\n`, { mode: 0o600 });
}

async function readPort(clusterDir: string): Promise<number | undefined> {
  const text = await readFile(join(clusterDir, 'port'), 'utf8').catch(() => '');
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined;
}

/** The port when it can be had; for 0, one that is free. */
async function tryPort(port: number): Promise<number | undefined> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    return (probe.address() as AddressInfo).port;
  } catch {
    return undefined;
  } finally {
    probe.close();
  }
}
