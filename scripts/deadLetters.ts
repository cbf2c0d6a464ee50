import { parseArgs } from 'node:util';

import { deadLetterDesk, type DeadLetterDesk, type Selection } from './deadLetters/desk';
import { letterPage, listPage, settledPage } from './deadLetters/pages';
import { Ending, exitCodes, runScript, usageFault } from './exit';
import { createClient } from './simulate/client';
import { address, count } from './simulate/options';
import { findSurroundings } from './simulate/surroundings';

const usage = `Usage: npm run dead-letters -- <command> [options]

Works with the dead letters of the Holdfast that runs, over its GraphQL.
  list                 the newest, and how many there are in each queue
  show ID              one of them, with its body, its cause and what was done about it
  replay ID... | replay --queue Q     publishes them once more, each to the queue where it died; oldest first
  discard ID... | discard --queue Q   puts them aside for good; they can still be read

Which (list; replay and discard take those that wait):
  --queue Q            of this queue; \`--queue any\` for all queues
  --type T             of this kind, such as OrderCreated
  --about ID           about this order, or about product:1
  --died-of TEXT       whose reason contains this text
  --state S            list only: waiting (default), replayed, discarded, any
  --limit N            at most so many (list: 20; replay and discard: all)

How:
  --dry-run            says what would be done, and which messages would not even be understood; changes nothing
  --actor NAME         who does it, and
  --reason TEXT        why: needed by replay and discard, noted with each letter
  --url URL            where GraphQL is served (the Holdfast that runs on the data folder, else http://127.0.0.1:4000/graphql)
  --json               one object on stdout instead of the table
  --help               this

Exit codes: 0 done · 1 failed · 2 some died again or were not taken by the broker · 64 wrong options · 69 Holdfast out of reach
`;

/** `npm run dead-letters`. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: declared, allowPositionals: true });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const [command = '', ...ids] = positionals;
  const run = commands[command];
  if (!run) throw usageFault(`there is no command ${JSON.stringify(command)}: list, show, replay or discard`);
  const { url } = await findSurroundings({ url: address('url', values.url, ['http:', 'https:']) });
  const client = createClient({ urls: [url], connections: 1, retryMs: 3_000 });
  try {
    return await run({ desk: deadLetterDesk(client), ids, values });
  } finally {
    await client.close();
  }
}

const declared = {
  queue: { type: 'string' },
  type: { type: 'string' },
  about: { type: 'string' },
  'died-of': { type: 'string' },
  state: { type: 'string' },
  limit: { type: 'string' },
  'dry-run': { type: 'boolean' },
  actor: { type: 'string' },
  reason: { type: 'string' },
  url: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof declared }>>['values'];

interface Call {
  desk: DeadLetterDesk;
  ids: string[];
  values: Values;
}

const commands: Record<string, (call: Call) => Promise<number>> = {
  list,
  show,
  replay: (call) => settle(call, 'replay'),
  discard: (call) => settle(call, 'discard'),
};

async function list({ desk, ids, values }: Call): Promise<number> {
  if (ids.length > 0) throw usageFault('list takes no ids: show ID shows one');
  const state = (values.state ?? 'waiting').toUpperCase();
  if (!['WAITING', 'REPLAYED', 'DISCARDED', 'ANY'].includes(state)) {
    throw usageFault(`--state must be waiting, replayed, discarded or any, not ${values.state}`);
  }
  const limit = count('limit', values.limit ?? '20', 1, 100_000);
  const page = await desk.list(filterOf(values), state === 'ANY' ? undefined : state, limit);
  print(values, page, listPage);
  return exitCodes.passed;
}

async function show({ desk, ids, values }: Call): Promise<number> {
  const [id, ...more] = ids;
  if (id === undefined || more.length > 0) throw usageFault('show takes one id');
  const letter = await desk.show(id);
  if (!letter) throw new Ending(exitCodes.failed, `there is no dead letter ${id}.`);
  print(values, letter, letterPage);
  return exitCodes.passed;
}

async function settle({ desk, ids, values }: Call, verb: 'replay' | 'discard'): Promise<number> {
  const dryRun = values['dry-run'] ?? false;
  const { actor, reason } = values;
  if (!dryRun && (!actor || !reason)) throw usageFault(`${verb} needs --actor NAME and --reason TEXT; or try it with --dry-run`);
  if (values.state !== undefined) throw usageFault(`${verb} takes those that wait: --state is for list`);
  const by = { actor: actor ?? 'nobody', reason: reason ?? 'dry run', dryRun };
  const settled = await desk.settle(verb, selectionOf(ids, values, verb), by);
  print(values, settled, settledPage);
  const isTrouble = settled.letters.some(({ outcome }) => outcome === 'DIED_AGAIN' || outcome === 'FAILED');
  return isTrouble ? exitCodes.broken : exitCodes.passed;
}

/** Everything at once must be asked for in so many words. */
function selectionOf(ids: string[], values: Values, verb: string): Selection {
  const filter = filterOf(values);
  const isFiltered = values.queue !== undefined || Object.values(filter).some((value) => value !== undefined);
  if (ids.length > 0 === isFiltered) throw usageFault(`${verb} takes ids, or --queue and the like: one of the two`);
  if (ids.length > 0) return { ids };
  return { filter, limit: values.limit === undefined ? Infinity : count('limit', values.limit, 1, 1_000_000_000) };
}

function filterOf(values: Values) {
  const { queue, type, about: aggregateId, 'died-of': reason } = values;
  return { queue: queue === 'any' ? undefined : queue, type, aggregateId, reason };
}

function print<Page>({ json }: Values, page: Page, asText: (page: Page) => string): void {
  process.stdout.write(json ? `${JSON.stringify(page)}\n` : asText(page));
}

runScript('dead-letters', main);
