import { routingKeyOf } from '../../src/messaging/message';

describe('routingKeyOf', () => {
  const keyFor = (customerId: string, orderId = 'ORD-1') =>
    routingKeyOf('OrderStatusChanged', JSON.stringify({ customer_id: customerId, order_id: orderId }));

  it.each([
    ['CUST-1', 'client.CUST-1.order.ORD-1'],
    ['9f1c2d3e-0000-4000-8000-000000000000', 'client.9f1c2d3e-0000-4000-8000-000000000000.order.ORD-1'],
    ['a.order.b', 'client.a%2Eorder%2Eb.order.ORD-1'],
    ['*', 'client.%2A.order.ORD-1'],
    ['#', 'client.%23.order.ORD-1'],
    ['Zoë', 'client.Zo%C3%AB.order.ORD-1'],
    ['\ud800', 'client.%EF%BF%BD.order.ORD-1'],
  ])('the customer %j is one word that binds nobody else', (customerId, key) => expect(keyFor(customerId)).toBe(key));

  it('an id that is too long for a key is hashed, each to its own', () => {
    const keys = [keyFor('💥'.repeat(50), 'x'.repeat(200)), keyFor('💥'.repeat(49), 'x'.repeat(200))];
    for (const key of keys) {
      expect(key).toMatch(/^client\.sha256-[\w-]{43}\.order\.sha256-[\w-]{43}$/);
      expect(Buffer.byteLength(key)).toBeLessThanOrEqual(255);
    }
    expect(keys[0]).not.toBe(keys[1]);
  });

  it('a fixed key stays as it is', () => expect(routingKeyOf('OrderCreated', '{}')).toBe('order.created'));
});
