import { callersKey, storedKey } from '../../src/orders/idempotencyKeys';

/** No two wishes meet under one key that did not name the same. */
it('keys of callers and keys of one in many never meet, and each is told as it came', () => {
  const keys = ['zz', 'zz#0', 'zz#99', 'zz#100', 'zz#0#', 'zz #0', '#0', 'a#1', 'a#1#2', `${'k'.repeat(197)}#1`, 'k'.repeat(200)];
  const stored = [
    ...keys.map((key) => storedKey(key)!),
    ...keys.filter((key) => !key.includes(' ')).flatMap((key) => [0, 1, 99].map((index) => storedKey(null, { key, index })!)),
  ];
  expect(new Set(stored).size).toBe(stored.length);
  expect(keys.map((key) => callersKey(storedKey(key)!))).toEqual(keys);
});

it('a key of its own goes before that of the call, and nothing has none', () => {
  expect(storedKey('own', { key: 'call', index: 1 })).toBe('own');
  expect(storedKey(null, { key: 'call', index: 1 })).toBe('call#1');
  expect(storedKey(undefined)).toBeNull();
});
