import type * as WasmModule from '@prisma/schema-engine-wasm/schema_engine_bg' with { 'resolution-mode': 'import' };
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import { PrismaPg } from '@prisma/adapter-pg';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { escapeIdentifier, Pool, type QueryResult } from 'pg';

import { inspectingClient } from './inspectingClient';
import { connectionTo } from './tls';
import { plainUrl } from './url';

/**
 * Prisma's schema engine, from the registry's WASM build, on `url`. The same engine and version that the Prisma CLI would download,
 * so both keep the same `_prisma_migrations` table.
 *
 * `prisma/schemaEngine.mjs` lends it to the CLI, `migrate.ts` runs it at start-up. `onLog` gets the engine's own JSON lines.
 */
export async function openSchemaEngine({ url, schemaFiles, onLog = () => undefined }: SchemaEngineOptions) {
  const wasm = await loadEngine();
  const postgres = new CorrectedPostgres(url);
  const engine = await wasm.SchemaEngine.new({ datamodels: schemaFiles }, onLog, bindMigrationAwareSqlAdapterFactory(postgres));
  /** Closes its connections; without it the process stays alive. */
  return Object.assign(engine, { close: () => postgres.close() });
}

export interface SchemaEngineOptions {
  url: string;
  /** Path and content of each Prisma schema file, for the commands that compare with it. Leave it out for none: an empty list makes the engine panic. */
  schemaFiles?: [path: string, content: string][];
  onLog?: (line: string) => void;
}

export type SchemaEngine = Awaited<ReturnType<typeof openSchemaEngine>>;

/** The version and commit of the engine. */
export async function schemaEngineVersion(): Promise<string> {
  return (await loadEngine()).version();
}

/**
 * `@prisma/adapter-pg` 7.10.0 with what the engine needs put right:
 *
 * 1. catalogue columns of type `"char"` have no mapping there (prisma/orm#27403), and the engine takes nothing but a character;
 * 2. given a connection string, its shadow database opens the main one: ours has a URL of its own;
 * 3. it drops the shadow while still connected to it: ours closes first;
 * 4. it cuts scripts at every `;`, inside function bodies too, and runs the parts one by one: ours go to the server whole, where
 *    they are one transaction.
 */
class CorrectedPostgres extends PrismaPg {
  private readonly pool: Pool;

  constructor(private readonly url: string) {
    const pool = openCataloguePool(url);
    super(pool);
    this.pool = pool;
  }

  override async connect() {
    return sendingScriptsWhole(readingSystemChars(await super.connect()));
  }

  override async connectToShadowDb() {
    const name = `holdfast_shadow_${randomUUID()}`;
    await this.pool.query(`CREATE DATABASE ${escapeIdentifier(name)}`);
    const shadow = new CorrectedPostgres(plainUrl(this.url, name));
    return Object.assign(await shadow.connect(), {
      dispose: async () => {
        await shadow.close();
        await this.pool.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`);
      },
    });
  }

  async close(): Promise<void> {
    if (!this.pool.ended) await this.pool.end();
  }
}

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>;

function sendingScriptsWhole(adapter: Adapter): Adapter {
  adapter.executeScript = async (script) => {
    // Such a statement must be alone: it runs outside any transaction.
    const alone = /\bCONCURRENTLY\b/i.test(script);
    try {
      await adapter.underlyingDriver().query(alone ? script : `${script}\n;${markMigrationFinished}`);
    } catch (error) {
      adapter['onError'](error);
    }
  };
  return adapter;
}

/**
 * The engine notes the beginning of a migration before its script and the end after it, and a process killed in between would
 * leave it open which of both is true. Written at the end of the script, in its transaction, the end stands exactly when the
 * script does. The engine's own note then only repeats it.
 */
const markMigrationFinished = `
DO $$ BEGIN
  IF to_regclass('_prisma_migrations') IS NOT NULL THEN
    UPDATE _prisma_migrations SET finished_at = clock_timestamp() WHERE finished_at IS NULL AND rolled_back_at IS NULL;
  END IF;
END $$`;

function openCataloguePool(url: string): Pool {
  const pool = new Pool({
    ...connectionTo(url),
    Client: inspectingClient(disguiseSystemChar),
    application_name: 'holdfast schema engine',
    connectionTimeoutMillis: 10_000,
    allowExitOnIdle: true,
  });
  pool.on('error', () => undefined);
  return pool;
}

/**
 * No scalar type of Postgres becomes a character in the adapter, but `char[]` becomes an array of them, and the engine asks for no
 * such array. So system characters pass the adapter under that name and are given their own behind it.
 */
function disguiseSystemChar(result: QueryResult): void {
  for (const field of result.fields) if (field.dataTypeID === systemCharOid) field.dataTypeID = charArrayOid;
}

function readingSystemChars(adapter: Adapter): Adapter {
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    const columnTypes = result.columnTypes.map((type) =>
      type === ColumnTypeEnum.CharacterArray ? ColumnTypeEnum.Character : type,
    );
    return { ...result, columnTypes };
  };
  return adapter;
}

const systemCharOid = 18;
const charArrayOid = 1002;

type WasmEngine = typeof WasmModule;
let loading: Promise<WasmEngine> | undefined;

/** The package is written for bundlers that import `.wasm`; Node cannot yet, so its two halves are joined here. Once per process. */
function loadEngine(): Promise<WasmEngine> {
  loading ??= (async () => {
    const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg');
    const path = join(require.resolve('@prisma/schema-engine-wasm/schema_engine_bg'), '..', 'schema_engine_bg.wasm');
    const { instance } = await WebAssembly.instantiate(readFileSync(path), { './schema_engine_bg.js': adjusted(glue) });
    glue.__wbg_set_wasm(instance.exports);
    (instance.exports.__wbindgen_start as () => void)();
    return glue;
  })();
  return loading;
}

/**
 * The engine never clears the timer of its lock, which would keep a finished process alive for ten seconds. When it panics it
 * reports to a global that only the Prisma CLI sets up.
 */
function adjusted(glue: object): Record<string, unknown> {
  const setTimer = (callback: () => void, delayMs: number) => setTimeout(callback, delayMs >>> 0).unref();
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: { set_message: panic } });
  return Object.fromEntries(
    Object.entries(glue).map(([name, value]: [string, unknown]) => [
      name,
      name.startsWith('__wbg_setTimeout_') ? setTimer : value,
    ]),
  );
}

function panic(message: string): never {
  throw new Error(`Prisma's schema engine panicked: ${message}`);
}

// TypeScript's library for Node leaves this global out.
declare const WebAssembly: {
  instantiate(bytes: Uint8Array, imports: Record<string, unknown>): Promise<{ instance: { exports: Record<string, unknown> } }>;
};
