import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';
import { Client } from 'pg';

import {
  classifyDatabaseError,
  openDatabase,
  Prisma,
  RetryTransaction,
  sqlStateOf,
  transaction,
  type Database,
} from '../../src/database';
import { withConnection } from '../../src/database/connection';
import { plainUrl } from '../../src/database/url';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { startTcpProxy } from '../../scripts/chaos/tcpProxy';

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  test = await createTestDatabase({ lockTimeoutMs: 100, statementTimeoutMs: 500 });
  database = test.database;
  await database.$executeRaw`CREATE TABLE parent (id int PRIMARY KEY)`;
  await database.$executeRaw`CREATE TABLE thing (id int PRIMARY KEY, parent_id int REFERENCES parent, amount int NOT NULL CHECK (amount > 0), name varchar(3))`;
  await database.$executeRaw`INSERT INTO thing VALUES (1, NULL, 1, 'abc')`;
});
afterAll(() => test.drop());

describe('classifyDatabaseError, on errors of the real server', () => {
  const refused: [string, string, Prisma.Sql][] = [
    ['23505', 'conflict', Prisma.sql`INSERT INTO thing VALUES (1, NULL, 1, 'abc')`],
    ['23514', 'constraint', Prisma.sql`INSERT INTO thing VALUES (2, NULL, 0, 'abc')`],
    ['23502', 'constraint', Prisma.sql`INSERT INTO thing VALUES (2, NULL, NULL, 'abc')`],
    ['23503', 'constraint', Prisma.sql`INSERT INTO thing VALUES (2, 99, 1, 'abc')`],
    ['22001', 'data', Prisma.sql`INSERT INTO thing VALUES (2, NULL, 1, 'too long')`],
    ['22003', 'data', Prisma.sql`INSERT INTO thing VALUES (2, NULL, 2147483647::bigint + 1, 'abc')`],
    ['22P02', 'data', Prisma.sql`SELECT 'abc'::int`],
    ['22012', 'data', Prisma.sql`SELECT 1 / 0`],
    ['57014', 'unavailable', Prisma.sql`SELECT pg_sleep(5)::text`],
    ['42601', 'other', Prisma.sql`SELEC 1`],
    ['42P01', 'other', Prisma.sql`SELECT * FROM nowhere`],
    ['40001', 'retry', raising('40001')],
    ['40P01', 'retry', raising('40P01')],
    ['53100', 'unavailable', raising('53100')],
    ['53300', 'unavailable', raising('53300')],
    ['57P03', 'unavailable', raising('57P03')],
    ['08006', 'unknown-outcome', raising('08006')],
    ['40003', 'unknown-outcome', raising('40003')],
  ];
  it.each(refused)('%s is %s, alone and inside a transaction', async (sqlState, expected, statement) => {
    for (const run of [
      () => database.$executeRaw(statement),
      () => transaction(database, (tx) => tx.$executeRaw(statement), { attemptsMax: 1 }),
    ]) {
      const error = await rejection(run());
      expect([sqlStateOf(error), classifyDatabaseError(error)]).toEqual([sqlState, expected]);
    }
  });

  it('55P03, a lock not had within lock_timeout, is retry', async () => {
    const error = await transaction(database, async (tx) => {
      await tx.$executeRaw`UPDATE thing SET amount = amount WHERE id = 1`;
      return rejection(database.$executeRaw`UPDATE thing SET amount = amount WHERE id = 1`);
    });
    expect([sqlStateOf(error), classifyDatabaseError(error)]).toEqual(['55P03', 'retry']);
  });

  it.each(['23505 by create', '22001 by update'])('errors of model calls carry the same classes: %s', async (which) => {
    const order = {
      id: 'ORD-1',
      customerId: 'c',
      status: 'PENDING',
      correlationId: 'x',
      currency: 'EUR',
      deadlineAt: new Date(),
      watchAt: new Date(),
    } as const;
    await database.order.upsert({ where: { id: order.id }, create: order, update: {} });
    const error = await rejection(
      which.startsWith('23505')
        ? database.order.create({ data: order })
        : database.order.update({ where: { id: order.id }, data: { currency: 'too long' } }),
    );
    expect(classifyDatabaseError(error)).toBe(which.startsWith('23505') ? 'conflict' : 'data');
  });

  it('57P01, a session ended by an operator in the middle of its work, is unknown-outcome', async () => {
    const error = await rejection(
      transaction(database, async (tx) => {
        const [session] = await tx.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
        await tx.$executeRaw`SET LOCAL statement_timeout = 0`;
        // Far longer than it takes to end the session, however busy the machine is.
        const sleeping = rejection(tx.$queryRaw`SELECT pg_sleep(30)::text`);
        await database.$queryRaw`SELECT pg_terminate_backend(${session!.pid}::int)`;
        throw await sleeping;
      }),
    );
    expect(classifyDatabaseError(error)).toBe('unknown-outcome');
    await database.$queryRaw`SELECT 1`;
  });

  it('a connection cut while COMMIT is under way is unknown-outcome', async () => {
    const { hostname, port } = new URL(test.url);
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    const remote = openDatabase({ url: through(test.url, proxy.port), poolSize: 1 });
    try {
      const error = await rejection(
        transaction(remote, async (tx) => {
          await tx.$executeRaw`INSERT INTO parent VALUES (${randomInt(1_000_000)})`;
          proxy.blackHole();
          setTimeout(() => proxy.heal(), 50);
        }),
      );
      expect(classifyDatabaseError(error)).toBe('unknown-outcome');
    } finally {
      await remote.close();
      await proxy.close();
    }
  });

  it('a server that falls silent is given up, as unknown-outcome', async () => {
    const { hostname, port } = new URL(test.url);
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    const remote = openDatabase({ url: through(test.url, proxy.port), poolSize: 1, statementTimeoutMs: 200 });
    try {
      await remote.$queryRaw`SELECT 1`;
      proxy.blackHole();
      expect(classifyDatabaseError(await rejection(remote.$queryRaw`SELECT 2`))).toBe('unknown-outcome');
    } finally {
      await proxy.close();
      await remote.close();
    }
  });

  it('53300, every connection of the server taken, is unavailable', async () => {
    const name = new URL(test.url).pathname.slice(1);
    const role = `narrow_${name}`;
    await withConnection(test.url, (client) => client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'narrow' CONNECTION LIMIT 0`));
    const url = new URL(test.url);
    url.username = role;
    url.password = 'narrow';
    const narrow = openDatabase({ url: url.href, poolSize: 1 });
    try {
      const error = await rejection(narrow.$queryRaw`SELECT 1`);
      expect([sqlStateOf(error), classifyDatabaseError(error)]).toEqual(['53300', 'unavailable']);
      expect(classifyDatabaseError(await rejection(transaction(narrow, (tx) => tx.$queryRaw`SELECT 1`)))).toBe('unavailable');
    } finally {
      await narrow.close();
      await withConnection(test.url, (client) => client.query(`DROP ROLE ${role}`));
    }
  });

  it('nobody listening, nobody answering, no such database, a wrong password and a pool with nothing free are unavailable', async () => {
    const mute = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    const wrongPassword = new URL(test.url);
    wrongPassword.password = 'wrong';
    const urls = [
      through(test.url, 1),
      through(test.url, (mute.address() as { port: number }).port),
      plainUrl(test.url, 'nowhere'),
      wrongPassword.href,
    ];
    for (const url of urls) {
      const absent = openDatabase({ url, poolSize: 1, connectionTimeoutMs: 200 });
      expect(classifyDatabaseError(await rejection(absent.$queryRaw`SELECT 1`))).toBe('unavailable');
      expect(classifyDatabaseError(await rejection(transaction(absent, (tx) => tx.$queryRaw`SELECT 1`)))).toBe('unavailable');
      await absent.close();
    }
    mute.close();
    const full = openDatabase({ url: test.url, poolSize: 1, connectionTimeoutMs: 100 });
    const holder = rejection(full.$queryRaw`SELECT pg_sleep(0.4)::text`);
    expect(classifyDatabaseError(await rejection(full.$queryRaw`SELECT 1`))).toBe('unavailable');
    await holder;
    await full.close();
  });
});

describe('classifyDatabaseError, on anything else', () => {
  it.each([
    [new RetryTransaction('again'), 'retry'],
    [new Error('wrapped', { cause: new RetryTransaction('again') }), 'retry'],
    [new Error('something'), 'other'],
    [undefined, 'other'],
    ['40001', 'other'],
    [Object.assign(new Error('a circle'), { cause: undefined }), 'other'],
  ])('%s is %s', (error, expected) => {
    expect(classifyDatabaseError(error)).toBe(expected);
  });

  it('comes to an end on causes that go round in a circle', () => {
    const circle: { cause?: unknown } = {};
    circle.cause = circle;
    expect(classifyDatabaseError(circle)).toBe('other');
  });
});

/** The server itself raises the code, for those that cannot be brought about on purpose. */
function raising(sqlState: string): Prisma.Sql {
  return Prisma.raw(`DO $$ BEGIN RAISE EXCEPTION 'brought about' USING ERRCODE = '${sqlState}'; END $$`);
}

function through(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

it('outlives a server that takes its leave twice on one connection', async () => {
  const clients: Client[] = [];
  const connect = jest.spyOn(Client.prototype, 'connect');
  const own = openDatabase({ url: test.url, poolSize: 1 });
  try {
    await own.$queryRaw`SELECT 1`;
    clients.push(...(connect.mock.contexts as Client[]));
    expect(clients).toHaveLength(1);
    // The pool's listener goes when the connection is handed out, the adapter's comes a moment later; an error between must meet one.
    const [client] = clients;
    const listeners = client!.listeners('error') as ((error: Error) => void)[];
    const ofThePool = listeners.filter((listener) => listener.toString().includes('client'));
    ofThePool.forEach((listener) => client!.off('error', listener));
    expect(() => client!.emit('error', new Error('terminating connection due to unexpected postmaster exit'))).not.toThrow();
    ofThePool.forEach((listener) => client!.on('error', listener));
  } finally {
    connect.mockRestore();
    await own.close();
  }
});
