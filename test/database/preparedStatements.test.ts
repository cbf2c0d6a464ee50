import { type Database } from '../../src/database';
import { rememberStatements } from '../../src/database/preparedStatements';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

describe('rememberStatements', () => {
  it('gives one text one name, and another text another', () => {
    const nameOf = rememberStatements();
    expect(nameOf('SELECT $1::int')).toBe(nameOf('SELECT $1::int'));
    expect(nameOf('SELECT $1::text')).not.toBe(nameOf('SELECT $1::int'));
  });

  it('names no more than the limit, so that a connection cannot fill with plans', () => {
    const nameOf = rememberStatements(1);
    const first = nameOf('SELECT $1::int');
    expect(nameOf('SELECT $1::text')).toBeUndefined();
    expect(nameOf('SELECT $1::int')).toBe(first);
  });
});

describe('a connection of the pool', () => {
  let test: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    test = await createTestDatabase({ poolSize: 1 });
    database = test.database;
  });
  afterAll(() => test.drop());

  it('prepares a statement with parameters once, in a transaction and outside of one', async () => {
    for (const value of [1, 2]) await database.$queryRaw`SELECT ${value}::int AS marked`;
    await database.$transaction(async (tx) => tx.$queryRaw`SELECT ${3}::int AS marked`);
    const prepared = await database.$queryRaw`
      SELECT (generic_plans + custom_plans)::int AS calls FROM pg_prepared_statements WHERE statement LIKE '%AS marked'`;
    expect(prepared).toEqual([{ calls: 3 }]);
  });

  it('goes on with its statements after one of them failed', async () => {
    const divide = (by: number) => database.$queryRaw<{ result: number }[]>`SELECT (12 / ${by}::int)::int AS result`;
    expect(await divide(3)).toEqual([{ result: 4 }]);
    await expect(divide(0)).rejects.toThrow('division by zero');
    expect(await divide(4)).toEqual([{ result: 3 }]);
  });
});
