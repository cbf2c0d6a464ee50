import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { escapeIdentifier, escapeLiteral, type Client } from 'pg';

import { withConnection } from './connection';

/** A user of the database and what it may do. */
export interface Grantee {
  /** As it logs in. */
  name: string;
  /** Left out: a user that is there keeps the one it has, and a new one cannot log in yet. */
  password?: string;
  /** By table (`orders.orders`): of S select, I insert, U update, D delete. */
  tables: Record<string, string>;
}

/**
 * Makes each user what its table says, and nothing beyond: what it was granted on these schemas before is taken back first. One
 * transaction, so that nobody at work ever lacks what he had and keeps. Safe to repeat. The URL is of the tables' owner, who may make
 * users.
 */
export async function grantTables(url: string, grantees: readonly Grantee[]): Promise<void> {
  await withConnection(url, async (client) => {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock(4830002)');
    // Postgres 14 and older let everybody put tables there.
    await client.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
    for (const grantee of grantees) await grant(client, grantee);
    await client.query('COMMIT');
  });
}

async function grant(client: Client, { name, password, tables }: Grantee): Promise<void> {
  const user = escapeIdentifier(name);
  const { rows: known } = await client.query<{ powerful: boolean }>(powersOf, [name]);
  if (known.length === 0) await client.query(`CREATE ROLE ${user} NOLOGIN`);
  if (known[0]?.powerful)
    throw new Error(
      `${name} is a user with powers that no grant takes back (superuser, owner, or member of another): choose another prefix.`,
    );
  if (password !== undefined) await client.query(`ALTER ROLE ${user} LOGIN PASSWORD ${escapeLiteral(scramOf(password))}`);
  await takeBack(client, user);
  const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name');
  const database = escapeIdentifier(rows[0]!.name);
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM ${user}`);
  await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${user}`);
  for (const [table, verbs] of Object.entries(tables)) if (verbs !== '') await grantTable(client, user, table, verbs);
}

/** A user of this name that is there already, and whether it can do what it was not granted. */
const powersOf = `
  SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
         OR EXISTS (SELECT FROM pg_auth_members WHERE member = role.oid)
         OR EXISTS (SELECT FROM pg_class WHERE relowner = role.oid) OR EXISTS (SELECT FROM pg_namespace WHERE nspowner = role.oid)
         OR EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND datdba = role.oid) AS powerful
  FROM pg_roles AS role WHERE rolname = $1`;

async function takeBack(client: Client, user: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'`,
  );
  for (const { name } of rows) {
    const schema = escapeIdentifier(name);
    for (const kind of ['TABLES', 'SEQUENCES', 'FUNCTIONS'])
      await client.query(`REVOKE ALL ON ALL ${kind} IN SCHEMA ${schema} FROM ${user}`);
    await client.query(`REVOKE ALL ON SCHEMA ${schema} FROM ${user}`);
  }
}

async function grantTable(client: Client, user: string, table: string, verbs: string): Promise<void> {
  const [schema, name] = table.split('.').map((part) => escapeIdentifier(part));
  const words = [...verbs].map((letter) => wordOf[letter as keyof typeof wordOf]);
  await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${user}`);
  await client.query(`GRANT ${words.join(', ')} ON ${schema}.${name} TO ${user}`);
  if (!verbs.includes('I')) return;
  // Numbers that the table gives its rows come from a sequence of its own.
  const { rows } = await client.query<{ sequence: string }>(
    `SELECT objid::regclass::text AS sequence FROM pg_depend JOIN pg_class ON pg_class.oid = objid
     WHERE classid = 'pg_class'::regclass AND refobjid = $1::regclass AND deptype IN ('a', 'i') AND relkind = 'S'`,
    [`${schema}.${name}`],
  );
  for (const { sequence } of rows) await client.query(`GRANT USAGE ON SEQUENCE ${sequence} TO ${user}`);
}

const wordOf = { S: 'SELECT', I: 'INSERT', U: 'UPDATE', D: 'DELETE' } as const;

/** What Postgres itself keeps of a password (RFC 5803), made here, so that the password stands in no statement and in no server's log. */
function scramOf(password: string): string {
  const [salt, iterations] = [randomBytes(16), 4096];
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const keyOf = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${keyOf('Server Key').toString('base64')}`;
}
