import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

import { grantTables } from '../../src/database';
import { withConnection } from '../../src/database/connection';
import { databaseUsers, tablePrivileges, tablesOf, type DatabaseUser } from '../../src/roles';
import { createTestDatabase, type TestDatabase } from '../support/postgres';

/** What `npm run grants` gives is what src/roles/privileges.ts says, verb by verb, on a real Postgres. */
const prefix = `t${randomBytes(4).toString('hex')}_`;
const password = randomBytes(18).toString('base64url');
let test: TestDatabase;
const clients = new Map<DatabaseUser, Client>();
let columns: Map<string, string[]>;

const give = (tables = tablesOf) =>
  grantTables(
    test.url,
    databaseUsers.map((user) => ({ name: `${prefix}${user}`, password, tables: tables(user) })),
  );
const urlOf = (user: DatabaseUser) => {
  const url = new URL(test.url);
  [url.username, url.password] = [`${prefix}${user}`, password];
  return url.href;
};

beforeAll(async () => {
  test = await createTestDatabase();
  await give();
  columns = await readColumns();
  for (const user of databaseUsers) {
    const client = new Client({ connectionString: urlOf(user) });
    await client.connect();
    clients.set(user, client);
  }
});
afterAll(async () => {
  for (const client of clients.values()) await client.end();
  await withConnection(test.url, async (client) => {
    for (const user of databaseUsers) await client.query(`DROP OWNED BY "${prefix}${user}"; DROP ROLE "${prefix}${user}"`);
  });
  await test.drop();
});

/** Statements that touch no row: only the right to give them is asked. */
const attempts: Record<string, (table: string, column: string) => string[]> = {
  S: (table) => [`SELECT * FROM ${table} LIMIT 0`],
  I: (table) => [`INSERT INTO ${table} SELECT * FROM jsonb_populate_record(NULL::${table}, '{}') WHERE false`],
  U: (table, column) => [`UPDATE ${table} SET ${column} = DEFAULT WHERE false`],
  D: (table) => [`DELETE FROM ${table} WHERE false`],
  // Never anybody's.
  T: (table) => [`TRUNCATE ${table} CASCADE`, `ALTER TABLE ${table} DISABLE TRIGGER USER`, `DROP TABLE ${table}`],
};

const allTables = Object.keys(tablePrivileges);
const matrix = databaseUsers.flatMap((user) =>
  allTables.map((table) => [user, table, tablePrivileges[table]![user] ?? ''] as const),
);

it('speaks of every table there is', () => expect([...columns.keys()].sort()).toEqual([...allTables].sort()));

it.each(matrix)('%s on %s may do %j and nothing else', async (user, table, verbs) => {
  for (const [verb, statements] of Object.entries(attempts))
    for (const statement of statements(table, columns.get(table)![0]!)) {
      const outcome = await inVain(clients.get(user)!, statement);
      expect([statement, outcome]).toEqual([statement, verbs.includes(verb) ? 'allowed' : '42501']);
    }
});

it('nobody changes or removes movements, entries, histories and answers; only inventory and the repair write stock', () => {
  const having = (table: string, verb: RegExp) => databaseUsers.filter((user) => verb.test(tablePrivileges[table]![user] ?? ''));
  const written = ['inventory.movements', 'accounts.entries', 'orders.order_history', 'inventory.amendments'];
  for (const table of [...written, 'operations.dead_letter_actions', 'notifications.delivery_attempts'])
    expect([table, having(table, /[UD]/)]).toEqual([table, []]);
  expect(having('inventory.stock', /[IUD]/)).toEqual(['inventory', 'operations']);
  expect(having('inventory.movements', /I/)).toEqual(['inventory', 'operations']);
});

it.each(databaseUsers)('%s can make nothing of its own, and is no more than its grants', async (user) => {
  for (const statement of [
    'CREATE TABLE public.mine ()',
    'CREATE TABLE orders.mine ()',
    'CREATE SCHEMA mine',
    'CREATE ROLE mine',
    `SET ROLE holdfast`,
    `SELECT setval('inventory.movements_id_seq', 1)`,
    `SELECT pg_read_file('/etc/passwd')`,
    `COPY (SELECT 1) TO PROGRAM 'true'`,
  ])
    expect([statement, await inVain(clients.get(user)!, statement)]).toEqual([statement, '42501']);
});

it('takes back what was given beyond the table, and given again changes nothing', async () => {
  const gateway = clients.get('gateway')!;
  const update = 'UPDATE inventory.stock SET reserved = DEFAULT WHERE false';
  await withConnection(test.url, (client) => client.query(`GRANT UPDATE (reserved) ON inventory.stock TO "${prefix}gateway"`));
  expect(await inVain(gateway, update)).toBe('allowed');
  await Promise.all([give(), give()]);
  expect(await inVain(gateway, update)).toBe('42501');
  expect(await inVain(gateway, 'SELECT * FROM inventory.stock LIMIT 0')).toBe('allowed');
});

it('gives nothing to a user with powers of its own', async () => {
  const before = await withConnection(test.url, (client) => client.query('SELECT relacl::text FROM pg_class ORDER BY oid'));
  await expect(grantTables(test.url, [{ name: new URL(test.url).username, tables: {} }])).rejects.toThrow('powers that no grant');
  const after = await withConnection(test.url, (client) => client.query('SELECT relacl::text FROM pg_class ORDER BY oid'));
  expect(after.rows).toEqual(before.rows);
});

/** Runs it in a transaction that is rolled back, and gives `allowed` or the code of the refusal. */
async function inVain(client: Client, statement: string): Promise<string> {
  await client.query('BEGIN');
  try {
    await client.query(statement);
    return 'allowed';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    await client.query('ROLLBACK');
  }
}

async function readColumns(): Promise<Map<string, string[]>> {
  const { rows } = await withConnection(test.url, (client) =>
    client.query<{ table: string; columns: string[] }>(
      `SELECT table_schema || '.' || table_name AS table, array_agg('"' || column_name || '"' ORDER BY ordinal_position) AS columns
       FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
       WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE' GROUP BY 1`,
    ),
  );
  return new Map(rows.map((row) => [row.table, row.columns]));
}
