import { type Asking } from '../../src/gateway/callerQueues';
import { startHttpServer } from '../../src/gateway/httpServer';
import { QueryTurns } from '../../src/gateway/queryTurns';
import { restRoutes } from '../../src/gateway/rest';
import { createLogger, createMetrics } from '../../src/observability';
import { type Endpoint } from '../../src/rest';
import { eventually } from '../support/eventually';
import { startGateway } from './startGateway';

const of = (customerId: string): Asking => ({ caller: { role: 'customer', customerId } });

/** Asks for turns and writes down who has begun, in the order in which they did. */
function desk(costMax: number) {
  const turns = new QueryTurns(costMax);
  const begun: string[] = [];
  const refused: string[] = [];
  const over = new Map<string, () => void>();
  return {
    begun,
    refused,
    ask: (name: string, cost: number, hasLeft?: () => boolean): void => {
      const asking = { ...of(name.charAt(0)), hasLeft };
      void turns.take(asking, cost).then((end) => {
        if (end) over.set(name, end);
        (end ? begun : refused).push(name);
      });
    },
    end: async (...names: string[]): Promise<void> => {
      for (const name of names) {
        over.get(name)!();
        await settled();
      }
    },
  };
}

const settled = () => new Promise(setImmediate);

it('of one caller so many begin as half of the room holds, and another begins beside them', async () => {
  const { ask, begun, end } = desk(100);
  for (const name of ['A1', 'A2', 'A3']) ask(name, 25);
  ask('B1', 25);
  await settled();
  expect(begun).toEqual(['A1', 'A2', 'B1']);
  await end('A1');
  expect(begun).toEqual(['A1', 'A2', 'B1', 'A3']);
});

it('when all room is taken, callers take turns', async () => {
  const { ask, begun, end } = desk(100);
  for (const name of ['A1', 'B1', 'A2', 'A3', 'A4', 'B2', 'C1', 'D1']) ask(name, 50);
  await settled();
  await end('A1', 'B1', 'A2', 'C1', 'B2', 'D1');
  expect(begun).toEqual(['A1', 'B1', 'A2', 'C1', 'B2', 'D1', 'A3']);
});

it('one that costs more than all room runs, and leaves room for another caller', async () => {
  const { ask, begun, end } = desk(100);
  ask('A1', 5_000);
  ask('A2', 1);
  ask('B1', 50);
  await settled();
  expect(begun).toEqual(['A1', 'B1']);
  await end('A1');
  expect(begun).toEqual(['A1', 'B1', 'A2']);
});

it('a dear one is not overtaken for ever by cheap ones of others', async () => {
  const { ask, begun, end } = desk(100);
  for (const name of ['A1', 'B1', 'C1', 'D1']) ask(name, 25);
  ask('E1', 50);
  for (const name of ['F1', 'G1']) ask(name, 25);
  await settled();
  await end('A1');
  expect(begun).not.toContain('F1');
  await end('B1');
  expect(begun.slice(4)).toEqual(['E1']);
});

it('a dear one is not overtaken for ever by cheap ones of its own caller', async () => {
  const { ask, begun, end } = desk(100);
  ask('A1', 10);
  ask('A2', 50);
  ask('A3', 10);
  await settled();
  expect(begun).toEqual(['A1']);
  await end('A1');
  expect(begun).toEqual(['A1', 'A2']);
  await end('A2');
  expect(begun).toEqual(['A1', 'A2', 'A3']);
});

it('whatever is reckoned of fractions, at the end there is all room again', async () => {
  const { ask, begun, end } = desk(2_000);
  for (const [index, cost] of [236, 58.2, 59, 292, 151, 54.2].entries()) ask(`A${index}`, cost);
  await settled();
  await end('A3', 'A1', 'A0', 'A2', 'A5', 'A4');
  ask('A9', 1_000);
  ask('B9', 1_000);
  await settled();
  expect(begun.slice(6)).toEqual(['A9', 'B9']);
});

it('who was up next and has left holds up nobody', async () => {
  const { ask, begun, refused, end } = desk(100);
  let hasLeft = false;
  ask('A1', 50);
  ask('B1', 30);
  ask('E1', 20);
  ask('C1', 50, () => hasLeft);
  await settled();
  await end('E1');
  hasLeft = true;
  ask('D1', 10);
  await settled();
  expect([begun, refused]).toEqual([['A1', 'B1', 'E1', 'D1'], ['C1']]);
});

it('who has left is sent away without a turn', async () => {
  const { ask, begun, refused, end } = desk(100);
  let hasLeft = false;
  ask('A1', 50);
  ask('A2', 50, () => hasLeft);
  ask('A3', 50);
  await settled();
  hasLeft = true;
  await end('A1');
  expect([begun, refused]).toEqual([['A1', 'A3'], ['A2']]);
});

it('those without a token are told apart by their address', async () => {
  const turns = new QueryTurns(100);
  const begun: string[] = [];
  for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) void turns.take({ address }, 50).then(() => begun.push(address));
  await settled();
  expect(begun).toEqual(['192.0.2.1', '192.0.2.2']);
});

it('those who have left take no place among the thousand', async () => {
  const { ask, begun, refused, end } = desk(100);
  let hasLeft = false;
  for (let index = 0; index < 1_001; index++) ask(`A${index}`, 50, () => hasLeft && index > 1);
  hasLeft = true;
  ask('A2000', 50);
  await settled();
  expect([begun, refused.length]).toEqual([['A0'], 999]);
  await end('A0', 'A1');
  expect(begun).toEqual(['A0', 'A1', 'A2000']);
});

it('a caller has a thousand waiting at most, and what ends twice gives no room', async () => {
  const { ask, begun, refused, end } = desk(100);
  for (let index = 0; index < 1_002; index++) ask(`A${index}`, 50);
  await settled();
  expect([begun, refused]).toEqual([['A0'], ['A1001']]);
  await end('A0', 'A0');
  expect(begun).toEqual(['A0', 'A1']);
});

describe('over HTTP', () => {
  const dear = { query: '{ held orders(first: 100) { nodes { id status items { productId quantity } } } }' };

  it('while queries of a caller take their room, mutations and what others answer do not wait, and afterwards all are answered', async () => {
    const gateway = await startGateway({ answeredElsewhere: new Set(['facts']) });
    const first = gateway.post(dear);
    await gateway.held.underWay;
    const second = gateway.post({ query: '{ orders { nodes { id } } }' });
    const waiting = async () =>
      /holdfast_graphql_waiting\{for="running"\} (\d+)/.exec((await gateway.metrics.exposition()).body)?.[1];
    await eventually(async () => (await waiting()) === '1');
    const order = '{ createOrder(input: { customerId: "A", items: [{ productId: 1, quantity: 1 }] }) { __typename } }';
    expect((await gateway.post({ query: `mutation ${order}` })).status).toBe(200);
    expect((await gateway.post({ query: '{ facts { requestId } }' })).status).toBe(200);
    expect(await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 50, 'waits'))])).toBe('waits');
    gateway.held.release();
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
    expect(await waiting()).toBe('0');
    await gateway.stop();
  });

  it('a query that fails gives back its room', async () => {
    const gateway = await startGateway();
    const faulty = { query: '{ fault orders(first: 100) { nodes { id status items { productId quantity } } } }' };
    for (let times = 0; times < 5; times++) await gateway.post(faulty);
    expect((await gateway.post({ query: '{ orders { nodes { id } } }' })).status).toBe(200);
    await gateway.stop();
  });
});

it('what is read over plain HTTP takes turns too', async () => {
  const begun: string[] = [];
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const endpoint: Endpoint = {
    ...{ method: 'GET', path: '/held', access: 'anyone', operationId: 'held', summary: 'Waits.', answers: {}, refusals: {} },
    async answer({ context }) {
      begun.push(context.requestId);
      await held;
      return { status: 200, body: {} };
    },
  };
  const log = createLogger({ name: 'test', level: 'silent' });
  const queries = new QueryTurns(100);
  const routes = restRoutes({ endpoints: [endpoint], version: '1', bodyLimitBytes: 1_000, log, queries });
  const server = await startHttpServer({ port: 0, host: '127.0.0.1', routes, log, metrics: createMetrics() });
  const ask = () => fetch(`${server.url}/held`).then(({ status }) => status);
  const first = ask();
  await eventually(() => begun.length === 1);
  const crowd = Array.from(
    { length: 1_000 },
    () => new Promise<void>((resolve) => void queries.take({}, 1).then((over) => resolve(over!()))),
  );
  expect(await ask()).toBe(429);
  release();
  await Promise.all(crowd);
  expect([await first, await ask(), begun.length]).toEqual([200, 200, 2]);
  await server.close();
});
