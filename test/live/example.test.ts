import { spawn } from 'node:child_process';
import { join } from 'node:path';

import { startTcpProxy } from '../../scripts/chaos/tcpProxy';
import { aHouse } from '../support/aHouse';
import { eventually } from '../support/eventually';

/** The client that docs/live.md shows, run as it stands. */
it('examples/live/followOrders.ts prints each change once, also when the gateway was away in between', async () => {
  const house = await aHouse();
  // One address for two gateways, one after the other: a port that is let go may be somebody else's the next moment.
  const gateway = { host: '127.0.0.1', port: house.port };
  const proxy = await startTcpProxy(gateway);
  await house.ask('mutation { createProduct(input: { sku: "MUG", name: "x", price: 1, onHand: 10 }) { __typename } }');
  const { authorization } = await house.as({ role: 'operator', name: 'ann' });
  const program = [join(__dirname, '../support/runTypeScript.cjs'), join(__dirname, '../../examples/live/followOrders.ts')];
  const after = Buffer.from('k:step 0').toString('base64url');
  const environment = { GRAPHQL_URL: `ws://127.0.0.1:${proxy.port}/graphql`, TOKEN: authorization.slice('Bearer '.length) };
  const child = spawn(process.execPath, program, { env: { PATH: process.env.PATH, ...environment, AFTER: after } });
  let printed = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  const place = () =>
    house.ask(
      'mutation { createOrder(input: { customerId: "CUST-1", items: [{ sku: "MUG", quantity: 1 }] }) { ... on Order { id } } }',
    );
  try {
    await place();
    await eventually(() => printed.split('\n').length === 3);
    await house.stop();
    const secret = house.ground.config.AUTH_SECRET!;
    const again = await aHouse({ testDatabase: house.testDatabase, config: { AUTH_SECRET: secret } });
    gateway.port = again.port;
    await again.ask(
      'mutation { createOrder(input: { customerId: "CUST-1", items: [{ sku: "MUG", quantity: 1 }] }) { ... on Order { id } } }',
    );
    await eventually(() => printed.split('\n').length === 5);
    const events = printed
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(['OrderCreated', 'StockReserved', 'OrderCreated', 'StockReserved']);
    expect(complaints).toBe('');
    await again.stop();
  } finally {
    child.kill('SIGKILL');
    await proxy.close();
    await house.testDatabase.drop();
  }
});
