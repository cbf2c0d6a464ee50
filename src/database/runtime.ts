import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { birthOf, isAlive } from './embedded/processes';

/** What a running Holdfast tells the scripts beside it. */
export interface Runtime {
  /** Of the Holdfast that wrote it. */
  pid: number;
  databaseUrl: string;
  /** Of its RabbitMQ, where it has one. */
  brokerUrl?: string;
  /** Where the GraphQL door listens, once it does. */
  gatewayPort?: number;
  /** Where the gRPC door listens, as host and port. */
  grpcTarget?: string;
}

/** What the Holdfast that runs on this data folder has written; undefined when none runs. */
export async function readRuntime(dataDir: string): Promise<Runtime | undefined> {
  const text = await readFile(runtimeFile(dataDir), 'utf8').catch(() => undefined);
  const stored = text === undefined ? undefined : parse(text);
  if (stored === undefined || !isAlive(stored.pid)) return undefined;
  if (stored.birth !== undefined && stored.birth !== birthOf(stored.pid)) return undefined;
  const { pid, databaseUrl, brokerUrl, gatewayPort, grpcTarget } = stored;
  return { pid, databaseUrl, brokerUrl, gatewayPort, grpcTarget };
}

/** Replaces the file whole, with this process as its owner. Mode 0600, because the URL holds the password. */
export async function writeRuntime(dataDir: string, runtime: Omit<Runtime, 'pid'>): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const stored: StoredRuntime = { pid: process.pid, birth: birthOf(process.pid), ...runtime };
  const draft = `${runtimeFile(dataDir)}.${randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(stored, undefined, 2)}\n`, { mode: 0o600 });
  await rename(draft, runtimeFile(dataDir));
}

interface StoredRuntime extends Runtime {
  /** Tells the writer from a later process with the same pid. */
  birth: string | undefined;
}

function runtimeFile(dataDir: string): string {
  return join(dataDir, 'runtime.json');
}

function parse(text: string): StoredRuntime | undefined {
  try {
    const stored = JSON.parse(text) as Partial<StoredRuntime> | null;
    return Number.isSafeInteger(stored?.pid) && typeof stored?.databaseUrl === 'string' ? (stored as StoredRuntime) : undefined;
  } catch {
    return undefined;
  }
}
