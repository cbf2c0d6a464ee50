/** Runs a TypeScript file as it is: `node test/support/runTypeScript.cjs some.ts arguments`. For tests that need a process of their own to kill. */
const { createHash } = require('node:crypto');
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join, resolve } = require('node:path');

/** By the path and content of each file, and by how it is transpiled: hundreds of processes start in a run, and transpiling would be a quarter of each start. */
const cache = join(tmpdir(), 'holdfast-test-transpiled');
const settings = readFileSync(join(__dirname, '..', '..', '.swcrc'));
mkdirSync(cache, { recursive: true });

require.extensions['.ts'] = (module, path) => module._compile(transpiled(path), path);

function transpiled(path) {
  const key = createHash('sha256').update(settings).update(`${path}\n`).update(readFileSync(path)).digest('hex');
  const file = join(cache, `${key}.js`);
  try {
    return readFileSync(file, 'utf8');
  } catch {
    const { code } = require('@swc/core').transformFileSync(path);
    // Whole or not at all, for several processes start at once.
    writeFileSync(`${file}.${process.pid}`, code);
    renameSync(`${file}.${process.pid}`, file);
    return code;
  }
}

process.argv.splice(1, 1);
require(resolve(process.argv[1]));
