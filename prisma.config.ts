import { join } from 'node:path';

import { defineConfig } from 'prisma/config';

// The Prisma CLI downloads its schema engine unless this variable names one. Ours answers from the npm registry's WASM build.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= join(__dirname, 'prisma', 'schemaEngine.mjs');

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://localhost:5432/holdfast' },
});
