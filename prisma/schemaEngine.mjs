#!/usr/bin/env node
/**
 * Stands in for Prisma's schema engine, so that the Prisma CLI works without downloading one: `prisma.config.ts` names this file in
 * PRISMA_SCHEMA_ENGINE_BINARY. It speaks that program's two languages and has the engine in `src/database/schemaEngine.ts` do the
 * work, the same that migrates at start-up.
 *
 * - `schemaEngine.mjs --datasource {"url":...} cli <command>`: one act, told by exit code and JSON lines on stderr;
 * - without `cli`: JSON-RPC 2.0, one request a line on stdin, one answer a line on stdout.
 *
 * `prisma generate` only asks that this file exists, so it works before anything is built. Everything else needs `npm run build`.
 */
import { existsSync, readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const database = loadDatabaseRoom();
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: {
    datasource: { type: 'string', default: '{}' },
    datamodels: { type: 'string', short: 'd', multiple: true },
    'enabled-preview-features': { type: 'string' },
    'extension-types': { type: 'string' },
    version: { type: 'boolean', short: 'V' },
  },
});
const { url = 'postgresql://127.0.0.1:1/no-datasource-was-given' } = JSON.parse(options.datasource);

/** What Prisma calls these failures of the server; it creates the database on P1003. */
const prismaCodes = { '3D000': 'P1003', '28P01': 'P1000', 28000: 'P1010', '42P04': 'P1009', 42501: 'P1010' };

if (options.version) process.stdout.write(`schema-engine-wasm ${await database.schemaEngineVersion()}\n`);
else if (positionals[0] === 'cli') await runCommand(positionals[1]);
else await answerRequests();

async function runCommand(command) {
  // The CLI drops the first line unread.
  report('INFO', 'Holdfast schema engine');
  const name = database.escapedDatabaseName(url);
  const commands = {
    'can-connect-to-database': () => database.withConnection(url, async () => undefined),
    'create-database': () => database.onMaintenanceDatabase(url, `CREATE DATABASE ${name}`),
    'drop-database': () => database.onMaintenanceDatabase(url, `DROP DATABASE ${name}`),
  };
  try {
    if (commands[command] === undefined)
      throw new Error(`The schema engine has no command ${command}; it has ${Object.keys(commands).join(', ')}.`);
    await commands[command]();
    report('INFO', `${command} succeeded`);
  } catch (error) {
    report('ERROR', error.message || String(error), {
      is_panic: false,
      error_code: prismaCodes[database.sqlStateOf(error)] ?? 'P1001',
    });
    process.exitCode = 1;
  }
}

function report(level, message, fields = {}) {
  writeSync(
    2,
    `${JSON.stringify({ timestamp: new Date().toISOString(), level, fields: { message, ...fields }, target: 'schema_engine::logger' })}\n`,
  );
}

/** One after the other, as they come. */
async function answerRequests() {
  let engine;
  let current;
  // The engine panics outside the promise it gave. Unanswered, the CLI would take our end for success.
  process.on('uncaughtException', (error) => {
    send({ id: current, error: asRpcError(error) });
    process.exitCode = 1;
  });
  for await (const line of createInterface({ input: process.stdin })) {
    const request = line.trim() === '' ? {} : JSON.parse(line);
    // What has no method is the CLI's receipt for something we printed.
    if (request.method === undefined) continue;
    current = request.id;
    try {
      engine ??= await database.openSchemaEngine({
        url,
        schemaFiles: options.datamodels?.map((path) => [path, readFileSync(path, 'utf8')]),
        onLog,
      });
      send({ id: request.id, result: await perform(engine, request) });
    } catch (error) {
      send({ id: request.id, error: asRpcError(error) });
    }
  }
  await engine?.close();
}

async function perform(engine, { method, params }) {
  const name = method === 'getDatabaseVersion' ? 'version' : method;
  if (typeof engine[name] !== 'function')
    throw Object.assign(new Error(`The WASM schema engine has no method ${method}.`), { rpcCode: -32601 });
  const result = await engine[name](params);
  // The native engine prints a diff through the CLI rather than returning it.
  if (method !== 'diff' || result.stdout == null) return result ?? null;
  send({ id: `print-${process.pid}`, method: 'print', params: { content: result.stdout.replace(/\n$/, '') } });
  return { ...result, stdout: null };
}

function asRpcError(error) {
  const data = {
    is_panic: false,
    message: error.message ?? String(error),
    meta: error.meta ?? null,
    error_code: error.code ?? null,
  };
  return { code: error.rpcCode ?? 4466, message: 'The schema engine refused; the reason is in data.', data };
}

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

function onLog(line) {
  if (process.env.DEBUG?.includes('prisma')) process.stderr.write(`${line}\n`);
}

function loadDatabaseRoom() {
  const require = createRequire(import.meta.url);
  const built = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'src', 'database');
  if (!existsSync(join(built, 'schemaEngine.js'))) {
    report('INFO', 'Holdfast schema engine');
    report('ERROR', 'The schema engine is not built yet: run `npm run build` first.', { is_panic: false, error_code: 'P1012' });
    process.exit(1);
  }
  return {
    ...require(join(built, 'schemaEngine.js')),
    ...require(join(built, 'connection.js')),
    ...require(join(built, 'errors.js')),
    ...require(join(built, 'url.js')),
  };
}
