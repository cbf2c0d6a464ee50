import { EventEmitter } from 'node:events';
import { type WebSocket } from 'ws';

import { createUnnamed } from '../../src/gateway/liveUnnamed';

/** Who gives its place up, of those who are connected and have not said who they are. */
const cut: string[] = [];
const aSocket = (name: string) =>
  Object.assign(new EventEmitter(), { terminate: () => void cut.push(name) }) as unknown as WebSocket;

afterEach(() => void (cut.length = 0));

it('is the oldest of the address that has most', () => {
  const unnamed = createUnnamed();
  for (const [name, address] of [
    ['one', 'a'],
    ['flood 1', 'b'],
    ['flood 2', 'b'],
    ['flood 3', 'b'],
    ['two', 'c'],
  ] as const)
    unnamed.add(aSocket(name), address);
  unnamed.cutOne();
  unnamed.cutOne();
  expect(cut).toEqual(['flood 1', 'flood 2']);
});

it('is nobody who has spoken, or has left', () => {
  const unnamed = createUnnamed();
  const [spoke, left] = [aSocket('spoke'), aSocket('left')];
  unnamed.add(spoke, 'a');
  unnamed.add(left);
  unnamed.remove(spoke);
  left.emit('close');
  expect(unnamed.isEmpty()).toBe(true);
  unnamed.cutOne();
  expect(cut).toEqual([]);
});
