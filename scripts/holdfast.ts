#!/usr/bin/env node
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { version } from '../src/version';

/** What `holdfast <command>` runs: each a program of its own, with options and exit codes of its own. */
const commands: Record<string, [file: string, does: string]> = {
  start: ['../src/main.js', 'runs Holdfast, all roles or some of them'],
  shop: ['shop.js', 'orders from a list of products, at the terminal'],
  watch: ['watch.js', "shows what happens to a customer's orders, as it happens"],
  grpc: ['grpcClient.js', 'places an order and changes it over gRPC'],
  events: ['events.js', 'shows events as they go by, and publishes samples'],
  token: ['token.js', 'prints a token to show to the gateway'],
  simulate: ['simulate.js', 'places many orders and judges what became of them'],
  'test-events': ['testEvents.js', 'publishes order events as another service would'],
  'dead-letters': ['deadLetters.js', 'lists, shows, replays and discards dead letters'],
  reconcile: ['reconcile.js', 'asks all that must hold of orders and stock'],
  migrate: ['migrate.js', 'brings the database to this release'],
  seed: ['seed.js', 'adds the sample products'],
};

/** The package's bin. The command's own program reads what stands behind its name. */
function main() {
  const [name = '--help'] = process.argv.splice(2, 1);
  if (name === '--version') return void process.stdout.write(`${version}\n`);
  if (name === '--help') return void process.stdout.write(usage());
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command) return void import(pathToFileURL(join(__dirname, command[0])).href);
  process.stderr.write(`holdfast: there is no command ${JSON.stringify(name)}.\n${usage()}`);
  process.exitCode = 64;
}

function usage(): string {
  const lines = Object.entries(commands).map(([name, [, does]]) => `  ${name.padEnd(14)}${does}`);
  return `Usage: holdfast <command> [options]\n\n${lines.join('\n')}\n\n  <command> --help   its options and exit codes\n  --version\n`;
}

main();
