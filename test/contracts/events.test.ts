import { events } from '../../src/contracts';
import { parseMessage, PoisonMessage, toPublication } from '../../src/messaging/message';

/** The payloads of the contract, to the letter: other programs send and read these. */
const golden = {
  OrderCreated: '{"event":"OrderCreated","order_id":"ORD-12345","items":[{"product_id":1,"quantity":2}]}',
  StockReserved: '{"event":"StockReserved","order_id":"ORD-12345","items":[{"product_id":1,"quantity":2,"unit_price":1999}]}',
  StockRejected:
    '{"event":"StockRejected","order_id":"ORD-12345","reason":"Insufficient stock","items":[{"product_id":1,"requested":2,"available":1,"code":"INSUFFICIENT_STOCK"}]}',
} as const;

const bare = { headers: {} };
const types = Object.keys(golden) as (keyof typeof golden)[];

describe('golden messages', () => {
  it.each(types)('%s is understood bare, as any client in any language sends it (S2.5)', (type) => {
    const message = parseMessage(Buffer.from(golden[type]), bare, types);
    expect(JSON.stringify(message.body)).toBe(golden[type]);
    expect(message).toMatchObject({ id: undefined, correlationId: 'ORD-12345' });
  });

  it('takes out of the words of others what no database can store, and refuses nothing', () => {
    const cut = { event: 'StockRejected', order_id: 'ORD-1', reason: 'Insufficient stock \ud83d\u0000' };
    const { body } = parseMessage(Buffer.from(JSON.stringify(cut)), bare, ['StockRejected']);
    expect(body).toMatchObject({ reason: 'Insufficient stock \ufffd' });
  });

  it('keeps fields it does not know: a newer version with more fields is understood', () => {
    const newer = JSON.stringify({ ...(JSON.parse(golden.OrderCreated) as object), gift: true });
    expect(parseMessage(Buffer.from(newer), bare, ['OrderCreated']).body).toMatchObject({ gift: true });
  });

  it('carries the envelope as AMQP properties and CloudEvents headers, and leaves the body as it is (S2.26)', () => {
    const id = '019a0000-0000-7000-8000-000000000001';
    const publication = toPublication({
      ...{ id, type: 'StockReserved', aggregateId: 'ORD-12345', json: golden.StockReserved },
      ...{
        correlationId: 'request-7',
        causationId: 'event-6',
        traceparent: null,
        createdAt: new Date('2026-11-21T12:00:00.500Z'),
      },
    });
    expect(publication).toMatchObject({ exchange: 'inventory', routingKey: 'stock.reserved', mandatory: true });
    expect(publication.body.toString()).toBe(golden.StockReserved);
    expect(publication.properties).toMatchObject({
      ...{ messageId: id, type: 'StockReserved', correlationId: 'request-7', appId: 'holdfast', contentType: 'application/json' },
      timestamp: 1795262400,
      headers: {
        'cloudEvents:specversion': '1.0',
        'cloudEvents:id': id,
        'cloudEvents:type': 'StockReserved',
        'cloudEvents:source': '/holdfast/inventory',
        'cloudEvents:time': '2026-11-21T12:00:00.500Z',
        'cloudEvents:subject': 'ORD-12345',
        'cloudEvents:correlationid': 'request-7',
        'cloudEvents:causationid': 'event-6',
      },
    });
  });
});

describe('what is refused, and why', () => {
  const order = (items: unknown) => JSON.stringify({ event: 'OrderCreated', order_id: 'ORD-1', items });
  it.each([
    ['0 bytes', '', 'The body is empty'],
    ['not JSON', '{"event":', 'The body is not JSON'],
    ['no object', '7', 'Unknown event undefined'],
    ['an unknown event', '{"event":"OrderShipped"}', 'Unknown event "OrderShipped": this queue takes OrderCreated'],
    ['no items', order([]), 'items'],
    ['a quantity of 0', order([{ product_id: 1, quantity: 0 }]), 'items.0.quantity'],
    ['a negative quantity', order([{ product_id: 1, quantity: -1 }]), 'items.0.quantity'],
    ['a fractional quantity', order([{ product_id: 1, quantity: 1.5 }]), 'items.0.quantity'],
    ['a quantity of 2^31', order([{ product_id: 1, quantity: 2 ** 31 }]), 'items.0.quantity'],
    ['a product by name', order([{ product_id: 'mug', quantity: 1 }]), 'items.0.product_id'],
    [
      'an id with NUL',
      JSON.stringify({ event: 'OrderCreated', order_id: 'a\u0000', items: [{ product_id: 1, quantity: 1 }] }),
      'order_id',
    ],
  ])('%s', (_name, body, reason) => {
    expect(() => parseMessage(Buffer.from(body), bare, ['OrderCreated'])).toThrow(PoisonMessage);
    expect(() => parseMessage(Buffer.from(body), bare, ['OrderCreated'])).toThrow(reason);
  });

  it('an envelope that cannot be stored is left out, never a reason to refuse the message', () => {
    const properties = { messageId: 'x\u0000', correlationId: 'y'.repeat(300), headers: { traceparent: 7 } };
    expect(parseMessage(Buffer.from(golden.OrderCreated), properties, ['OrderCreated'])).toMatchObject({
      ...{ id: undefined, correlationId: 'ORD-12345', traceparent: undefined },
    });
  });
});

it('every event names itself', () => {
  for (const [name, schema] of Object.entries(events)) expect(schema.shape.event.value).toBe(name);
});
