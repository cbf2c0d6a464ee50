import { Client } from 'pg';

import { plainUrl } from './url';

/** Runs `work` on a connection of its own, outside any pool, and closes it. For the few statements of setting up. */
export async function withConnection<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({
    connectionString: plainUrl(url),
    connectionTimeoutMillis: 10_000,
    application_name: 'holdfast setup',
  });
  // A lost connection shows in the next statement; without a listener it would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** For the statements about databases, which cannot be given inside the one they are about. */
export async function onMaintenanceDatabase(url: string, statement: string): Promise<void> {
  await withConnection(plainUrl(url, 'postgres'), (client) => client.query(statement));
}
