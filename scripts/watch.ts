import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { readConfig } from '../src/config';
import { exitCodes, runScript } from './exit';
import { connectCounter, listenTo, orderFields, toldBy, toldOf, type GraphqlOrder, type Told } from './shop/counter';
import { namedCustomer, rememberedCustomer } from './shop/customer';
import { createClient } from './simulate/client';
import { address, brokerAddress } from './simulate/options';
import { findSurroundings } from './simulate/surroundings';
import { visible, visibleJson } from './visible';

const usage = `Usage: holdfast watch [options]     (npm run watch -- [options])

Shows what happens to the orders of a customer, as it happens, until Ctrl-C. Where Holdfast uses a RabbitMQ, on a queue of its own on
notification_exchange; elsewhere by asking over GraphQL once a second: for the newest 100 orders, and in turn for 100 of those before
them, so that a change of the oldest of 1,000 is seen within ten seconds.

  --customer C        whose orders; else the customer that this data folder remembers
  --url URL           where GraphQL is served (the Holdfast that runs on the data folder, else http://127.0.0.1:4000/graphql)
  --rabbitmq URL      the RabbitMQ that Holdfast uses (RABBITMQ_URL)
  --json              one object a line
  --help              this

Exit codes: 0 ended by Ctrl-C · 1 failed · 64 wrong options · 69 Holdfast or RabbitMQ out of reach
`;

/** `holdfast watch` (S1.6). */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: declared });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const named = namedCustomer(values.customer);
  const { url, rabbitmqUrl } = await findSurroundings({
    url: address('url', values.url, ['http:', 'https:']),
    rabbitmqUrl: brokerAddress('rabbitmq', values.rabbitmq),
  });
  const customerId = named ?? (await rememberedCustomer(readConfig(process.env).HOLDFAST_DATA));
  const show = (told: Told) =>
    void process.stdout.write(values.json ? `${visibleJson({ at: new Date().toISOString(), ...told })}\n` : line(told));
  const stop = rabbitmqUrl === undefined ? await poll(url, customerId, show) : await listen(rabbitmqUrl, customerId, show);
  process.stderr.write(`Watching the orders of ${customerId}; Ctrl-C ends it.\n`);
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  await stop();
  return exitCodes.passed;
}

const declared = {
  customer: { type: 'string' },
  url: { type: 'string' },
  rabbitmq: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function line({ orderId, status, message, total = '' }: Told): string {
  const clock = new Date().toTimeString().slice(0, 8);
  return `${visible(`${clock}  ${orderId}  ${status.padEnd(9)}  ${total.padStart(12)}  ${message}`)}\n`;
}

async function listen(rabbitmqUrl: string, customerId: string, show: (told: Told) => void) {
  const broker = await connectCounter(rabbitmqUrl);
  await listenTo(broker, customerId, (notice) => show(toldBy(notice)));
  return () => broker.close();
}

/**
 * Reads all orders, and then once a second the newest hundred, and in turn a hundred of those before them. Each is shown when it is
 * new, and again at each change: one of an old order when its hundred have their turn.
 */
async function poll(url: string, customerId: string, show: (told: Told) => void) {
  const stopping = new AbortController();
  const client = createClient({ urls: [url], connections: 1, retryMs: 5_000, signal: stopping.signal });
  const seen = new Map<string, number>();
  const read = async (after: string | null, isFirst = false) => {
    const { nodes, pageInfo } = (await client.ask<{ orders: Page }>(page, { customerId, after })).orders;
    for (const order of nodes.reverse()) {
      if (!isFirst && seen.get(order.id) !== order.version) show(toldOf(order));
      seen.set(order.id, order.version);
    }
    return pageInfo.hasNextPage ? pageInfo.endCursor : null;
  };
  let turn: string | null = null;
  const look = async () => {
    const second = await read(null);
    const older = turn ?? second;
    turn = older === null ? null : await read(older);
  };
  const goOn = async () => {
    while (!stopping.signal.aborted) {
      await setTimeout(1_000, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (!stopping.signal.aborted) await look().catch(complain);
    }
  };
  do turn = await read(turn, true);
  while (turn !== null);
  const going = goOn();
  return async () => {
    stopping.abort();
    await going;
    await client.close();
  };
}

interface Page {
  nodes: (GraphqlOrder & { version: number })[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

function complain(error: unknown) {
  process.stderr.write(`watch: ${visible(error instanceof Error ? error.message : String(error))}\n`);
}

const page = `query ($customerId: String!, $after: String) { orders(customerId: $customerId, first: 100, after: $after) {
  nodes { version ${orderFields} } pageInfo { hasNextPage endCursor } } }`;

runScript('watch', main, { atOnce: true });
