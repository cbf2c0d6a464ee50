import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, findBreakingChanges } from 'graphql';

import { acceptedBreaks, unaccepted } from './acceptedBreaks';

/**
 * `schema.released.graphql` is schema.graphql as it was last released: at a release the one is copied over the other, and the list
 * of accepted breaks emptied. What would break a client of it is refused, unless acceptedBreaks.ts says when and why.
 */
const read = (file: string) => readFileSync(join(__dirname, '..', '..', file), 'utf8');
const released = read('schema.released.graphql');
const breaksOf = (after: string) =>
  findBreakingChanges(buildSchema(released), buildSchema(after)).map(({ description }) => description);

it('the schema breaks nothing for clients of the last release, but what is accepted with a reason', () => {
  const breaks = breaksOf(read('schema.graphql'));
  expect(unaccepted(breaks, acceptedBreaks)).toEqual([]);
});

it('nothing is accepted that does not happen, or without a day and a reason', () => {
  const breaks = breaksOf(read('schema.graphql'));
  for (const { change, on, because } of acceptedBreaks) {
    expect(breaks).toContain(change);
    expect(on).toMatch(/^\d{4}-\d\d-\d\d$/);
    expect(because.length).toBeGreaterThan(20);
  }
});

it('a field, a value and an argument that go are noticed, and one of them is not accepted for another', () => {
  const cut = released.replace(/^ {2}""".*"""\n {2}(timeline:.*|FULFILLED)\n/gm, '');
  const breaks = breaksOf(cut);
  expect(breaks).toEqual(
    expect.arrayContaining(['FULFILLED was removed from enum type OrderStatus.', 'Order.timeline was removed.']),
  );
  const accepted = [{ change: 'Order.timeline was removed.', on: '2026-11-26', because: 'for the sake of this test alone' }];
  expect(unaccepted(breaks, accepted)).toEqual(breaks.filter((change) => !change.startsWith('Order.timeline')));
  expect(breaksOf(released.replace('type Query {', 'type Query {\n  more: Int'))).toEqual([]);
});
