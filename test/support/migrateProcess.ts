import { migrate, pendingMigrations } from '../../src/database';

/** Migrates in a process of its own: `node runTypeScript.cjs migrateProcess.ts <url>`. Prints one line of JSON. */
async function main(): Promise<void> {
  const [url = ''] = process.argv.slice(2);
  const applied = await migrate(url);
  process.stdout.write(`${JSON.stringify({ applied, pending: await pendingMigrations(url) })}\n`);
}

main().catch((error: unknown) => {
  process.stdout.write(`${JSON.stringify({ refusal: error instanceof Error ? error.message : String(error) })}\n`);
  process.exitCode = 1;
});
