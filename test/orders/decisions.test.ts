import { type OrderStatus } from '../../src/contracts';
import { arm } from '../../src/faults/failpoints';
import { aHouse, type House } from '../support/aHouse';
import { eventually } from '../support/eventually';

/** A decision is counted when it is committed: once, though the batch that it was part of was rolled back before. */
let house: House;
let productId: number;

beforeAll(async () => {
  house = await aHouse();
  const input = '{ sku: "COUNTED", name: "Counted", price: 100, onHand: 100 }';
  const { createProduct } = await house.ask<{ createProduct: { id: number } }>(
    `mutation { createProduct(input: ${input}) { ... on Product { id } } }`,
  );
  productId = createProduct.id;
  await house.ask('mutation { deposit(input: { customerId: "CUST-counted", amount: 10000, reference: "r" }) { __typename } }');
});
afterEach(() => arm([]));
afterAll(() => house.drop());

async function decided(outcome: OrderStatus): Promise<number> {
  const { values } = await house.ground.metrics.ordersDecided.get();
  return values.filter(({ labels }) => labels.outcome === outcome).reduce((sum, { value }) => sum + value, 0);
}

async function place(payment: 'NONE' | 'BALANCE'): Promise<string> {
  const input = { customerId: 'CUST-counted', payment, items: [{ productId, quantity: 1 }] };
  const { createOrder } = await house.ask<{ createOrder: { id: string } }>(
    'mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ... on Order { id } } }',
    { input },
  );
  return createOrder.id;
}

const untilIs = (id: string, status: OrderStatus) =>
  eventually(async () => {
    expect(await house.database.order.findUnique({ where: { id } })).toMatchObject({ status });
    expect(await house.database.deadLetter.findMany()).toEqual([]);
    return true;
  });

it('an order that is paid: its batch fails at the last moment, and is done again', async () => {
  const before = await decided('CONFIRMED');
  arm([{ name: 'payment.replies.orders.written', nth: 1, action: 'throw', argument: 0 }]);
  await untilIs(await place('BALANCE'), 'CONFIRMED');
  await eventually(async () => (await decided('CONFIRMED')) > before);
  expect(await decided('CONFIRMED')).toBe(before + 1);
});

it('an order that is cancelled by a command while it waits for its payment', async () => {
  const unpaid = { name: 'order.reserved.accounts.starting', nth: 'every', action: 'throw', argument: 0 } as const;
  arm([unpaid]);
  const id = await place('BALANCE');
  await untilIs(id, 'RESERVED');
  const before = await decided('CANCELLED');
  arm([unpaid, { name: 'order.update.written', nth: 1, action: 'throw', argument: 0 }]);
  await house.ground.broker.publish({
    ...{ exchange: '', routingKey: 'order.update', mandatory: true, properties: { headers: {} } },
    body: Buffer.from(JSON.stringify({ order_id: id, status: 'CANCELLED' })),
  });
  await untilIs(id, 'CANCELLED');
  await eventually(async () => (await decided('CANCELLED')) > before);
  expect(await decided('CANCELLED')).toBe(before + 1);
});
