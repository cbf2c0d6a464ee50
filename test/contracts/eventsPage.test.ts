import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  amendmentRefusal,
  cancellationCode,
  declineCode,
  events,
  productDesk,
  rejectionCode,
  routes,
  rpcs,
  type EventType,
} from '../../src/contracts';
import { notificationsTopology, topology } from '../../src/messaging';
import { readConsumers } from './consumers';

/** docs/events.md is written for people, and held here against the contracts and the topology: it cannot drift from them. */
const page = readFileSync(join(__dirname, '..', '..', 'docs', 'events.md'), 'utf8');
const declared = {
  exchanges: [...topology.exchanges, ...notificationsTopology.exchanges],
  queues: [...topology.queues, ...notificationsTopology.queues],
  bindings: [...topology.bindings, ...notificationsTopology.bindings],
};
const inTicks = (text: string) => [...text.matchAll(/`([^`]*)`/g)].map((match) => match[1]!);
const byName = (one: string, other: string) => (one < other ? -1 : 1);

describe('the exchanges', () => {
  it('are those that are declared, with their types', () => {
    const told = rowsOf('exchange', 'type', 'for').map(([name, type]) => [inTicks(name!)[0], type]);
    expect(told.sort(by(0))).toEqual(declared.exchanges.map(({ name, type }) => [name, type]).sort(by(0)));
  });
});

describe('the queues', () => {
  const rows = rowsOf('queue', 'bound to', 'consumed by').map(([name, bound, by]) => ({ name: inTicks(name!)[0]!, bound, by }));

  it('are those that take work, each bound as it is declared', () => {
    const work = declared.queues.filter(({ kind }) => kind === 'work').map(({ name }) => name);
    expect(rows.map(({ name }) => name).sort(byName)).toEqual(work.sort(byName));
    for (const { name, bound } of rows) {
      expect([name, boundTo(bound!)]).toEqual([name, bindingsOf(name).sort(byName)]);
    }
  });

  it('are consumed by the role that has their handlers', async () => {
    const { roles, answers } = await readConsumers();
    expect(Object.fromEntries(rows.map(({ name, by }) => [name, by]))).toEqual(roles);
    const told = questionRows.map(([queue, role]) => [inTicks(queue!)[0]!, role!]);
    // What processes of one release ask of one another is nobody else's contract.
    const published = Object.entries(answers).filter(([queue]) => queue !== productDesk.queue);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(published));
  });

  /** `exchange` / `key`, `key`; a fanout has no key, and the default exchange no binding. */
  function boundTo(cell: string): string[] {
    if (cell.includes('default exchange')) return [];
    const [exchange, ...keys] = inTicks(cell);
    return (keys.length > 0 ? keys : ['']).map((key) => `${exchange} ${key}`).sort(byName);
  }

  function bindingsOf(queue: string): string[] {
    const bindings = declared.bindings.filter(({ to }) => 'queue' in to && to.queue === queue);
    return bindings.map(({ exchange, key }) => `${exchange} ${key}`);
  }
});

describe('the messages', () => {
  const told = [
    ...rowsOf('step', 'who', 'exchange', 'key', 'body').map(([, , exchange, key, body]) => ({
      ...{ exchange: inTicks(exchange!)[0] ?? '', key: inTicks(key!)[0], body: inTicks(body!)[0]! },
    })),
    ...rowsOf('step', 'who', 'where', 'body').map(([, , where, body]) => {
      const [first, second] = inTicks(where!);
      return { exchange: second === undefined ? '' : first!, key: second ?? first, body: inTicks(body!)[0]! };
    }),
  ];

  it('are there, and go where they are said to go', () => {
    expect(told.length).toBeGreaterThan(16);
    for (const { exchange, key, body } of told) {
      const type = /"event":"(\w+)"/.exec(body)?.[1] as EventType;
      expect([type, exchange, key]).toEqual([type, routes[type].exchange, routes[type].key]);
    }
  });

  it('are understood, wherever one is written out', () => {
    const bodies = [...page.matchAll(/\{"event":.*?\}(?=[`\n])/g)].map((match) => match[0]).filter((body) => !body.includes('…'));
    expect(bodies.length).toBeGreaterThan(4);
    for (const body of bodies) {
      const json = JSON.parse(body) as { event: EventType };
      if (Object.keys(json).length > 2) expect(events[json.event].safeParse(json)).toMatchObject({ success: true });
    }
  });

  it('are all listed, and their codes named', () => {
    for (const type of Object.keys(events)) expect(page).toContain(`| \`${type}\` |`);
    const codes = [rejectionCode, cancellationCode, declineCode, amendmentRefusal].flatMap(({ options }) => options);
    expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  });
});

describe('the questions', () => {
  it('are those that can be asked, and are understood as they are written', () => {
    const byQueue = Object.fromEntries(Object.values(rpcs).map((rpc) => [rpc.queue, rpc]));
    expect(questionRows.map(([queue]) => inTicks(queue!)[0]).sort()).toEqual(Object.keys(byQueue).sort());
    for (const [queue, , question, answer] of questionRows) {
      const { request, reply } = byQueue[inTicks(queue!)[0]!]!;
      for (const [schema, cell] of [
        [request, question],
        [reply, answer],
      ] as const) {
        const [body = ''] = inTicks(cell!);
        // Written short, as in {"order_id":"ORD-…","reason":…}: a text stands for the rest.
        const json = body.replace(/:…/g, ':"…"');
        if (json.startsWith('{')) expect([body, schema.safeParse(JSON.parse(json)).error?.issues]).toEqual([body, undefined]);
      }
    }
  });
});

const questionRows = rowsOf('queue', 'answered by', 'question', 'answer');

/** The rows of every table that has these columns. */
function rowsOf(...columns: string[]): string[][] {
  const rows: string[][] = [];
  let isOurs = false;
  for (const line of page.split('\n')) {
    const cells = line.startsWith('|') ? cellsOf(line) : undefined;
    if (!cells) isOurs = false;
    else if (cells.join() === columns.join()) isOurs = true;
    else if (isOurs && !/^-+$/.test(cells[0]!)) rows.push(cells);
  }
  return rows;
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split('|')
    .map((cell) => cell.trim());
}

function by(column: number) {
  return (one: (string | undefined)[], other: (string | undefined)[]) => byName(one[column]!, other[column]!);
}
