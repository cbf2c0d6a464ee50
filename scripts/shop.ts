import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';

import { readConfig } from '../src/config';
import { Ending, exitCodes, runScript, usageFault } from './exit';
import { askForPicks, type Ask } from './shop/conversation';
import {
  graphqlCounter,
  messageCounter,
  productsForSale,
  type Counter,
  type CounterProduct,
  type Pick,
  type Told,
} from './shop/counter';
import { namedCustomer, rememberedCustomer } from './shop/customer';
import { createClient } from './simulate/client';
import { address, brokerAddress, count } from './simulate/options';
import { findSurroundings } from './simulate/surroundings';
import { visible, visibleJson } from './visible';

const usage = `Usage: holdfast shop [options]     (npm run shop -- [options])

Shows the products, asks what you want, orders it, and says what became of the order. Where Holdfast uses a RabbitMQ the order goes
as a message to new_orders_exchange, and the answer comes on notification_exchange; elsewhere both go over GraphQL.

  --item SKU=N        orders this without asking; repeat it for more
  --customer C        who orders; else the customer that this data folder remembers
  --url URL           where GraphQL is served (the Holdfast that runs on the data folder, else http://127.0.0.1:4000/graphql)
  --rabbitmq URL      the RabbitMQ that Holdfast uses (RABBITMQ_URL)
  --timeout SECONDS   how long the decision is waited for (15)
  --json              one object on stdout; questions and products go to stderr
  --help              this

By message it takes the role notifications to hear the decision. Exit codes: 0 confirmed, or nothing ordered · 1 failed ·
2 cancelled, refused, or not decided in time · 64 wrong options · 69 Holdfast or RabbitMQ out of reach · 130 interrupted
`;

/** `holdfast shop` (S1.1, S1.2, S1.17). */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: declared });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const named = namedCustomer(values.customer);
  const timeoutMs = count('timeout', values.timeout ?? '15', 1, 3_600) * 1_000;
  const rabbitmq = brokerAddress('rabbitmq', values.rabbitmq);
  const { url, rabbitmqUrl } = await findSurroundings({
    url: address('url', values.url, ['http:', 'https:']),
    rabbitmqUrl: rabbitmq,
  });
  const client = createClient({ urls: [url], connections: 1, retryMs: 5_000 });
  const { HOLDFAST_DATA, ORDER_QUANTITY_MAX: quantityMax } = readConfig(process.env);
  const customerId = named ?? (await rememberedCustomer(HOLDFAST_DATA));
  const say = (line: string) => (values.json ? process.stderr : process.stdout).write(`${visible(line)}\n`);
  let counter: Counter | undefined;
  try {
    const products = await productsForSale(client);
    const picks = values.item ? given(values.item, products, quantityMax) : await asked(products, say, quantityMax);
    counter = rabbitmqUrl === undefined ? graphqlCounter(client) : await messageCounter(rabbitmqUrl);
    const told = picks.length === 0 ? undefined : await counter.order(customerId, picks, timeoutMs);
    process.stdout.write(values.json ? `${visibleJson({ customerId, order: told ?? null })}\n` : summary(customerId, told));
    return told === undefined || told.status === 'CONFIRMED' ? exitCodes.passed : exitCodes.broken;
  } finally {
    await counter?.close();
    await client.close();
  }
}

const declared = {
  item: { type: 'string', multiple: true },
  customer: { type: 'string' },
  url: { type: 'string' },
  rabbitmq: { type: 'string' },
  timeout: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

function given(items: string[], products: CounterProduct[], quantityMax: number): Pick[] {
  return items.map((item) => {
    const [, sku = item, quantity = ''] = /^(.+)=(\d+)$/.exec(item) ?? [];
    const product = products.find((one) => one.sku === sku);
    if (!product) throw usageFault(`--item ${item}: there is no product for sale with the sku ${JSON.stringify(sku)}.`);
    return { product, quantity: count('item', quantity, 1, quantityMax) };
  });
}

async function asked(products: CounterProduct[], say: (line: string) => void, quantityMax: number): Promise<Pick[]> {
  for (const line of listing(products)) say(line);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const lines = terminal[Symbol.asyncIterator]();
  let isInterrupted = false;
  // Without this Ctrl-C would only end the input, and what was picked so far would be ordered.
  terminal.on('SIGINT', () => {
    isInterrupted = true;
    terminal.close();
  });
  const ask: Ask = async (question) => {
    process.stderr.write(visible(question));
    const line = await lines.next();
    if (isInterrupted) throw new Ending(exitCodes.interrupted, 'interrupted; nothing was ordered.');
    return line.done ? undefined : line.value;
  };
  return askForPicks(products, ask, say, quantityMax).finally(() => terminal.close());
}

function listing(products: CounterProduct[]): string[] {
  const names = Math.max(...products.map(({ name }) => name.length), 4);
  const skus = Math.max(...products.map(({ sku }) => sku.length), 3);
  return products.map(({ name, sku, price, available }, index) => {
    const number = String(index + 1).padStart(String(products.length).length);
    return `  ${number}  ${name.padEnd(names)}  ${sku.padEnd(skus)}  ${price.padStart(12)}  ${available > 0 ? `${available} left` : 'sold out'}`;
  });
}

function summary(customerId: string, told: Told | undefined): string {
  if (!told) return 'Nothing ordered.\n';
  const { orderId, status, message, total } = told;
  const more = `holdfast watch --customer ${customerId} shows what happens to it next.`;
  const lines = ['', `${orderId}  ${status}${total ? `  ${total}` : ''}`, message, more];
  return lines.map((line) => `${visible(line)}\n`).join('');
}

runScript('shop', main, { atOnce: true });
