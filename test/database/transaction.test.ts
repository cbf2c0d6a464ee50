import {
  classifyDatabaseError,
  openDatabase,
  RetryTransaction,
  sqlStateOf,
  transaction,
  type Database,
  type Transaction,
} from '../../src/database';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

let test: TestDatabase;
let database: Database;

beforeAll(async () => {
  test = await createTestDatabase({ poolSize: 4 });
  database = test.database;
  await database.$executeRaw`CREATE TABLE counter (id int PRIMARY KEY, value int NOT NULL CHECK (value >= 0))`;
});
afterAll(() => test.drop());
beforeEach(async () => {
  await database.$executeRaw`TRUNCATE counter`;
  await database.$executeRaw`INSERT INTO counter VALUES (1, 0), (2, 0)`;
});

const atOnce = { random: () => 0 };

describe('transaction', () => {
  it('commits all of the work and gives back its outcome', async () => {
    const outcome = await transaction(database, async (tx) => {
      await add(tx, 1);
      await add(tx, 2);
      return 'done';
    });
    expect(outcome).toBe('done');
    expect(await values()).toEqual([1, 1]);
  });

  it('keeps nothing when the work throws, and throws the same error', async () => {
    const refusal = new Error('No.');
    await expect(
      transaction(database, async (tx) => {
        await add(tx, 1);
        throw refusal;
      }),
    ).rejects.toBe(refusal);
    expect(await values()).toEqual([0, 0]);
  });

  it('runs both of two deadlocked transactions to their end, by running one again whole', async () => {
    const both = barrier(2);
    let runs = 0;
    const crossing = (first: number, second: number) =>
      transaction(
        database,
        async (tx) => {
          runs += 1;
          await add(tx, first);
          await both.arrive();
          await add(tx, second);
        },
        atOnce,
      );
    await Promise.all([crossing(1, 2), crossing(2, 1)]);
    expect(await values()).toEqual([2, 2]);
    expect(runs).toBe(3);
  });

  it('loses no update between serializable transactions', async () => {
    const both = barrier(2);
    const retried: unknown[] = [];
    const increment = () =>
      transaction(
        database,
        async (tx) => {
          const [row] = await tx.$queryRaw<{ value: number }[]>`SELECT value FROM counter WHERE id = 1`;
          await both.arrive();
          await tx.$executeRaw`UPDATE counter SET value = ${row!.value + 1} WHERE id = 1`;
        },
        { ...atOnce, isolationLevel: 'Serializable', onRetry: (error) => retried.push(sqlStateOf(error)) },
      );
    await Promise.all([increment(), increment()]);
    expect((await values())[0]).toBe(2);
    expect(retried).toEqual(['40001']);
  });

  it('runs again for a RetryTransaction, with what was done before rolled back', async () => {
    let runs = 0;
    await transaction(
      database,
      async (tx) => {
        await add(tx, 1);
        if (++runs < 3) throw new RetryTransaction('The row has changed.');
      },
      atOnce,
    );
    expect(runs).toBe(3);
    expect((await values())[0]).toBe(1);
  });

  it('gives up after the last attempt with the reason of that attempt', async () => {
    let runs = 0;
    const hopeless = transaction(database, () => Promise.reject(new RetryTransaction(`attempt ${++runs}`)), {
      ...atOnce,
      attemptsMax: 3,
    });
    await expect(hopeless).rejects.toThrow('attempt 3');
  });

  it('does not run again what would only fail again', async () => {
    let runs = 0;
    const violation = transaction(database, (tx) => {
      runs += 1;
      return tx.$executeRaw`INSERT INTO counter VALUES (1, 0)`;
    });
    await expect(violation).rejects.toThrow();
    expect(runs).toBe(1);
  });

  it('reports a transaction whose failed statement was swallowed, instead of calling its rollback a commit', async () => {
    const swallowing = transaction(database, async (tx) => {
      await add(tx, 1);
      await tx.$executeRaw`INSERT INTO counter VALUES (1, 0)`.catch(() => undefined);
    });
    await expect(swallowing).rejects.toThrow(/Nothing was committed/);
    expect((await values())[0]).toBe(0);
  });

  it('spreads its retries over longer and longer times', async () => {
    const started = performance.now();
    const retried: number[] = [];
    const slow = transaction(database, () => Promise.reject(new RetryTransaction('again')), {
      random: () => 0.999,
      attemptsMax: 4,
      onRetry: () => retried.push(performance.now() - started),
    });
    await expect(slow).rejects.toThrow('again');
    expect(retried[1]! - retried[0]!).toBeGreaterThan(18);
    expect(retried[2]! - retried[1]!).toBeGreaterThan(36);
  });
});

describe('a transaction that runs out of time', () => {
  it('is rolled back and told as unavailable, and its connection serves the next', async () => {
    const narrow = openDatabase({ url: test.url, poolSize: 1 });
    try {
      const late = transaction(
        narrow,
        async (tx) => {
          await add(tx, 1);
          await tx.$queryRaw`SELECT pg_sleep(0.4)::text`;
          await add(tx, 1);
        },
        { timeoutMs: 200 },
      );
      expect(classifyDatabaseError(await rejection(late))).toBe('unavailable');
      await transaction(narrow, (tx) => add(tx, 2));
      expect(await values()).toEqual([0, 1]);
    } finally {
      await narrow.close();
    }
  });

  it('is told as unavailable when no connection came free in time', async () => {
    const narrow = openDatabase({ url: test.url, poolSize: 1 });
    const holding = barrier(2);
    try {
      const holder = transaction(narrow, () => holding.arrive());
      const late = transaction(narrow, (tx) => add(tx, 1), { maxWaitMs: 100 });
      expect(classifyDatabaseError(await rejection(late))).toBe('unavailable');
      await holding.arrive();
      await holder;
      await transaction(narrow, (tx) => add(tx, 2));
      expect(await values()).toEqual([0, 1]);
    } finally {
      await narrow.close();
    }
  });

  it('leaves no open transaction behind when the event loop stalls between BEGIN and its answer', async () => {
    const narrow = openDatabase({ url: test.url, poolSize: 1 });
    try {
      await narrow.$queryRaw`SELECT 1`;
      const stalled = rejection(transaction(narrow, (tx) => add(tx, 1), { maxWaitMs: 50 }));
      // Long enough for maxWait to be over when the answer to BEGIN is read.
      await new Promise((resolve) => setImmediate(resolve));
      const until = performance.now() + 300;
      while (performance.now() < until);
      const error = await stalled;
      if (error !== undefined) expect(classifyDatabaseError(error)).toBe('unavailable');
      const [inside] = await narrow.$queryRaw<{ alone: boolean }[]>`SELECT now() = statement_timestamp() AS alone`;
      expect(inside).toEqual({ alone: true });
      const [open] = await database.$queryRaw<
        { count: number }[]
      >`SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`;
      expect(open).toEqual({ count: 0 });
    } finally {
      await narrow.close();
    }
  });

  it('is either committed or not, and nothing crashes, when its time ends during the COMMIT', async () => {
    await database.$executeRaw`CREATE TABLE slow (id int)`;
    await database.$executeRaw`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'`;
    await database.$executeRaw`CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()`;
    const error = await rejection(transaction(database, (tx) => tx.$executeRaw`INSERT INTO slow VALUES (1)`, { timeoutMs: 100 }));
    const [{ count } = { count: -1 }] = await database.$queryRaw<{ count: number }[]>`SELECT count(*)::int FROM slow`;
    expect(count).toBe(error === undefined ? 1 : 0);
    await Promise.all(Array.from({ length: 8 }, () => transaction(database, (tx) => add(tx, 1))));
    expect((await values())[0]).toBe(8);
    expect(database.connections().open).toBeLessThanOrEqual(4);
  });

  it('ends a session that holds its locks and says nothing', async () => {
    const idle = openDatabase({ url: test.url, poolSize: 1, idleInTransactionTimeoutMs: 1_000 });
    try {
      const forgotten = transaction(idle, async (tx) => {
        await add(tx, 1);
        await transaction(database, (other) => add(other, 1));
        await add(tx, 1);
      });
      expect(await rejection(forgotten)).toBeDefined();
      expect((await values())[0]).toBe(1);
      await transaction(idle, (tx) => add(tx, 2));
      expect((await values())[1]).toBe(1);
    } finally {
      await idle.close();
    }
  });
});

function add(tx: Transaction, id: number): Promise<number> {
  return tx.$executeRaw`UPDATE counter SET value = value + 1 WHERE id = ${id}`;
}

async function values(): Promise<number[]> {
  const rows = await database.$queryRaw<{ value: number }[]>`SELECT value FROM counter ORDER BY id`;
  return rows.map((row) => row.value);
}

function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Lets everybody through once `count` have arrived; who comes later is not held. */
function barrier(count: number) {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return {
    arrive: () => {
      if (--count <= 0) open();
      return opened;
    },
  };
}
