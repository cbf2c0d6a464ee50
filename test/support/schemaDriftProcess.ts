import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { readMigrations } from '../../src/database/migrate';
import { openSchemaEngine } from '../../src/database/schemaEngine';

/** What the migrations, run on an empty database, leave out of prisma/schema.prisma: `node runTypeScript.cjs schemaDriftProcess.ts <url>`. Prints one line of JSON. */
async function main(): Promise<void> {
  const [url = ''] = process.argv.slice(2);
  const path = join(__dirname, '../../prisma/schema.prisma');
  const content = readFileSync(path, 'utf8');
  const engine = await openSchemaEngine({ url, schemaFiles: [[path, content]] });
  const { exitCode, stdout } = await engine.diff({
    from: { tag: 'migrations', ...(await readMigrations()) },
    to: { tag: 'schemaDatamodel', files: [{ path, content }] },
    script: true,
    exitCode: true,
    filters: { externalTables: [], externalEnums: [] },
  });
  await engine.close();
  process.stdout.write(`${JSON.stringify({ differs: exitCode !== 0, script: stdout })}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(String(error));
  process.exitCode = 1;
});
