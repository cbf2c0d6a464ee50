import { readConfig, type Config } from '../src/config';
import { migrate, openDatabase, readRuntime, startEmbeddedPostgres, type Database } from '../src/database';

/** A database for a script, and how to leave it. */
export interface ScriptDatabase {
  config: Config;
  database: Database;
  url: string;
  close: () => Promise<void>;
}

/**
 * The database a script means: DATABASE_URL, or that of the Holdfast that runs on the data folder, or else the embedded one,
 * started for the time of the script. It is brought to this release first.
 */
export async function openScriptDatabase(applicationName: string): Promise<ScriptDatabase> {
  const config = readConfig(process.env);
  const known = config.DATABASE_URL ?? (await readRuntime(config.HOLDFAST_DATA))?.databaseUrl;
  const server = known ? undefined : await startEmbeddedPostgres({ dataDir: config.HOLDFAST_DATA, port: config.POSTGRES_PORT });
  const url = known ?? server!.url;
  await migrate(url);
  const database = openDatabase({ url, poolSize: 4, applicationName, statementTimeoutMs: 300_000 });
  const close = async () => {
    await database.close();
    await server?.stop();
  };
  return { config, database, url, close };
}
