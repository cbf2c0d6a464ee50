import { type Broker, type Delivery, type Publication, UnconfirmedError } from '../../../src/messaging/broker';
import { createInProcessBroker } from '../../../src/messaging/brokers/inProcess';
import { eventually } from '../../support/eventually';

describe('the in-process broker', () => {
  let broker: Broker;
  beforeEach(async () => {
    broker = createInProcessBroker({ random: () => 0.5 });
    await broker.declare({
      exchanges: [{ name: 'events', type: 'fanout' }],
      queues: [
        { name: 'work', kind: 'work' },
        { name: 'other', kind: 'work' },
        { name: 'looked-at', kind: 'bounded', lengthMax: 10 },
      ],
      bindings: ['work', 'other', 'looked-at'].map((queue) => ({ exchange: 'events', key: '', to: { queue } })),
    });
  });
  afterEach(() => broker.close());

  async function hold(queue: string): Promise<Delivery[]> {
    const held: Delivery[] = [];
    await broker.consume(queue, { prefetch: 100 }, (delivery) => held.push(delivery));
    return held;
  }

  it('confirms only when every work queue has settled the message', async () => {
    const [work, other] = [await hold('work'), await hold('other')];
    let confirmed = false;
    const published = broker.publish({ ...message(''), exchange: 'events' }).then(() => (confirmed = true));
    (await eventually(() => work[0])).ack();
    await new Promise((resolve) => setImmediate(resolve));
    expect(confirmed).toBe(false);
    expect(broker.unsettled()).toBe(1);
    other[0]?.ack();
    await published;
    expect(broker.unsettled()).toBe(0);
  });

  it('keeps a retried message unsettled', async () => {
    const held = await hold('work');
    const published = broker.publish(message('work'));
    await (await eventually(() => held[0])).retry(20, 'again');
    expect(broker.unsettled()).toBe(1);
    (await eventually(() => held[1])).ack();
    await published;
  });

  it('lets a dead letter hold the confirm, uncounted, until it is settled', async () => {
    const held = await hold('work');
    let confirmed = false;
    const published = broker.publish(message('work')).then(() => (confirmed = true));
    await (await eventually(() => held[0])).deadLetter('poison');
    await eventually(() => broker.unsettled() === 0);
    expect(confirmed).toBe(false);
    const dead = await hold('work.dead');
    (await eventually(() => dead[0])).ack();
    await published;
  });

  it('leaves everything unsettled unconfirmed when it is closed, waiting retries too', async () => {
    const held = await hold('work');
    const outcomes = [broker.publish(message('work')), broker.publish(message('work')), broker.publish(message('other'))];
    const settled = Promise.allSettled(outcomes);
    await (await eventually(() => held[0])).retry(60_000, 'later');
    await broker.close();
    for (const outcome of await settled) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(UnconfirmedError) as unknown });
    }
    expect(broker.unsettled()).toBe(0);
  });

  it('lets timers have their turn during a flood', async () => {
    const count = 50_000;
    let acked = 0;
    await broker.consume('work', { prefetch: 50 }, (delivery) => {
      acked += 1;
      delivery.ack();
    });
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    await Promise.all(Array.from({ length: count }, () => broker.publish(message('work'))));
    clearInterval(timer);
    expect(acked).toBe(count);
    expect(turns).toBeGreaterThan(20);
  });

  it('lets timers have their turn when nobody holds the confirms', async () => {
    let over = false;
    setTimeout(() => (over = true), 20);
    await eventually(async () => {
      for (let count = 0; count < 10_000 && !over; count++) await broker.publish(message('looked-at'));
      return over;
    });
  });
});

function message(queue: string): Publication {
  return { exchange: '', routingKey: queue, body: Buffer.from('{}'), properties: { headers: {} }, mandatory: false };
}
