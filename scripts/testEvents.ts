import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';

import { INT_MAX } from '../src/contracts';
import { createClient } from './simulate/client';
import { exitCodes, runScript, usageFault } from './exit';
import { openForeignDesk, type ForeignDesk } from './simulate/foreignDesk';
import { address, brokerAddress, count } from './simulate/options';
import { createProduct } from './simulate/products';
import { findSurroundings, rabbitmqMissing } from './simulate/surroundings';

const usage = `Usage: npm run test-events [-- options]

Publishes order events over RabbitMQ as another order service would, bare messages and nothing else, and shows what inventory
answers: one order that can be reserved, one that cannot, and the release of the first, so that nothing stays held.

  --product-id N      the product to order; needs one unit available (a product of its own, added over GraphQL)
  --rabbitmq URL      the RabbitMQ that Holdfast uses (RABBITMQ_URL)
  --url URL           where GraphQL is served (the Holdfast that runs on the data folder, else http://127.0.0.1:4000/graphql)
  --timeout SECONDS   how long an answer is waited for (15)
  --json              one object on stdout instead of the lines
  --help              this

Exit codes: 0 both were answered as they should be · 1 failed · 2 answered otherwise, or not · 64 wrong options ·
69 Holdfast or RabbitMQ out of reach
`;

/** An order event, what must be answered, and what was. */
interface Case {
  case: 'reserved' | 'rejected' | 'released';
  orderId: string;
  expected: string;
  heard: string[];
}

/** `npm run test-events` (S2.17). */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: declared });
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const timeoutMs = count('timeout', values.timeout ?? '15', 1, 3_600) * 1_000;
  const given = {
    url: address('url', values.url, ['http:', 'https:']),
    rabbitmqUrl: brokerAddress('rabbitmq', values.rabbitmq),
  };
  const known = values['product-id'] === undefined ? undefined : count('product-id', values['product-id'], 1, INT_MAX);
  const { url, rabbitmqUrl } = await findSurroundings(given);
  if (rabbitmqUrl === undefined) throw usageFault(rabbitmqMissing);
  const desk = await openForeignDesk({ url: rabbitmqUrl, timeoutMs, onMessage: values.json ? undefined : show });
  try {
    const cases = await publishCases(desk, known ?? (await ownProduct(url)));
    const verdict = cases.every(isRight) ? 'PASS' : 'FAIL';
    process.stdout.write(values.json ? `${JSON.stringify({ verdict, cases })}\n` : summary(cases));
    return verdict === 'PASS' ? exitCodes.passed : exitCodes.broken;
  } finally {
    await desk.close();
  }
}

const declared = {
  'product-id': { type: 'string' },
  rabbitmq: { type: 'string' },
  url: { type: 'string' },
  timeout: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

async function publishCases(desk: ForeignDesk, productId: number): Promise<Case[]> {
  const mark = randomUUID().slice(0, 8);
  const [fits, tooMany] = [`TEST-${mark}-1`, `TEST-${mark}-2`];
  const one = await desk.order(fits, [{ productId, quantity: 1 }]);
  const all = await desk.order(tooMany, [{ productId, quantity: INT_MAX }]);
  const off = await desk.cancel(fits);
  return [
    { case: 'reserved', orderId: fits, expected: 'StockReserved', heard: one },
    { case: 'rejected', orderId: tooMany, expected: 'StockRejected', heard: all },
    { case: 'released', orderId: fits, expected: 'StockReleased', heard: off },
  ];
}

/** The same one at every run; its unit is given back each time. */
async function ownProduct(url: string): Promise<number> {
  const client = createClient({ urls: [url], connections: 1, retryMs: 0 });
  try {
    return await createProduct(client, { sku: 'TEST-EVENTS', name: 'For npm run test-events', price: 1_999, onHand: 10 });
  } finally {
    await client.close();
  }
}

function show(direction: 'published' | 'heard', route: string, body: string): void {
  process.stdout.write(`${direction === 'published' ? '→' : '←'} ${route.padEnd(28)} ${body}\n`);
}

function summary(cases: Case[]): string {
  const lines = cases.map((one) => {
    const heard = one.heard.length === 0 ? 'no answer' : one.heard.join(' and ');
    const outcome = isRight(one) ? heard : `${heard}, expected ${one.expected}`;
    return `${isRight(one) ? '✓' : '✗'} ${one.case.padEnd(9)} ${one.orderId}  ${outcome}`;
  });
  return `\n${lines.join('\n')}\n`;
}

/** An answer may come twice when the order was published twice; it must be the same one. */
function isRight({ expected, heard }: Case): boolean {
  return heard.length > 0 && heard.every((event) => event === expected);
}

runScript('test-events', main);
