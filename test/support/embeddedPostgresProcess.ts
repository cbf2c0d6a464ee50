import { startEmbeddedPostgres } from '../../src/database';

/** A Holdfast that is nothing but its database, for tests to kill: `node runTypeScript.cjs embeddedPostgresProcess.ts <dataDir> <port>`. Prints one line of JSON: what it has, or why not. */
async function main(): Promise<void> {
  const [dataDir = '', port = '0'] = process.argv.slice(2);
  const postgres = await startEmbeddedPostgres({ dataDir, port: Number(port) });
  const alive = setInterval(() => undefined, 60_000);
  process.once('SIGTERM', () => {
    clearInterval(alive);
    void postgres.stop();
  });
  const { url, pid, version, isNew } = postgres;
  print({ url, port: postgres.port, pid, version, isNew });
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

main().catch((error: unknown) => {
  print({ refusal: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
});
