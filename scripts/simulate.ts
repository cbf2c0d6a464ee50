import { randomBytes } from 'node:crypto';

import { type Database } from '../src/database';
import { audit, type AuditScope } from './audit';
import { createClient, type Client } from './simulate/client';
import { standing, untilAtRest } from './simulate/decisions';
import { payIn } from './simulate/deposits';
import { exitCodes, runScript, usageFault } from './exit';
import { openForeignDesk } from './simulate/foreignDesk';
import { readOptions, usage, type SimulateOptions } from './simulate/options';
import { CUSTOMER_COUNT, demandOf, fingerprintOf, orderStream, type PlannedOrder } from './simulate/orderStream';
import { createJournal, customerOf, placeOrders, type Journal, type Placing } from './simulate/placeOrders';
import { createProducts, refuseOtherDatabase, retireProducts } from './simulate/products';
import { startProgress } from './simulate/progress';
import { headline, report } from './simulate/report';
import { measure } from './simulate/result';
import { findSurroundings, openForReading, rabbitmqMissing, type Surroundings } from './simulate/surroundings';

/**
 * `npm run simulate`: places orders over GraphQL and, with --foreign, over RabbitMQ, waits until they are decided, and gives a
 * verdict. The verdict is SQL on the database, held against a journal of what was acknowledged; no counter of the run itself
 * goes into it.
 */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (!options) return printUsage();
  const surroundings = await findSurroundings(options);
  if (options.foreign > 0 && surroundings.rabbitmqUrl === undefined) throw usageFault(`--foreign has ${rabbitmqMissing}`);
  const signal = abortOnSignal();
  const client = createClient({ urls: [surroundings.url], connections: options.concurrency, retryMs: options.timeoutMs, signal });
  try {
    await client.ask('{ __typename }', {}, 0);
    const database = openForReading(surroundings, 'holdfast simulate');
    try {
      return await simulate(options, { client, database, surroundings, signal });
    } finally {
      await database.close();
    }
  } finally {
    await client.close();
  }
}

interface Stage {
  client: Client;
  database: Database;
  surroundings: Surroundings;
  signal: AbortSignal;
}

async function simulate(options: SimulateOptions, stage: Stage): Promise<number> {
  const run = randomBytes(4).toString('hex');
  const stream = orderStream(options);
  say(headline(run, fingerprintOf(stream), options));
  const stock = options.hot ? [options.stock] : demandOf(stream);
  const productIds = await createProducts(stage.client, run, stock);
  try {
    await refuseOtherDatabase(stage.database, productIds, run, stage.surroundings.url);
    await payIn(stage.client, run, stream, (customer) => customerOf(run, customer));
    return await runStream(stream, { run, options, productIds, stock }, stage);
  } finally {
    await retireProducts(stage.client, productIds).catch(() =>
      say(`The products SIM-${run}-* could not be taken off sale again.`),
    );
  }
}

interface Run {
  run: string;
  options: SimulateOptions;
  productIds: number[];
  stock: number[];
}

async function runStream(stream: PlannedOrder[], { run, options, productIds, stock }: Run, stage: Stage): Promise<number> {
  const { client, database, signal } = stage;
  const journal = createJournal();
  const scope = scopeOf(run, productIds, journal, options);
  const startedAt = performance.now();
  await placeAndWait(
    stream,
    journal,
    { client, run, productIds, concurrency: options.concurrency, signal },
    { ...stage, options, scope },
  );
  if (signal.aborted) return interrupted(journal);

  const seconds = (performance.now() - startedAt) / 1_000;
  const outcomes = await audit(database, scope);
  const finished = { run, options, journal, scope, outcomes, seconds, stock };
  const { result, decisions } = await measure(database, {
    ...finished,
    fingerprint: fingerprintOf(stream),
    retries: client.retries(),
  });
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : report(result, outcomes, decisions));
  return result.verdict === 'PASS' ? exitCodes.passed : exitCodes.broken;
}

interface Watched extends Stage {
  options: SimulateOptions;
  scope: AuditScope;
}

/** Places the stream and waits until it is at rest, with the progress shown all the while. */
async function placeAndWait(stream: PlannedOrder[], journal: Journal, placing: Placing, watched: Watched): Promise<void> {
  const { database, surroundings, options, scope, signal } = watched;
  const { timeoutMs, orders } = options;
  const desk = options.foreign > 0 ? await openForeignDesk({ url: surroundings.rabbitmqUrl!, timeoutMs }) : undefined;
  const progress = startProgress({
    orders,
    ordersSeen: stream.filter((order) => !order.foreign).length,
    placed: () => journal.placed,
    standing: () => standing(database, scope.customers),
    stream: process.stderr,
  });
  try {
    await placeOrders(stream, journal, { ...placing, desk });
    await untilAtRest(database, scope, performance.now() + timeoutMs, signal);
  } finally {
    await progress.stop();
    await desk?.close();
  }
}

/** The journal's lists fill while the orders are placed. */
function scopeOf(run: string, productIds: number[], journal: Journal, { hot }: SimulateOptions): AuditScope {
  return {
    customers: Array.from({ length: CUSTOMER_COUNT }, (_, customer) => customerOf(run, customer)),
    productIds,
    acknowledged: journal.acknowledged,
    foreign: journal.foreign,
    soldOutProductIds: hot ? productIds : [],
  };
}

function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    say('Finishing the orders under way; once more to stop at once.');
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return controller.signal;
}

function interrupted({ acknowledged }: Journal): number {
  say(`Interrupted: ${acknowledged.length} orders were acknowledged, and no verdict was made.`);
  return exitCodes.interrupted;
}

function printUsage(): number {
  process.stdout.write(usage);
  return exitCodes.passed;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

runScript('simulate', main);
