import { parseArgs } from 'node:util';

import { readConfig } from '../../src/config';
import { connectionProblem } from '../../src/messaging/brokers/rabbitmqUrl';
import { usageFault } from '../exit';
import { type StreamShape } from './orderStream';

export interface SimulateOptions extends StreamShape {
  concurrency: number;
  /** With `hot`: units of the one product, all of which must be sold. */
  stock: number;
  /** Where GraphQL is served; the running Holdfast's own when not given. */
  url?: string;
  rabbitmqUrl?: string;
  timeoutMs: number;
  json: boolean;
}

export const usage = `Usage: npm run simulate [-- options]

Places orders over GraphQL, waits until all are decided, and gives a verdict that SQL computes on the database.

  --orders N          how many orders (1000)
  --concurrency N     how many are under way at a time (32)
  --seed N            the same seed gives the same orders (1)
  --hot               every order on one product that is short: exactly its stock must be sold
  --stock N           with --hot: its units (a third of the orders)
  --foreign [N]       percent of the orders that come as bare messages over RabbitMQ, as from another order service (50)
  --rabbitmq URL      the RabbitMQ for --foreign (RABBITMQ_URL)
  --lines A/B/C       percent of orders with one line, with 2 to 5, with up to 10 (70/25/5)
  --duplicates N      percent of orders placed twice under the same key; half as many try other lines under it (2)
  --cancels N         percent of orders cancelled at once (0)
  --paid N            percent of orders paid by their customers' balances, some of which are too small (20; with --hot 0)
  --url URL           where GraphQL is served (the Holdfast that runs on the data folder, else http://127.0.0.1:4000/graphql)
  --timeout SECONDS   how long an order is tried again while Holdfast is away, and decisions are waited for (120)
  --json              one object on stdout instead of the report
  --help              this

The verdict needs the database: DATABASE_URL, or the Holdfast that runs on the data folder (HOLDFAST_DATA).
Exit codes: 0 PASS · 1 failed · 2 FAIL, a promise was broken · 64 wrong options · 69 Holdfast out of reach · 130 interrupted
`;

/** Reads the command line; undefined when only the usage is wanted. Throws with exit code 64 for what makes no sense. */
export function readOptions(args: string[]): SimulateOptions | undefined {
  const { values } = parseArgs({ args: withShare(args), options: declared });
  if (values.help) return undefined;
  const hot = values.hot ?? false;
  const cancels = percent('cancels', values.cancels ?? '0');
  if (hot && cancels > 0)
    throw usageFault('--hot with --cancels: a late cancel gives back a unit that nobody is left to buy. Leave one out.');
  const paid = paidOf(values.paid, hot);
  const duplicates = percent('duplicates', values.duplicates ?? '2');
  const orders = count('orders', values.orders ?? '1000', 1, 5_000_000);
  return {
    orders,
    stock: stockOf(values.stock, hot, orders),
    concurrency: count('concurrency', values.concurrency ?? '32', 1, 1_000),
    seed: count('seed', values.seed ?? '1', 0, 2 ** 32 - 1),
    hot,
    lines: shares(values.lines ?? '70/25/5'),
    duplicates,
    conflicts: duplicates / 2,
    cancels,
    paid,
    foreign: percent('foreign', values.foreign ?? '0'),
    url: address('url', values.url, ['http:', 'https:']),
    rabbitmqUrl: brokerAddress('rabbitmq', values.rabbitmq),
    timeoutMs: count('timeout', values.timeout ?? '120', 1, 86_400) * 1_000,
    json: values.json ?? false,
  };
}

const declared = {
  orders: { type: 'string' },
  concurrency: { type: 'string' },
  seed: { type: 'string' },
  hot: { type: 'boolean' },
  stock: { type: 'string' },
  foreign: { type: 'string' },
  rabbitmq: { type: 'string' },
  lines: { type: 'string' },
  duplicates: { type: 'string' },
  cancels: { type: 'string' },
  paid: { type: 'string' },
  url: { type: 'string' },
  timeout: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

/** What is for sale when all want the same: fewer units than orders. */
function stockOf(text: string | undefined, hot: boolean, orders: number): number {
  if (text === undefined) return Math.max(1, Math.floor(orders / 3));
  if (hot) return count('stock', text, 1, orders);
  throw usageFault('--stock is for --hot: other runs have what their orders ask for.');
}

/** A flash sale is about stock alone. */
function paidOf(text: string | undefined, hot: boolean): number {
  const paid = percent('paid', text ?? (hot ? '0' : '20'));
  if (!hot || paid === 0) return paid;
  throw usageFault('--hot with --paid: a declined payment gives back a unit that nobody is left to buy. Leave one out.');
}

/** `--foreign` alone means half: parseArgs knows no value that may be left out. */
function withShare(args: string[]): string[] {
  return args.map((arg, index) => (arg === '--foreign' && !/^\d/.test(args[index + 1] ?? '') ? '--foreign=50' : arg));
}

export function count(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw usageFault(`--${name} ${text}: must be a whole number, ${min} to ${max}.`);
}

export function address(name: string, text: string | undefined, protocols: string[]): string | undefined {
  if (text === undefined || (URL.canParse(text) && protocols.includes(new URL(text).protocol))) return text;
  throw usageFault(
    `--${name} ${text}: must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}.`,
  );
}

/** One RabbitMQ node, or those of a cluster separated by commas. */
export function brokerAddress(name: string, text: string | undefined): string | undefined {
  try {
    const problem = text && connectionProblem(text, readConfig(process.env).ALLOW_PLAINTEXT);
    if (problem) throw new Error(problem);
    return text;
  } catch (error) {
    throw usageFault(`--${name} ${(error as Error).message}.`);
  }
}

function percent(name: string, text: string): number {
  const value = Number(text.replace(/%$/, ''));
  if (/^\d+(\.\d+)?%?$/.test(text) && value <= 100) return value / 100;
  throw usageFault(`--${name} ${text}: must be a percentage, 0 to 100.`);
}

function shares(text: string): [number, number, number] {
  const parts = /^(\d+)\/(\d+)\/(\d+)$/.exec(text)?.slice(1).map(Number);
  if (parts && parts.reduce((a, b) => a + b) === 100) return [parts[0]! / 100, parts[1]! / 100, parts[2]! / 100];
  throw usageFault(`--lines ${text}: must be three percentages that make 100, such as 70/25/5.`);
}
