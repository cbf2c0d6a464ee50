import { aHouse, type House } from '../support/aHouse';
import { eventually } from '../support/eventually';

/** A limit per customer, as the operator sets it and the customer meets it. */
let house: House;
beforeAll(async () => void (house = await aHouse()));
afterAll(() => house.drop());

const place = `mutation ($input: CreateOrderInput!) { createOrder(input: $input) { ... on Order { id status } ... on ErrorResult { code } } }`;
const order = async (customerId: string, quantity: number) => {
  const input = { customerId, items: [{ sku: 'CONSOLE', quantity }] };
  return (await house.ask<{ createOrder: { id: string } }>(place, { input })).createOrder.id;
};
const decided = (ids: string[]) =>
  eventually(async () => {
    const rows = await house.database.order.findMany({ where: { id: { in: ids } } });
    return rows.every(({ status }) => status !== 'PENDING') ? rows : undefined;
  });

it('of a hundred orders at once a customer gets three, and the others say why', async () => {
  const input = { sku: 'CONSOLE', name: 'Console', price: 49_900, onHand: 500, maxPerCustomer: 3 };
  await house.ask(`mutation ($input: CreateProductInput!) { createProduct(input: $input) { ... on Product { id } } }`, { input });
  const rows = await decided(await Promise.all(Array.from({ length: 100 }, () => order('CUST-A', 1))));
  const by = (status: string) => rows.filter((row) => row.status === status);
  expect([by('CONFIRMED').length, by('CANCELLED').length]).toEqual([3, 97]);
  expect(new Set(by('CANCELLED').map(({ reasonCode }) => reasonCode))).toEqual(new Set(['PURCHASE_LIMIT']));
});

it('an update beyond it is rejected with the figures, and the product shows it', async () => {
  const id = await order('CUST-B', 2);
  await decided([id]);
  const update = `mutation { updateOrder(input: { orderId: "${id}", items: [{ sku: "CONSOLE", quantity: 4 }] }) {
    ... on UpdateRejectedError { code reason { code lines { requested available code } } } } }`;
  expect(await house.ask(update)).toMatchObject({
    updateOrder: {
      code: 'UPDATE_REJECTED',
      reason: { code: 'PURCHASE_LIMIT', lines: [{ requested: 4, available: 3, code: 'PURCHASE_LIMIT' }] },
    },
  });
  expect(await house.ask('{ product(sku: "CONSOLE") { maxPerCustomer } }')).toEqual({ product: { maxPerCustomer: 3 } });
});
