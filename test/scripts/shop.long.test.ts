import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { askForPicks } from '../../scripts/shop/conversation';
import { testRabbitmqUrl } from '../support/brokers';
import { eventually } from '../support/eventually';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { anOwnHoldfast, runProgram, startProgram, type OwnHoldfast, type Program } from './program';

/** The terminal client: its conversation, and what it orders, with and without a RabbitMQ. */
describe('the conversation', () => {
  const products = ['Mug', 'Pan'].map((name, index) => ({ id: index + 1, sku: name, name, price: '1.00 EUR', available: 9 }));
  const talk = async (...answers: (string | undefined)[]) => {
    const [said, asked]: string[][] = [[], []];
    const ask = (question: string) => Promise.resolve((asked!.push(question), answers.shift()));
    const picks = await askForPicks(products, ask, (line) => void said!.push(line), 1_000);
    return { picks: picks.map(({ product, quantity }) => [product.name, quantity]), said: said!, asked: asked! };
  };

  it('takes several products, and ends at 0 (S1.1)', async () => {
    expect((await talk('1', '2', '2', '1', '0')).picks).toEqual([
      ['Mug', 2],
      ['Pan', 1],
    ]);
  });

  it('asks again for what is no product and no quantity above 0, and says why (S1.1)', async () => {
    const { picks, said, asked } = await talk('pan', '3', '-1', '', '2', '0', '-2', '1.5', 'two', '999999999999', '4', '0');
    expect(picks).toEqual([['Pan', 4]]);
    expect(asked).toHaveLength(12);
    expect(said).toContain('  "pan" is no whole number from 0 to 2.');
    expect(said).toContain('  "0" is no whole number from 1 to 1000.');
  });

  it('orders what was said before the input ended', async () => {
    expect((await talk('1', '2', undefined)).picks).toEqual([['Mug', 2]]);
    expect((await talk('1', '2', '2', undefined)).picks).toEqual([['Mug', 2]]);
    expect((await talk(undefined)).picks).toEqual([]);
  });
});

/** What moves a cursor or more, save for the ends of lines. */
// eslint-disable-next-line no-control-regex
const steering = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/;
const rabbitmqUrl = testRabbitmqUrl();
const worlds: [string, string | undefined][] = [['without a RabbitMQ', undefined]];
if (rabbitmqUrl) worlds.push(['by message', rabbitmqUrl]);

describe.each(worlds)('holdfast shop and holdfast watch, %s', (_name, brokerUrl) => {
  let holdfast: OwnHoldfast;
  let watcher: Program | undefined;
  let authorization: string | undefined;
  let test: TestDatabase | undefined;
  let drop = () => Promise.resolve();

  beforeAll(async () => {
    test = brokerUrl ? await createTestDatabase() : undefined;
    drop = () => test?.drop() ?? Promise.resolve();
    holdfast = await anOwnHoldfast(test ? { DATABASE_URL: test.url, RABBITMQ_URL: brokerUrl! } : {});
    for (const [sku, onHand] of [
      ['MUG', 10],
      ['PAN', 2],
    ]) {
      const input = `{ sku: "${sku}", name: "The ${sku}", price: 1250, onHand: ${onHand} }`;
      await ask(`mutation { createProduct(input: ${input}) { __typename } }`);
    }
  });
  afterAll(async () => {
    watcher?.process.kill('SIGKILL');
    await holdfast.remove();
    await drop();
  });

  const ask = async <T>(query: string): Promise<T> => {
    authorization ??= `Bearer ${(await runProgram('scripts/token.ts', [], holdfast.environment)).stdout.trim()}`;
    const headers = { 'content-type': 'application/json', authorization };
    const response = await fetch(holdfast.url, { method: 'POST', headers, body: JSON.stringify({ query }) });
    return ((await response.json()) as { data: T }).data;
  };
  const shop = (args: string[], input?: string) =>
    runProgram('scripts/shop.ts', ['--url', holdfast.url, ...args], holdfast.environment, input);

  it('shows a numbered list, orders what is typed, and remembers who ordered (S1.1, S1.2, S1.12, S1.17)', async () => {
    const first = await shop([], '1\n0\n3\n0\n');
    expect({ code: first.code, stdout: first.stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/CONFIRMED +37\.50 EUR/) as string,
    });
    expect(first.stdout).toMatch(/ 1 {2}The MUG +MUG +12\.50 EUR {2}10 left\n/);
    const second = JSON.parse((await shop(['--item', 'MUG=1', '--json'])).stdout) as Shopped;
    expect(second.order).toMatchObject({ status: 'CONFIRMED', total: '12.50 EUR' });
    const remembered = readFileSync(join(holdfast.environment.HOLDFAST_DATA!, 'customer'), 'utf8').trim();
    expect(remembered).toMatch(/^CUST-[0-9a-f-]{36}$/);
    expect(second.customerId).toBe(remembered);
    expect(first.stdout).toContain(remembered);
  });

  it('says why an order was cancelled, and ends with 2 (S1.18)', async () => {
    const { code, stdout } = await shop(['--item', 'PAN=3', '--customer', 'CUST-greedy']);
    expect([code, stdout]).toEqual([2, expect.stringMatching(/CANCELLED\n.*Insufficient stock/)]);
  });

  // The same program in both worlds: asked once.
  if (brokerUrl === undefined) {
    it('nothing ordered is no order; what makes no sense is a wrong option', async () => {
      expect(await shop([], '0\n')).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing ordered.') as string });
      expect(await shop(['--item', 'SPOON=1'])).toMatchObject({ code: 64, stderr: expect.stringContaining('SPOON') as string });
      expect(await shop(['--item', 'MUG=0'])).toMatchObject({ code: 64 });
      const limited = { ...holdfast.environment, ORDER_QUANTITY_MAX: '5' };
      const more = await runProgram('scripts/shop.ts', ['--url', holdfast.url, '--item', 'MUG=6'], limited);
      expect(more).toMatchObject({ code: 64, stderr: expect.stringContaining('5') as string });
    });

    it.each(['', 'c'.repeat(101)])('a customer that is no id is a wrong option, told at once', async (customer) => {
      const away = ['--url', 'http://127.0.0.1:1/graphql', '--customer', customer];
      const [shopped, watched] = await Promise.all([shop(away), runProgram('scripts/watch.ts', away, holdfast.environment)]);
      for (const { code, stdout, stderr } of [shopped, watched])
        expect([code, stdout, stderr]).toEqual([
          64,
          '',
          expect.stringContaining('--customer must be an id of 1 to 100 characters'),
        ]);
    });
  }

  it('a watcher in another terminal sees the orders of its customer, and of nobody else (S1.6, S1.9)', async () => {
    const args = ['--url', holdfast.url, '--customer', 'CUST-watched'];
    watcher = startProgram('scripts/watch.ts', args, holdfast.environment);
    await eventually(() => watcher!.stderr().includes('Watching the orders of CUST-watched'));
    await shop(['--item', 'MUG=1', '--customer', 'CUST-other']);
    await shop(['--item', 'MUG=1', '--customer', 'CUST-watched']);
    await eventually(() => /CONFIRMED +12\.50 EUR/.test(watcher!.stdout()));
    watcher.process.kill('SIGINT');
    const { code, stdout } = await watcher.ended;
    expect(code).toBe(0);
    expect(new Set(stdout.match(/ORD-\S+/g))).toHaveProperty('size', 1);
  });

  it('a watcher sees other quantities, and a change of an order that many newer ones came after', async () => {
    const customer = `CUST-many-${brokerUrl === undefined ? 'alone' : 'broker'}`;
    const shopped = JSON.parse((await shop(['--item', 'MUG=1', '--customer', customer, '--json'])).stdout) as Shopped;
    const { orderId } = shopped.order;
    const order = `{ customerId: "${customer}", items: [{ productId: 2, quantity: 3 }] }`;
    for (const count of [100, 20])
      await ask(`mutation { createOrders(inputs: [${Array.from({ length: count }, () => order).join()}]) { __typename } }`);
    const newest = await ask<{ orders: { nodes: { id: string }[] } }>(
      `{ orders(customerId: "${customer}", first: 100) { nodes { id } } }`,
    );
    expect(newest.orders.nodes).toHaveLength(100);
    expect(newest.orders.nodes).not.toContainEqual({ id: orderId });
    const watching = startProgram('scripts/watch.ts', ['--url', holdfast.url, '--customer', customer], holdfast.environment);
    await eventually(() => watching.stderr().includes('Watching the orders'));
    await ask(
      `mutation { updateOrder(input: { orderId: "${orderId}", items: [{ productId: 1, quantity: 2 }] }) { __typename } }`,
    );
    await eventually(() => new RegExp(`${orderId}  CONFIRMED +25\\.00 EUR`).test(watching.stdout()), 10_000);
    await ask(`mutation { cancelOrder(orderId: "${orderId}") { __typename } }`);
    await eventually(() => watching.stdout().includes(`${orderId}  CANCELLED`), 10_000);
    watching.process.kill('SIGINT');
    expect(await watching.ended).toMatchObject({ code: 0 });
  });

  it('no word of an order or a product steers the terminal: control characters are seen, and do nothing', async () => {
    const evil = 'wait\u001b[2J\u001b]0;mine\u0007\r\n\u009b2Jfor it';
    const customer = `CUST-evil-${brokerUrl === undefined ? 'alone' : 'broker'}`;
    const watching = ['--url', holdfast.url, '--customer', customer];
    const plain = startProgram('scripts/watch.ts', watching, holdfast.environment);
    const json = startProgram('scripts/watch.ts', [...watching, '--json'], holdfast.environment);
    await eventually(() => [plain, json].every((one) => one.stderr().includes('Watching the orders')));
    const shopped = JSON.parse((await shop(['--item', 'MUG=1', '--customer', customer, '--json'])).stdout) as Shopped;
    await ask(`mutation { cancelOrder(orderId: "${shopped.order.orderId}", message: ${JSON.stringify(evil)}) { __typename } }`);
    await eventually(() => [plain, json].every((one) => one.stdout().includes('for it')));
    for (const one of [plain, json]) one.process.kill('SIGINT');
    const [{ stdout }, { stdout: objects }] = await Promise.all([plain.ended, json.ended]);
    expect(stdout).toContain('wait·[2J·]0;mine····2Jfor it\n');
    expect(stdout + objects).not.toMatch(steering);
    expect((JSON.parse(objects.trim().split('\n').at(-1)!) as { message: string }).message).toContain(evil);
    if (test === undefined) return;
    await test.database.product.create({
      data: { sku: 'OLD', name: evil, priceMinor: 100, currency: 'EUR', stock: { create: { onHand: 5 } } },
    });
    const { stdout: list, stderr: asked } = await shop(['--customer', customer], '3\n1\n0\n');
    expect(list).toMatch(/ 3 {2}wait·\[2J·\]0;mine····2Jfor it +OLD /);
    expect(list + asked).not.toMatch(steering);
  });

  interface Shopped {
    customerId: string;
    order: { orderId: string; status: string; total?: string };
  }
});

it('holdfast says which commands there are, and refuses others with 64', async () => {
  const help = await runProgram('scripts/holdfast.ts', ['--help'], {});
  expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(/shop .*\n(.*\n)*.*watch /) as string });
  expect(await runProgram('scripts/holdfast.ts', ['shup'], {})).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('"shup"') as string,
  });
});

it('out of reach is one line and 69', async () => {
  const { code, stderr } = await runProgram('scripts/shop.ts', ['--url', 'http://127.0.0.1:9/graphql', '--item', 'MUG=1'], {});
  expect([code, stderr]).toEqual([69, expect.stringMatching(/^shop: .*out of reach.*\n$/)]);
});
