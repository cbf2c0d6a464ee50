import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { bareEvents, rpcs, rpcSamples, samples, type EventType } from '../../src/contracts';
import { parseMessage } from '../../src/messaging';
import { addVersion, brokenSeals, openGolden, versionsOf } from './golden';
import { goldenHistory } from './goldenHistory';

/**
 * Every version of every message that was ever published must be understood for ever. When a sample in src/contracts/samples.ts
 * changes, `UPDATE_GOLDEN=1 npx jest test/contracts/golden` adds its next version; nothing overwrites one.
 */
const root = join(__dirname, '..', '..');
const folder = join(root, 'test', 'golden');

/** Golden files that were changed or removed after all, by path: with the day and the reason. There should be none. */
const withdrawn: Record<string, { on: string; because: string }> = {};

const questions = Object.entries(rpcs) as [keyof typeof rpcs, (typeof rpcs)[keyof typeof rpcs]][];
const today: Record<string, string> = {
  ...Object.fromEntries(Object.entries(samples).map(([type, sample]) => [type, wire(type as EventType, sample)])),
  ...Object.fromEntries(
    questions.flatMap(([name, { queue }]) => [
      [`${queue}.question`, JSON.stringify(rpcSamples[name].request)],
      [`${queue}.answer`, JSON.stringify(rpcSamples[name].reply)],
    ]),
  ),
};
if (process.env.UPDATE_GOLDEN) for (const [name, body] of Object.entries(today)) addVersion(openGolden(folder), name, body);
const golden = openGolden(folder);

it.each(Object.keys(today))('the newest golden message of %s is what is published today', (name) => {
  const newest = versionsOf(golden, name).at(-1);
  expect(newest && golden.read(newest)).toBe(today[name]);
});

it.each(golden.files)('%s is understood by the schemas of today, and nothing of it is lost', (file) => {
  const name = dirname(file);
  const body = golden.read(file);
  const [, queue, kind] = /^(.+)\.(question|answer)$/.exec(name) ?? [];
  const rpc = questions.find(([, one]) => one.queue === queue)?.[1];
  if (rpc) return void expect((kind === 'question' ? rpc.request : rpc.reply).parse(JSON.parse(body))).toEqual(JSON.parse(body));
  const type = name as EventType;
  const message = parseMessage(Buffer.from(body), { headers: {} }, [type]);
  const added = bareEvents.includes(type) ? { event: type } : {};
  expect(message.body).toEqual({ ...added, ...(JSON.parse(body) as object) });
});

it('a version has every field of the one before: less would be a break, and a break is a new event beside the old', () => {
  for (const name of Object.keys(today)) {
    const versions = versionsOf(golden, name).map((file) => fieldsOf(JSON.parse(golden.read(file))));
    versions.slice(1).forEach((fields, index) => expect(fields).toEqual(expect.arrayContaining(versions[index]!)));
  }
});

it('golden messages are what they were when they came, and none is gone: SHA256SUMS says so', () => {
  expect(brokenSeals(golden)).toEqual([]);
  expect([...new Set(golden.files.map((file) => dirname(file)))].sort()).toEqual(
    expect.arrayContaining(Object.keys(today).sort()),
  );
});

it('and the history says so, where there is one', () => {
  const done = goldenHistory(root, 'test/golden');
  if (done === undefined) process.stderr.write('Not tested: the history of test/golden. This is no git checkout.\n');
  expect((done ?? []).filter((line) => !isWithdrawn(line))).toEqual([]);
});

describe('who changes a golden message', () => {
  let copy: string;
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', copy, '-c', 'user.name=t', '-c', 'user.email=t@example.test', ...args], { encoding: 'utf8' });
  const commit = (message: string) => (git('add', '-A'), git('commit', '-qm', message));

  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'holdfast-golden-'));
    cpSync(folder, join(copy, 'test', 'golden'), { recursive: true });
    git('init', '-q', '-b', 'main');
    commit('golden');
  });
  afterEach(() => rmSync(copy, { recursive: true, force: true }));
  const there = () => openGolden(join(copy, 'test', 'golden'));

  it('is caught by the sums', () => {
    appendFileSync(join(copy, 'test', 'golden', 'OrderCreated', '1.json'), '\n');
    rmSync(join(copy, 'test', 'golden', 'StockReserved', '1.json'));
    writeFileSync(join(copy, 'test', 'golden', 'StockRejected', '7.json'), '{}');
    expect(brokenSeals(there()).sort()).toEqual([
      'OrderCreated/1.json was changed',
      'StockRejected/7.json is not in SHA256SUMS',
      'StockReserved/1.json was removed',
    ]);
  });

  it('is caught by the history, though the sums were made anew', () => {
    rmSync(join(copy, 'test', 'golden', 'OrderConfirmed'), { recursive: true });
    rmSync(join(copy, 'test', 'golden', 'SHA256SUMS'));
    for (const [name, body] of Object.entries({ OrderConfirmed: '{"event":"OrderConfirmed"}', Other: '{}' }))
      addVersion(there(), name, body);
    commit('change');
    rmSync(join(copy, 'test', 'golden', 'StockReserved', '1.json'));
    commit('remove');
    const done = goldenHistory(copy, 'test/golden')!;
    expect(done.map((line) => line.replace(/ in .*/, '')).sort()).toEqual([
      'changed OrderConfirmed/1.json',
      'removed StockReserved/1.json',
    ]);
  });

  it('may do so on a branch to what came with the branch', () => {
    git('checkout', '-qb', 'branch');
    addVersion(there(), 'OrderShipped', '{"event":"OrderShipped"}');
    commit('add');
    writeFileSync(join(copy, 'test', 'golden', 'OrderShipped', '1.json'), '{"event":"OrderShipped","order_id":"1"}');
    commit('mend');
    git('checkout', '-q', 'main');
    git('merge', '-q', '--no-ff', '-m', 'merge', 'branch');
    expect(goldenHistory(copy, 'test/golden')).toEqual([]);
  });

  it('a new version is added beside the old, once', () => {
    addVersion(there(), 'OrderConfirmed', '{"event":"OrderConfirmed","gift":true}');
    addVersion(there(), 'OrderConfirmed', '{"event":"OrderConfirmed","gift":true}');
    expect(versionsOf(there(), 'OrderConfirmed')).toEqual(['OrderConfirmed/1.json', 'OrderConfirmed/2.json']);
    expect(brokenSeals(there())).toEqual([]);
  });
});

/** What clients send bare goes without `event`. */
function wire(type: EventType, { event, ...fields }: object & { event: string }): string {
  return JSON.stringify(bareEvents.includes(type) ? fields : { event, ...fields });
}

/** Every field, with its place: `items.0.product_id`. */
function fieldsOf(value: unknown, place = ''): string[] {
  if (typeof value !== 'object' || value === null) return [place];
  return Object.entries(value).flatMap(([key, inner]) => fieldsOf(inner, `${place}.${key}`));
}

function isWithdrawn(line: string): boolean {
  const [, file = ''] = line.split(' ');
  const entry = withdrawn[file];
  return entry !== undefined && /^\d{4}-\d\d-\d\d$/.test(entry.on) && entry.because.length > 20;
}
