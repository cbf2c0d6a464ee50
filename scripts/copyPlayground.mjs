/**
 * Puts the playground together in dist/playground (or the directory given): GraphiQL, React, our start page's files, and the
 * licences. Each file also lies there gzipped, which is what browsers are sent.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const target = path.resolve(process.argv[2] ?? path.join(root, 'dist', 'playground'));
const packageDirectory = (name) => path.dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
const ours = path.join(root, 'src', 'gateway', 'playground');

const files = [
  [packageDirectory('graphiql'), 'graphiql.min.js'],
  [packageDirectory('graphiql'), 'graphiql.min.css'],
  [packageDirectory('graphiql'), 'LICENSE', 'graphiql.LICENSE.txt'],
  [packageDirectory('react'), 'umd/react.production.min.js'],
  [packageDirectory('react'), 'LICENSE', 'react.LICENSE.txt'],
  [packageDirectory('react-dom'), 'umd/react-dom.production.min.js'],
  [packageDirectory('react-dom'), 'LICENSE', 'react-dom.LICENSE.txt'],
  [ours, 'start.mjs'],
  [ours, 'holdfast.css'],
  [ours, 'holdfast.svg'],
];

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
for (const [directory, source, name = path.basename(source)] of files) {
  await copyFile(path.join(directory, source), path.join(target, name));
  await writeFile(path.join(target, `${name}.gz`), gzipSync(await readFile(path.join(target, name))));
}
