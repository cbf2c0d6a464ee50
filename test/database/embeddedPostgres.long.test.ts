import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';

import { startEmbeddedPostgres } from '../../src/database';
import { withConnection } from '../../src/database/connection';
import { birthOf, commandLineOf, isAlive } from '../../src/database/embedded/processes';
import { startChild, type Child } from '../support/child';
import { eventually } from '../support/eventually';

interface Started {
  url: string;
  port: number;
  pid: number;
  version: string;
  isNew: boolean;
  refusal?: string;
}

const stopped = mkdtempSync(join(tmpdir(), 'holdfast-stopped-'));
let dataDir: string;
let children: Child[];

beforeAll(async () => (await startEmbeddedPostgres({ dataDir: stopped, port: 0 })).stop());
afterAll(() => rmSync(stopped, { recursive: true, force: true }));
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'holdfast-embedded-'));
  children = [];
});
afterEach(async () => {
  await Promise.all(children.map((child) => child.end('SIGTERM')));
  // Whoever was killed left its server to end by itself.
  await eventually(() => !runningPostmaster());
  rmSync(dataDir, { recursive: true, force: true });
});

describe('startEmbeddedPostgres', () => {
  it('creates its data once, stops cleanly, and finds data and port again', async () => {
    const first = await startEmbeddedPostgres({ dataDir, port: 0 });
    expect(first).toMatchObject({ isNew: true, version: expect.stringMatching(/^\d+\.\d+$/) as string });
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);

    const second = await startEmbeddedPostgres({ dataDir, port: 0 });
    expect(second).toMatchObject({ isNew: false, port: first.port });
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
    expect(readFileSync(join(dataDir, 'postgres.log'), 'utf8')).not.toMatch(/not properly shut down/);
    await second.stop();
  });

  it('lets nobody in without the generated password, which only its owner can read', async () => {
    const postgres = await startEmbeddedPostgres({ dataDir, port: 0 });
    for (const password of ['', 'postgres', 'holdfast']) {
      const intruder = new Client({ host: '127.0.0.1', port: postgres.port, user: 'holdfast', database: 'holdfast', password });
      await expect(intruder.connect()).rejects.toThrow(/password/i);
    }
    expect(statSync(join(dataDir, 'postgres', 'password')).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, 'postgres')).mode & 0o777).toBe(0o700);
    const [settings] = await query(
      postgres.url,
      `SELECT current_setting('listen_addresses') AS addresses, current_setting('unix_socket_directories') AS sockets, current_setting('fsync') AS fsync,
              current_setting('synchronous_commit') AS commit, (SELECT bool_and(auth_method = 'scram-sha-256') FROM pg_hba_file_rules) AS scram`,
    );
    expect(settings).toEqual({ addresses: '127.0.0.1', sockets: '', fsync: 'on', commit: 'on', scram: true });
    await postgres.stop();
  });

  it('takes another port when the preferred one is busy', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const { port } = squatter.address() as { port: number };
    const postgres = await startEmbeddedPostgres({ dataDir, port });
    expect(postgres.port).not.toBe(port);
    await postgres.stop();
    squatter.close();
  });

  it('recovers after everything was killed, with all that was committed', async () => {
    usedBefore();
    const [child, first] = await startInChild();
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    // The postmaster takes its own processes with it.
    process.kill(first.pid, 'SIGKILL');
    await child.end('SIGKILL');
    const [, second] = await startInChild();
    expect(second).toMatchObject({ isNew: false, port: first.port });
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('stops a server whose Holdfast was killed, even before the next start', async () => {
    usedBefore();
    const [child, first] = await startInChild();
    await child.end('SIGKILL');
    await eventually(() => !isAlive(first.pid));
  });

  it('stops a left-over server that nobody told to stop, and starts its own', async () => {
    usedBefore();
    const [child, first] = await startInChild();
    const holder = new Client({ connectionString: first.url });
    holder.on('error', () => undefined);
    await holder.connect();
    for (const statement of ['CREATE TABLE locked (id int)', 'BEGIN', 'LOCK TABLE locked']) await holder.query(statement);
    endWatcherOf(first.pid);
    await child.end('SIGKILL');
    expect(isAlive(first.pid)).toBe(true);

    const [, second] = await startInChild();
    expect(second.pid).not.toBe(first.pid);
    expect(isAlive(first.pid)).toBe(false);
    expect(await query(second.url, 'SELECT count(*)::int FROM locked')).toEqual([{ count: 0 }]);
  });

  it('starts the server again, on the same port, when it dies under us', async () => {
    usedBefore();
    const postgres = await startEmbeddedPostgres({ dataDir, port: 0 });
    const before = postgres.pid;
    process.kill(before, 'SIGKILL');
    await eventually(() => query(postgres.url, 'SELECT 1'));
    expect(postgres.pid).not.toBe(before);
    await postgres.stop();
    expect(isAlive(postgres.pid)).toBe(false);
  });

  it('refuses a second Holdfast on the same data, naming the pid and the folder', async () => {
    usedBefore();
    const [child] = await startInChild();
    const [, refused] = await startInChild();
    expect(refused.refusal).toBe(
      `The data folder ${dataDir} is in use by the Holdfast with pid ${child.pid}. Stop that one, or give this one a folder of its own with HOLDFAST_DATA.`,
    );
  });

  it('lets exactly one of four in that start at the same instant', async () => {
    const outcomes = await Promise.all([startInChild(), startInChild(), startInChild(), startInChild()]);
    expect(outcomes.filter(([, outcome]) => outcome.refusal === undefined)).toHaveLength(1);
    expect(outcomes.filter(([, outcome]) => outcome.refusal?.includes(' is in use by the Holdfast with pid '))).toHaveLength(3);
  });

  it('is not kept out by an owner that is dead, or whose pid now belongs to another', async () => {
    writeFileSync(
      join(dataDir, 'owner.7'),
      JSON.stringify({
        pid: process.pid,
        birth: 'another boot/1',
        host: readFileSync('/proc/sys/kernel/hostname', 'utf8').trim(),
      }),
    );
    const postgres = await startEmbeddedPostgres({ dataDir, port: 0 });
    await postgres.stop();
    expect(readdirSync(dataDir).filter((name) => name.startsWith('owner'))).toEqual(['owner.8']);
  });

  it('is not kept out by a postmaster.pid whose number now belongs to a stranger', async () => {
    usedBefore();
    const [child, first] = await startInChild();
    await child.end('SIGTERM');
    writeFileSync(
      join(dataDir, 'postgres', 'data', 'postmaster.pid'),
      `${process.pid}\n${join(dataDir, 'postgres', 'data')}\n0\n${first.port}\n\n127.0.0.1\n0 0\nready   \n`,
    );
    const [, second] = await startInChild();
    expect(second).toMatchObject({ isNew: false });
  });

  it('does an initdb again that was killed in the middle', async () => {
    const child = startChild('embeddedPostgresProcess.ts', dataDir);
    await eventually(() =>
      readdirSync(dataDir).some((name) => name.includes('.unfinished-') && readdirSync(join(dataDir, name)).includes('data')),
    );
    await child.end('SIGKILL');
    const [, second] = await startInChild();
    expect(second).toMatchObject({ isNew: true });
    expect(readdirSync(dataDir).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  it('says what the server said when it cannot start, and leaves the folder free', async () => {
    usedBefore();
    const [child] = await startInChild();
    await child.end('SIGTERM');
    truncateSync(join(dataDir, 'postgres', 'data', 'global', 'pg_control'), 0);
    for (let time = 1; time <= 2; time++) {
      const [, broken] = await startInChild();
      expect(broken.refusal).toMatch(/^The embedded Postgres did not start: .*pg_control.*The end of .*postgres\.log:\n/);
    }
  });

  it('asks for the password file when it is gone', async () => {
    usedBefore();
    const [child] = await startInChild();
    await child.end('SIGTERM');
    rmSync(join(dataDir, 'postgres', 'password'));
    const [, refused] = await startInChild();
    expect(refused.refusal).toMatch(/Restore that file, or remove .* to begin with an empty database/);
  });

  it('begins its log anew when it has grown past its bound', async () => {
    usedBefore();
    writeFileSync(join(dataDir, 'postgres.log'), Buffer.alloc(11 * 1024 * 1024, 'x'));
    const postgres = await startEmbeddedPostgres({ dataDir, port: 0 });
    expect(statSync(join(dataDir, 'postgres.log')).size).toBeLessThan(100_000);
    await postgres.stop();
  });
});

describe('birthOf', () => {
  it('tells this process from its parent, and knows nothing of a dead one', () => {
    expect(birthOf(process.pid)).toBe(birthOf(process.pid));
    expect(birthOf(process.pid)).not.toBe(birthOf(process.ppid));
    expect(birthOf(2 ** 30)).toBeUndefined();
  });
});

/** Makes the data folder one that an earlier start and a clean stop left: an initdb less. */
const usedBefore = () => cpSync(stopped, dataDir, { recursive: true });

async function startInChild(): Promise<[Child, Started]> {
  const child = startChild('embeddedPostgresProcess.ts', dataDir);
  children.push(child);
  return [child, await child.firstLine<Started>()];
}

function query(url: string, statement: string): Promise<unknown[]> {
  return withConnection(url, async (client) => (await client.query<Record<string, unknown>>(statement)).rows);
}

function runningPostmaster(): boolean {
  try {
    const pid = Number(readFileSync(join(dataDir, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
    return isAlive(pid) && (commandLineOf(pid)?.includes(dataDir) ?? false);
  } catch {
    return false;
  }
}

/** Kills the shell that would tell this server to stop. */
function endWatcherOf(serverPid: number): void {
  const watchers = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && commandLineOf(pid)?.trim() === `/bin/sh -c read _; kill -INT "$0" ${serverPid}`);
  expect(watchers).toHaveLength(1);
  for (const pid of watchers) process.kill(pid, 'SIGKILL');
}
