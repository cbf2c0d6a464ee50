import { createAcks } from '../../../src/messaging/brokers/acks';

describe('createAcks', () => {
  let sent: [number, boolean][];
  let acks: ReturnType<typeof createAcks>;
  beforeEach(() => {
    sent = [];
    acks = createAcks((tag, allUpTo) => sent.push([tag, allUpTo]));
    for (let tag = 1; tag <= 6; tag++) acks.open(tag);
  });
  const ack = (...tags: number[]) => tags.forEach((tag) => acks.ack(tag));

  it('sends an unbroken run from the oldest on as one', () => {
    ack(2, 1, 3);
    acks.flush();
    expect(sent).toEqual([[3, true]]);
  });

  it('never acks a neighbour that is still in work', () => {
    ack(1, 2, 4, 6);
    acks.flush();
    expect(sent).toEqual([
      [2, true],
      [4, false],
      [6, false],
    ]);
    ack(3);
    acks.flush();
    expect(sent.at(-1)).toEqual([3, false]);
    expect(acks.openCount()).toBe(1);
  });

  it('steps over what was settled otherwise', () => {
    acks.settled(1);
    ack(2, 3);
    acks.flush();
    expect(sent).toEqual([[3, true]]);
  });

  it('sends by itself before the next turn is over', async () => {
    ack(1);
    expect(sent).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toEqual([[1, false]]);
  });
});
