import { parse } from 'graphql';

import { KeptDocuments } from '../../src/gateway/keptDocuments';

const hash = (index: number) => String(index).padStart(64, '0');
const keyOf = (index: number) => `schema:${hash(index)}`;
const kept = (documents: KeptDocuments, count: number) =>
  Array.from({ length: count }, (_, index) => documents.has(hash(index))).filter(Boolean).length;

it('keeps a document under the hash that its key ends with', async () => {
  const documents = new KeptDocuments();
  const document = parse('{ __typename }');
  await documents.set(keyOf(1), document);
  expect(await documents.get(keyOf(1))).toBe(document);
  expect([documents.has(hash(1)), documents.has(hash(2))]).toEqual([true, false]);
  await documents.delete(keyOf(1));
  expect(documents.has(hash(1))).toBe(false);
});

it('weighs what a document holds in memory, comments and the text itself', async () => {
  const documents = new KeptDocuments(20 * 1024 * 1024);
  for (let index = 0; index < 100; index++) await documents.set(keyOf(index), parse(`{ __typename } ${'#\n'.repeat(5_000)}`));
  expect(kept(documents, 100)).toBeLessThan(20);
  for (let index = 0; index < 300; index++) await documents.set(keyOf(index), parse(`{ __typename } ${' '.repeat(90_000)}`));
  expect(kept(documents, 300)).toBeLessThan(250);
});

it('keeps thousands of ordinary ones, and drops the one that was asked least lately', async () => {
  const documents = new KeptDocuments(1024 * 1024);
  for (let index = 0; index < 1_000; index++) {
    await documents.set(keyOf(index), parse(`query Q${index} { __typename }`));
    await documents.get(keyOf(0));
  }
  expect(kept(documents, 1_000)).toBeGreaterThan(200);
  expect([documents.has(hash(0)), documents.has(hash(1)), documents.has(hash(999))]).toEqual([true, false, true]);
});

it('keeps nothing that was not read from a text, and nothing that would take the place of all others', async () => {
  const documents = new KeptDocuments(1024 * 1024);
  await documents.set(keyOf(1), parse('{ __typename }', { noLocation: true }));
  await documents.set(keyOf(2), parse(`{ __typename } ${' '.repeat(200_000)}`));
  expect(kept(documents, 3)).toBe(0);
});
