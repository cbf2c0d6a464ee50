/** The door of the database room: whoever needs Postgres comes through here, and names neither pg nor the generated client. */
export { openDatabase, type Connections, type Database, type DatabaseOptions, type Transaction } from './client';
export { classifyDatabaseError, isPassingFault, sqlStateOf, type DatabaseErrorClass } from './errors';
export { retried, RetryTransaction, transaction, type RetryOptions, type TransactionOptions } from './transaction';
export { waitForPostgres } from './connection';
export { grantTables, type Grantee } from './grants';
export { migrate, pendingMigrations } from './migrate';
export { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './embedded/postgres';
export { readRuntime, writeRuntime, type Runtime } from './runtime';
export { type DatabaseLog } from './log';
export { empty, join, Prisma, raw, sql, type Sql } from './sql';
export type * from '../generated/prisma/models';
export * from '../generated/prisma/enums';
