import { ReadingTurns } from '../../src/gateway/readingTurns';
import { oneOfThree } from '../support/eventually';

/** Does nothing else for so long, as reading a large document does. */
function holdUp(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

const customer = (customerId: string) => ({ caller: { role: 'customer' as const, customerId } });

it('whoever reads for long leaves twice as long to everybody else', async () => {
  const turns = new ReadingTurns();
  let endedAt = 0;
  const reading = turns.take(customer('A')).then(() => {
    holdUp(20);
    endedAt = performance.now();
  });
  await Promise.all([reading, turns.take(customer('A'))]);
  expect(performance.now() - endedAt).toBeGreaterThan(35);
});

it('one of each caller is read before the next of whoever has sent many', async () => {
  const turns = new ReadingTurns();
  const read: string[] = [];
  const reading = ['A1', 'A2', 'A3', 'A4', 'B1', 'C1'].map((name) =>
    turns.take(customer(name.charAt(0))).then(() => void read.push(name)),
  );
  await Promise.all(reading);
  expect(read).toEqual(['A1', 'A2', 'B1', 'C1', 'A3', 'A4']);
});

it('what is short costs nobody a rest, however much else there is to do', async () => {
  await oneOfThree(async () => {
    const turns = new ReadingTurns();
    const startedAt = performance.now();
    const foreign = setInterval(() => holdUp(5), 1);
    await Promise.all(Array.from({ length: 50 }, () => turns.take(customer('A'))));
    clearInterval(foreign);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

it('a caller has a thousand waiting at most, and others as many', async () => {
  const turns = new ReadingTurns();
  const answers = Array.from({ length: 1_003 }, () => turns.take(customer('A')));
  const other = turns.take(customer('B'));
  const taken = await Promise.all(answers);
  expect([taken.filter(Boolean).length, taken.slice(0, 1_001).every(Boolean), await other]).toEqual([1_001, true, true]);
});

it('whoever comes later, when nobody waits, reads at once', async () => {
  const turns = new ReadingTurns();
  await Promise.all([turns.take({}), turns.take({ caller: { role: 'operator', name: 'desk' } })]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  await oneOfThree(async () => {
    const startedAt = performance.now();
    await turns.take({});
    expect(performance.now() - startedAt).toBeLessThan(5);
  });
});
