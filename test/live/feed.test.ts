import { randomInt } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { type Database } from '../../src/database';
import { createFeed, CursorAhead, type Feed, type Positioned } from '../../src/live';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** Following a table whose rows are committed in another order than their positions were drawn in. */
interface Row extends Positioned {
  writer: number;
  number: number;
}

const random = () => randomInt(2 ** 32) / 2 ** 32;
let test: TestDatabase;
let database: Database;
let looks = 0;
let pages = 0;
const over = new AbortController();
const rowsAfter = (position: bigint, limit: number): Promise<Row[]> => {
  looks += 1;
  return database.$queryRaw`SELECT * FROM followed WHERE position > ${position} ORDER BY position LIMIT ${limit}`;
};
const read = (after: bigint, upTo: bigint, limit: number): Promise<Row[]> => {
  pages += 1;
  return database.$queryRaw`
    SELECT * FROM followed WHERE position > ${after} AND position <= ${upTo} ORDER BY position LIMIT ${limit}`;
};

beforeAll(async () => {
  test = await createTestDatabase({ poolSize: 30, idleInTransactionTimeoutMs: 60_000 });
  database = test.database;
  await database.$executeRaw`
    CREATE TABLE followed (position bigserial PRIMARY KEY, writer int, number int, at timestamptz DEFAULT clock_timestamp())`;
});
afterAll(async () => {
  over.abort();
  await eventually(async () => (await Promise.resolve(database.connections())).waiting === 0);
  await test.drop();
});

const aFeed = () => createFeed<Row>({ database, table: 'followed', column: 'position', rowsAfter });
const write = (writer = 0, number = 0) =>
  database.$executeRaw`INSERT INTO followed (writer, number) VALUES (${writer}, ${number})`;

/** Heard rows, each one as `writer.number`, until it is stopped. */
function listen(feed: Feed<Row>, after?: bigint) {
  const stop = new AbortController();
  const heard: Row[] = [];
  let failure: unknown;
  const signal = AbortSignal.any([stop.signal, over.signal]);
  let begun = false;
  const options = { after, isWanted: () => true, read, signal, onBegin: () => (begun = true) };
  const done = (async () => {
    for await (const { rows } of feed.follow(options)) heard.push(...rows);
  })().catch((error: unknown) => (failure = error));
  return {
    heard,
    begun: () => eventually(() => begun),
    texts: () => heard.map(({ writer, number }) => `${writer}.${number}`),
    end: async () => (stop.abort(), await done),
    failure: async () => (await done, failure),
  };
}

/** A transaction that writes a row and stays open until it is told how to end. */
function openWriter(writer: number) {
  let settle: (how: 'commit' | 'rollback') => void = () => undefined;
  const told = new Promise<'commit' | 'rollback'>((resolve) => (settle = resolve));
  let written: () => void = () => undefined;
  const hasWritten = new Promise<void>((resolve) => (written = resolve));
  const done = database
    .$transaction(
      async (tx) => {
        await tx.$executeRaw`INSERT INTO followed (writer, number) VALUES (${writer}, 0)`;
        written();
        if ((await told) === 'rollback') throw new Error('rolled back');
      },
      { timeout: 30_000 },
    )
    .catch(() => undefined);
  return { hasWritten, end: async (how: 'commit' | 'rollback') => (settle(how), await done) };
}

/** A transaction that has written to another table and stays open until it is told to end. */
async function openElsewhere() {
  let letGo: () => void = () => undefined;
  const over = new Promise<void>((resolve) => (letGo = resolve));
  let written: () => void = () => undefined;
  const hasWritten = new Promise<void>((resolve) => (written = resolve));
  const done = database.$transaction(
    async (tx) => {
      await tx.$executeRaw`CREATE TABLE IF NOT EXISTS elsewhere (n int)`;
      written();
      await over;
    },
    { timeout: 60_000 },
  );
  await Promise.race([hasWritten, done]);
  return { end: async () => (letGo(), await done) };
}

it('waits for a row that was drawn before and is committed after others', async () => {
  const listener = listen(aFeed());
  await listener.begun();
  const early = openWriter(1);
  await early.hasWritten;
  await write(2);
  await write(3);
  await pause(300);
  expect(listener.texts()).toEqual([]);
  await early.end('commit');
  await eventually(() => listener.heard.length === 3);
  expect(listener.texts()).toEqual(['1.0', '2.0', '3.0']);
  await listener.end();
});

it('goes on past a row that was rolled back, whatever else goes on in the database', async () => {
  const listener = listen(aFeed());
  await listener.begun();
  const elsewhere = await openElsewhere();
  const failing = openWriter(1);
  await failing.hasWritten;
  await write(2);
  await failing.end('rollback');
  try {
    // Sooner than the other transaction would end by its timeout.
    await eventually(() => listener.heard.length === 1, 30_000);
    expect(listener.texts()).toEqual(['2.0']);
  } finally {
    await elsewhere.end();
  }
  await listener.end();
});

it('who begins while a row is under way hears of it', async () => {
  const early = openWriter(1);
  await early.hasWritten;
  await write(2);
  const listener = listen(aFeed());
  await pause(200);
  await early.end('commit');
  await listener.begun();
  await write(3);
  await eventually(() => listener.texts().at(-1) === '3.0');
  expect(listener.texts()).toContain('1.0');
  await listener.end();
});

it('who comes back while a row is under way hears of it, however far below it is', async () => {
  await write(0);
  const [{ newest }] = (await database.$queryRaw<{ newest: bigint }[]>`SELECT max(position) AS newest FROM followed`) as [
    { newest: bigint },
  ];
  const early = openWriter(1);
  await early.hasWritten;
  await database.$executeRaw`INSERT INTO followed (writer, number) SELECT 2, g FROM generate_series(1, 3000) AS g`;
  const listener = listen(aFeed(), newest);
  await pause(300);
  expect(listener.heard).toEqual([]);
  await early.end('commit');
  await eventually(() => listener.heard.length === 3_001);
  expect(listener.texts()[0]).toBe('1.0');
  await listener.end();
});

it('one look serves all listeners, and nobody looks while nobody listens', async () => {
  const feed = aFeed();
  const listeners = Array.from({ length: 50 }, () => listen(feed));
  await Promise.all(listeners.map((listener) => listener.begun()));
  const before = { looks, pages };
  for (let number = 0; number < 20; number++) await write(9, number);
  for (const { heard } of listeners) await eventually(() => heard.length === 20);
  expect(looks - before.looks).toBeLessThan(25);
  expect(pages - before.pages).toBe(0);
  await Promise.all(listeners.map((listener) => listener.end()));
  await pause(600);
  const after = looks;
  await pause(1_200);
  expect(looks).toBe(after);
});

it('who is slower than what is remembered reads page by page, and misses nothing', async () => {
  const feed = aFeed();
  const fast = listen(feed);
  await fast.begun();
  const slowly: bigint[] = [];
  const stop = new AbortController();
  const slow = (async () => {
    for await (const { rows } of feed.follow({ isWanted: () => true, read, signal: stop.signal })) {
      expect(rows.length).toBeLessThanOrEqual(100);
      slowly.push(...rows.map(({ position }) => position));
      await pause(15);
    }
  })();
  await pause(100);
  const before = pages;
  for (let n = 0; n < 6; n++)
    await database.$executeRaw`INSERT INTO followed (writer, number) SELECT 7, g FROM generate_series(1, 900) AS g`;
  await eventually(() => fast.heard.length === 5_400);
  await eventually(() => slowly.length === 5_400);
  expect(slowly).toEqual(fast.heard.map(({ position }) => position));
  expect(pages).toBeGreaterThan(before);
  stop.abort();
  await Promise.all([slow, fast.end()]);
});

it('a position that nobody can have had is refused', async () => {
  const listener = listen(aFeed(), 10n ** 12n);
  expect(await listener.failure()).toBeInstanceOf(CursorAhead);
});

it('whatever commits and fails in whatever order, everybody hears of each row that is there once, each writer in its order', async () => {
  const feeds = [aFeed(), aFeed()];
  const first = listen(feeds[0]!);
  await first.begun();
  const begin = first.heard.length;
  // Comes back again and again, at one feed or the other, with the position that it had last.
  const wanderer: Row[] = [];
  let isWriting = true;
  const wandering = (async () => {
    let after: bigint | undefined = (await database.$queryRaw<{ n: bigint }[]>`SELECT max(position) AS n FROM followed`)[0]!.n;
    for (let visit = 0; isWriting || visit < 1; visit++) {
      const listener: ReturnType<typeof listen> = listen(feeds[visit % 2]!, after);
      await pause(20 + random() * 80);
      await listener.end();
      wanderer.push(...listener.heard);
      after = listener.heard.at(-1)?.position ?? after;
    }
    return after;
  })();
  await Promise.all(
    Array.from({ length: 20 }, async (_, writer) => {
      for (let number = 1; number <= 25; number++) {
        await database
          .$transaction(async (tx) => {
            await tx.$executeRaw`INSERT INTO followed (writer, number) VALUES (${100 + writer}, ${number})`;
            await pause(random() * 20);
            if (random() < 0.2) throw new Error('rolled back');
          })
          .catch(() => undefined);
      }
    }),
  );
  const there = await database.$queryRaw<
    Row[]
  >`SELECT position, writer, number FROM followed WHERE writer >= 100 ORDER BY position`;
  await eventually(() => first.heard.length - begin >= there.length);
  isWriting = false;
  const last = listen(feeds[0]!, await wandering);
  await eventually(() => wanderer.length + last.heard.length >= there.length);
  const positions = there.map(({ position }) => position);
  expect(first.heard.slice(begin).map(({ position }) => position)).toEqual(positions);
  expect([...wanderer, ...last.heard].map(({ position }) => position)).toEqual(positions);
  await Promise.all([first.end(), last.end()]);
});
