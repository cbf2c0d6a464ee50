import { escapeIdentifier } from 'pg';

/** The URL as pg takes it, optionally for another database of the same server: without what only Prisma's own URLs carry. */
export function plainUrl(url: string, database?: string): string {
  const plain = new URL(url);
  for (const name of ['schema', 'connection_limit', 'pool_timeout', 'pgbouncer']) plain.searchParams.delete(name);
  if (database !== undefined) plain.pathname = `/${encodeURIComponent(database)}`;
  return plain.toString();
}

/** The database that a URL names; without one, Postgres takes the user's name. */
export function databaseName(url: string): string {
  const { pathname, username } = new URL(url);
  return decodeURIComponent(pathname.slice(1)) || decodeURIComponent(username) || 'postgres';
}

/** The same, as it stands in a statement. */
export function escapedDatabaseName(url: string): string {
  return escapeIdentifier(databaseName(url));
}
