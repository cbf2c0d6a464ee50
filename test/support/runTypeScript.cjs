/** Runs a TypeScript file as it is: `node test/support/runTypeScript.cjs some.ts arguments`. For tests that need a process of their own to kill. */
const { transformFileSync } = require('@swc/core');
const { resolve } = require('node:path');

require.extensions['.ts'] = (module, path) => module._compile(transformFileSync(path).code, path);

process.argv.splice(1, 1);
require(resolve(process.argv[1]));
