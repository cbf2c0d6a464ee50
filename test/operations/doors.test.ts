import { v7 as uuidv7 } from 'uuid';

import { queues } from '../../src/contracts';
import { aHouse, type House } from '../support/aHouse';
import { aProduct, inventoryOn } from '../support/anOrder';
import { eventually, oneOfThree } from '../support/eventually';
import { runProgram } from '../scripts/program';
import { brokers, send } from './aLetter';

describe.each(brokers)('the doors to the dead letters, broker %s', (name, open) => {
  let house: House;
  let productId: number;

  beforeAll(async () => {
    house = await aHouse({ broker: await open() });
    productId = await aProduct(inventoryOn(house.database), 1_000);
  });
  afterAll(() => house.drop());

  const aDeadFulfilment = async () => {
    const orderId = `O-${uuidv7()}`;
    void send(house.ground.broker, queues.orderFulfilled, { event: 'OrderFulfilled', order_id: orderId });
    const letter = await eventually(() => house.database.deadLetter.findFirst({ where: { aggregateId: orderId } }));
    return { orderId, id: letter.id };
  };
  const repair = async (orderId: string) => {
    const items = [{ product_id: productId, quantity: 1 }];
    void send(house.ground.broker, queues.orderCreated, { event: 'OrderCreated', order_id: orderId, items });
    await eventually(() => house.database.reservation.findUnique({ where: { orderId } }));
  };

  describe('GraphQL', () => {
    const settle = async (verb: 'replay' | 'discard', input: object) => {
      const mutation = `mutation ($input: SettleDeadLettersInput!) { result: ${verb}DeadLetters(input: $input) {
        __typename
        ... on DeadLettersSettled { dryRun hasMore endCursor letters { outcome detail understood deadLetter { id state } } }
        ... on ErrorResult { code message } ... on ValidationError { fields { path } } } }`;
      return (await house.ask<{ result: Record<string, unknown> }>(mutation, { input })).result;
    };
    const by = { actor: 'mira', reason: 'ticket 7' };

    it('shows one whole: cause, headers, body, and what was done about it', async () => {
      const { orderId, id } = await aDeadFulfilment();
      await settle('discard', { ids: [id], ...by });
      const query = `query ($id: ID!) { deadLetter(id: $id) { queue reason type aggregateId bodySize timesDied diedAt
        headers { name value } body { encoding content } settledBy settledBecause
        actions { action actor caller reason at } } }`;
      const { deadLetter } = await house.ask<{ deadLetter: Record<string, unknown> }>(query, { id });
      const body = JSON.stringify({ event: 'OrderFulfilled', order_id: orderId });
      expect(deadLetter).toMatchObject({
        ...{ queue: queues.orderFulfilled, type: 'OrderFulfilled', aggregateId: orderId, bodySize: body.length, timesDied: 1 },
        ...{ headers: [], body: { encoding: 'UTF8', content: body }, settledBy: 'mira', settledBecause: 'ticket 7' },
        // Whatever name was typed, the token says who it was.
        actions: [{ action: 'DISCARD', actor: 'mira', caller: 'test', reason: 'ticket 7' }],
      });
      expect(await house.ask(query, { id: uuidv7() })).toEqual({ deadLetter: null });
      expect(await house.ask(query, { id: 'no such id' })).toEqual({ deadLetter: null });
    });

    it('shows a body that is no text in base64', async () => {
      void send(house.ground.broker, queues.orderCreated, Buffer.from([0xff, 0xfe]), { messageId: 'bytes' });
      const { id } = await eventually(() => house.database.deadLetter.findFirst({ where: { messageId: 'bytes' } }));
      const answer = await house.ask(`query ($id: ID!) { deadLetter(id: $id) { body { encoding content } } }`, { id });
      expect(answer).toEqual({ deadLetter: { body: { encoding: 'BASE64', content: '//4=' } } });
    });

    it('lists newest first in pages, by queue, type, state, order and reason, and counts by queue', async () => {
      const made = [await aDeadFulfilment(), await aDeadFulfilment(), await aDeadFulfilment()];
      const query = `query ($filter: DeadLetterFilterInput, $first: Int!, $after: String, $state: DeadLetterState) {
        deadLetters(filter: $filter, first: $first, after: $after, state: $state) {
          nodes { id } pageInfo { hasNextPage endCursor } }
        deadLetterCounts { queue waiting } }`;
      interface Page {
        deadLetters: { nodes: { id: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } };
        deadLetterCounts: { queue: string; waiting: number }[];
      }
      const filter = { queue: queues.orderFulfilled, type: 'OrderFulfilled', reason: 'RESERV' };
      const state = 'WAITING';
      const one = await house.ask<Page>(query, { filter, state, first: 2 });
      const { endCursor: after, hasNextPage } = one.deadLetters.pageInfo;
      const two = await house.ask<Page>(query, { filter, state, first: 1, after });
      const ids = [...one.deadLetters.nodes, ...two.deadLetters.nodes].map(({ id }) => id);
      expect(ids).toEqual(made.map(({ id }) => id).reverse());
      expect(hasNextPage).toBe(true);
      expect(one.deadLetterCounts.find(({ queue }) => queue === queues.orderFulfilled)!.waiting).toBeGreaterThanOrEqual(3);
      const about = { aggregateId: made[0]!.orderId };
      expect((await house.ask<Page>(query, { filter: about, first: 5 })).deadLetters.nodes).toEqual([{ id: made[0]!.id }]);
      for (const reason of ['100% of_it', '\u0000%', '\\']) {
        expect((await house.ask<Page>(query, { filter: { reason }, first: 5 })).deadLetters.nodes).toEqual([]);
      }
    });

    it('refuses nobody, no reason, both or neither of ids and filter, and a letter that is not there', async () => {
      const { id } = await aDeadFulfilment();
      const paths = async (input: object) =>
        ((await settle('replay', input)).fields as { path: string }[]).map(({ path }) => path);
      expect(await paths({ ids: [id], actor: '', reason: 'x' })).toEqual(['actor']);
      expect(await paths({ ids: [id], actor: 'x', reason: '\u0000' })).toEqual(['reason']);
      expect(await paths({ ...by })).toEqual(['ids']);
      expect(await paths({ ids: [id], filter: {}, ...by })).toEqual(['ids']);
      expect(await paths({ filter: {}, first: 101, ...by })).toEqual(['first']);
      expect(await paths({ filter: {}, after: 'x', ...by })).toEqual(['after']);
      expect(await paths({ ids: Array.from({ length: 101 }, () => id), ...by })).toEqual(['ids']);
      for (const unknown of [uuidv7(), 'x', '\u0000']) {
        expect(await settle('discard', { ids: [id, unknown], ...by })).toMatchObject({ code: 'UNKNOWN_DEAD_LETTER' });
      }
      expect(await house.database.deadLetter.findUnique({ where: { id } })).toMatchObject({ state: 'WAITING' });
    });

    it('a dry run says whether the consumer would understand the message today', async () => {
      const { id } = await aDeadFulfilment();
      void send(house.ground.broker, queues.orderFulfilled, 'rubbish', { messageId: `r-${id}` });
      const rubbish = await eventually(() => house.database.deadLetter.findFirst({ where: { messageId: `r-${id}` } }));
      const { letters } = await settle('replay', { ids: [id, rubbish.id], dryRun: true, ...by });
      expect(letters).toMatchObject([
        { outcome: 'WOULD_REPLAY', understood: true },
        { outcome: 'WOULD_REPLAY', understood: false, detail: expect.stringMatching(/not JSON/) as unknown },
      ]);
    });
  });

  describe('npm run dead-letters', () => {
    const run = async (...args: string[]) => {
      const { authorization } = await house.as({ role: 'operator', name: 'mira' });
      const environment = { HOLDFAST_TOKEN: authorization.replace('Bearer ', '') };
      return runProgram('scripts/deadLetters.ts', [...args, '--url', `${house.url}/graphql`], environment);
    };
    const by = ['--actor', 'mira', '--reason', 'the order is there now'];

    const replayMendedAndHopeless = async () => {
      const [mended, hopeless] = [await aDeadFulfilment(), await aDeadFulfilment()];
      await repair(mended.orderId);
      const { code, stdout } = await run('replay', '--queue', queues.orderFulfilled, '--json', ...by);
      const { letters } = JSON.parse(stdout) as { letters: { deadLetter: { id: string }; outcome: string }[] };
      const outcomes = new Map(letters.map(({ deadLetter, outcome }) => [deadLetter.id, outcome]));
      expect(code).toBe(2);
      expect(outcomes.get(mended.id)).toBe('REPLAYED');
      expect(outcomes.get(hopeless.id)).toBe('DIED_AGAIN');
    };

    // On RabbitMQ it looks once more after a second for what has died again; what dies later than that is REPLAYED to it.
    it('replays a whole queue, and ends with 2 when some died again', () => oneOfThree(replayMendedAndHopeless));

    // The script speaks GraphQL alone: what no broker makes different is tested on one of them.
    if (name !== 'in process') return;

    it('lists, shows, tries, replays to success, and finds nothing to do the second time', async () => {
      const { orderId, id } = await aDeadFulfilment();
      const listed = await run('list', '--queue', queues.orderFulfilled);
      expect(listed).toMatchObject({ code: 0, stderr: '' });
      expect(listed.stdout).toMatch(new RegExp(`${id} +order\\.fulfilled\\.inventory +waiting +OrderFulfilled +${orderId} +1 `));
      const shown = await run('show', id);
      expect(shown.stdout).toContain(`{"event":"OrderFulfilled","order_id":"${orderId}"}`);
      expect(shown.stdout).toMatch(/died of +\S+/);
      expect((await run('replay', id, '--dry-run')).stdout).toMatch(/1 would replay; nothing was changed/);

      await repair(orderId);
      const replayed = await run('replay', id, ...by);
      expect(replayed).toMatchObject({ code: 0, stderr: '' });
      expect(replayed.stdout).toMatch(/1 replayed\./);
      await eventually(async () => {
        const reservation = await house.database.reservation.findUnique({ where: { orderId } });
        return reservation?.status === 'COMMITTED';
      });
      expect((await run('replay', id, ...by)).stdout).toMatch(/1 already\./);
      expect((await run('show', id)).stdout).toMatch(/replay by mira \(token of mira\): the order is there now/);
    });

    it('discards by what they died of', async () => {
      const { id } = await aDeadFulfilment();
      const { code, stdout } = await run('discard', '--queue', queues.orderFulfilled, '--died-of', 'RESERV', ...by);
      expect(stdout).toMatch(new RegExp(`${id}.* discarded`));
      expect(code).toBe(0);
      expect((await run('discard', '--queue', queues.orderFulfilled, '--died-of', 'RESERV', ...by)).stdout).toMatch(
        /nothing to do/,
      );
    });

    it('says what is missing, and ends with 64; with 69 when Holdfast is not there; with 1 for an unknown letter', async () => {
      const nowhere = runProgram('scripts/deadLetters.ts', ['list', '--url', 'http://127.0.0.1:9/graphql'], {});
      const [nobody, nothing, unknown, odd, missing, help] = await Promise.all([
        run('replay', uuidv7()),
        run('replay', ...by),
        run('bury'),
        run('list', '--state', 'odd'),
        run('show', uuidv7()),
        run('--help'),
      ]);
      expect(nobody).toMatchObject({ code: 64, stderr: expect.stringMatching(/--actor/) as unknown });
      expect(nothing).toMatchObject({ code: 64, stderr: expect.stringMatching(/ids, or --queue/) as unknown });
      expect(unknown).toMatchObject({ code: 64, stderr: expect.stringMatching(/no command "bury"/) as unknown });
      expect(odd).toMatchObject({ code: 64 });
      expect(missing).toMatchObject({ code: 1 });
      expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(/Usage/) as unknown });
      expect(await nowhere).toMatchObject({ code: 69 });
    });
  });
});
