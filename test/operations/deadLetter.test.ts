import { decideKeeping, readArrival, type Arrival, type KnownLetter } from '../../src/operations/deadLetter';
import { type Delivery } from '../../src/messaging';

const anArrival = (more: Partial<Arrival> = {}): Arrival => ({
  ...{ id: 'new', exchange: 'orders', routingKey: 'order.created', body: Buffer.from('x'), bodyDigest: 'x' },
  ...{ properties: '{}', reason: 'poison', attempt: 1, ...more },
});
const aLetter = (more: Partial<KnownLetter> = {}): KnownLetter => ({
  ...{ id: 'kept', messageId: null, bodyDigest: 'x', deathId: null, state: 'WAITING', ...more },
});
const decide = (known: KnownLetter[], ...arrivals: Arrival[]) => {
  const { fresh, again } = decideKeeping(known, arrivals);
  return { fresh: fresh.map(({ id }) => id), again: again.map(({ letterId }) => letterId) };
};
const nothing = { fresh: [], again: [] };
const isNew = { fresh: ['new'], again: [] };
const isBack = { fresh: [], again: ['kept'] };

describe('what comes off a dead-letter queue', () => {
  it('is a new letter when nobody has seen it', () => {
    expect(decide([], anArrival({ deathId: 'd' }))).toEqual(isNew);
    expect(decide([aLetter({ messageId: 'm' })], anArrival({ messageId: 'other' }))).toEqual(isNew);
  });

  it('is the same letter however often its message id and body come while it waits', () => {
    const letter = aLetter({ messageId: 'm', deathId: 'first' });
    expect(decide([letter], anArrival({ messageId: 'm', deathId: 'first' }))).toEqual(nothing);
    expect(decide([letter], anArrival({ messageId: 'm', deathId: 'copied twice' }))).toEqual(nothing);
    expect(decide([letter], anArrival({ messageId: 'm' }))).toEqual(nothing);
  });

  it('is another letter when a sender uses one id for two bodies: neither is lost', () => {
    const letter = aLetter({ messageId: 'm' });
    expect(decide([letter], anArrival({ messageId: 'm', bodyDigest: 'y', deathId: 'd' }))).toEqual(isNew);
  });

  it('is two letters when a bare message is sent twice, and one when its one death is delivered twice', () => {
    const letter = aLetter({ deathId: 'first' });
    expect(decide([letter], anArrival({ deathId: 'second' }))).toEqual(isNew);
    expect(decide([letter], anArrival({ deathId: 'first' }))).toEqual(nothing);
    expect(decide([], anArrival({ deathId: 'd' }), anArrival({ deathId: 'd' }))).toEqual(isNew);
  });

  it('without an id and without a death is told by its body, as long as that waits', () => {
    expect(decide([aLetter({ deathId: 'first' })], anArrival())).toEqual(nothing);
    expect(decide([aLetter({ deathId: 'first', state: 'REPLAYED' })], anArrival())).toEqual(isNew);
    expect(decide([aLetter({ messageId: 'm' })], anArrival())).toEqual(isNew);
  });

  it('brings a replayed letter back, once for each death', () => {
    const replayed = aLetter({ messageId: 'm', deathId: 'first', state: 'REPLAYED' });
    const replay = anArrival({ letterId: 'kept', messageId: 'm', deathId: 'second' });
    expect(decide([replayed], replay)).toEqual(isBack);
    expect(decide([replayed], replay, replay)).toEqual(isBack);
    expect(decide([replayed], anArrival({ messageId: 'm', deathId: 'first' }))).toEqual(nothing);
  });

  it('brings a letter back whose replay died before it was confirmed, bare or not', () => {
    const claimed = aLetter({ deathId: 'first' });
    expect(decide([claimed], anArrival({ letterId: 'kept', deathId: 'second' }))).toEqual(isBack);
    expect(decide([aLetter({ ...claimed, messageId: 'm' })], anArrival({ letterId: 'kept', messageId: 'm' }))).toEqual(isBack);
  });

  it('believes no header that names a letter with another body', () => {
    expect(decide([aLetter({ deathId: 'first' })], anArrival({ letterId: 'kept', bodyDigest: 'y', deathId: 'd' }))).toEqual(
      isNew,
    );
  });
});

describe('reading a delivery', () => {
  const read = (more: Partial<Delivery> = {}, isUnrouted = false) =>
    readArrival(
      {
        ...{ queue: 'q.dead', exchange: 'orders', routingKey: 'order.created', body: Buffer.from(''), redelivered: false },
        ...{ properties: { headers: {} }, attempt: 1, ...more },
      } as Delivery,
      isUnrouted,
      () => 'made here',
    );

  it('takes reason, attempt and death from the headers, and keeps the others as they were sent', () => {
    const story = { 'x-holdfast-reason': 'why', 'x-holdfast-queue': 'q', 'x-holdfast-attempt': 8, 'x-holdfast-death': 'd' };
    const arrival = read({ properties: { messageId: 'm', headers: { ...story, mine: Buffer.from([1, 2]) } } });
    expect(arrival).toMatchObject({ reason: 'why', attempt: 8, deathId: 'd', messageId: 'm' });
    expect(JSON.parse(arrival.properties)).toEqual({ messageId: 'm', headers: { mine: { type: 'Buffer', data: [1, 2] } } });
  });

  it('says what the message is about where its body tells, and nothing where it does not', () => {
    expect(read({ body: Buffer.from('{"event":"OrderCreated","order_id":"O-1"}') })).toMatchObject({
      ...{ type: 'OrderCreated', aggregateId: 'O-1' },
    });
    expect(read({ body: Buffer.from('{"product_id":7}') }).aggregateId).toBe('product:7');
    for (const body of ['', 'null', '[]', '{"order_id":7}', '\u0000', '{"order_id":"\\u0000"}']) {
      expect(read({ body: Buffer.from(body) })).toMatchObject({ type: undefined, aggregateId: undefined });
    }
  });

  it('keeps what Postgres cannot: NUL in any text', () => {
    const properties = { messageId: 'a\u0000b', type: '\u0000', headers: { 'x-holdfast-reason': 'r\u0000' } };
    expect(read({ properties, routingKey: 'k\u0000' })).toMatchObject({
      ...{ messageId: 'a\ufffdb', type: '\ufffd', reason: 'r\ufffd', routingKey: 'k\ufffd' },
    });
  });

  it('says of an unrouted message where it wanted to go, and gives it a death on its first delivery alone', () => {
    const first = read({ routingKey: 'order.craeted' }, true);
    expect(first).toMatchObject({ deathId: 'made here', reason: expect.stringMatching(/orders.*"order\.craeted"/) as unknown });
    expect(read({ redelivered: true }, true).deathId).toBeUndefined();
  });

  it('takes no header for a letter’s id that is none', () => {
    expect(read({ properties: { headers: { 'x-holdfast-dead-letter': "'; DROP TABLE" } } }).letterId).toBeUndefined();
  });
});
