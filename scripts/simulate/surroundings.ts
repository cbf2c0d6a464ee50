import { readConfig } from '../../src/config';
import { openDatabase, readRuntime, type Database, type Runtime } from '../../src/database';
import { usageFault } from '../exit';

/** Where Holdfast is to be met: as given, or else where the one that runs on the data folder says, or else the defaults. */
export interface Surroundings {
  url: string;
  databaseUrl?: string;
  rabbitmqUrl?: string;
}

export async function findSurroundings(given: { url?: string; rabbitmqUrl?: string }): Promise<Surroundings> {
  const config = readConfig(process.env);
  const runtime: Partial<Runtime> = (await readRuntime(config.HOLDFAST_DATA)) ?? {};
  return {
    url: given.url ?? `http://127.0.0.1:${runtime.gatewayPort ?? 4000}/graphql`,
    databaseUrl: config.DATABASE_URL ?? runtime.databaseUrl,
    rabbitmqUrl: given.rabbitmqUrl ?? config.RABBITMQ_URL ?? runtime.brokerUrl,
  };
}

/** Opens the database to look at and nothing else: the server itself refuses to write on these connections. */
export function openForReading({ databaseUrl }: Surroundings, applicationName: string): Database {
  if (databaseUrl === undefined) {
    throw usageFault(
      'The verdict is computed on the database, and none is known: set DATABASE_URL, or HOLDFAST_DATA of the Holdfast that runs here.',
    );
  }
  const url = new URL(databaseUrl);
  url.searchParams.set(
    'options',
    [url.searchParams.get('options'), '-c default_transaction_read_only=on'].filter(Boolean).join(' '),
  );
  return openDatabase({ url: url.href, poolSize: 2, applicationName, statementTimeoutMs: 300_000 });
}

/** Says how to get a RabbitMQ that a foreign program can reach. */
export const rabbitmqMissing =
  'no RabbitMQ to publish to. Set RABBITMQ_URL (or --rabbitmq) to the one that Holdfast uses; `npm start -- --broker rabbitmq` starts one.';
