import { orderStatus } from '../../src/contracts';
import { refusalOf, type RefusedResult } from '../../src/orders/refusals';

/** One refusal, the same at every door: its code, its sentence, and whether to ask again. */
const orderId = 'ORD-1';

it.each<[RefusedResult, string, boolean]>([
  [{ type: 'unknown-order', orderId }, 'UNKNOWN_ORDER', false],
  [{ type: 'key-conflict', orderId, idempotencyKey: 'k' }, 'IDEMPOTENCY_CONFLICT', false],
  [{ type: 'refused', orderId, status: 'PENDING' }, 'ORDER_STATE_CONFLICT', true],
  [{ type: 'refused', orderId, status: 'RESERVED' }, 'ORDER_STATE_CONFLICT', true],
  [{ type: 'refused', orderId, status: 'CONFIRMED', amending: true }, 'UPDATE_UNDER_WAY', true],
  [{ type: 'refused', orderId, status: 'FULFILLED' }, 'ORDER_STATE_CONFLICT', false],
  [{ type: 'refused', orderId, status: 'CANCELLED' }, 'ORDER_STATE_CONFLICT', false],
  [{ type: 'paid', orderId }, 'ORDER_STATE_CONFLICT', false],
  [{ type: 'amending', orderId }, 'UPDATE_UNDER_WAY', true],
  [{ type: 'version-moved', orderId, version: 3, expectedVersion: 2 }, 'ORDER_VERSION_CONFLICT', false],
  [
    { type: 'rejected', orderId, reason: { code: 'INSUFFICIENT_STOCK', message: 'Insufficient stock', lines: [] } },
    'INSUFFICIENT_STOCK',
    false,
  ],
])('%j is %s, worth another try: %s', (result, code, isRetryable) => {
  expect(refusalOf(result)).toMatchObject({ code, isRetryable, orderId, message: expect.stringContaining(orderId) as string });
});

it('every status has its say about being tried again', () => {
  const retryable = orderStatus.options.filter((status) => refusalOf({ type: 'refused', orderId, status }).isRetryable);
  expect(retryable).toEqual(['PENDING', 'RESERVED']);
});

it('quotes the beginning of an id that is no id', () => {
  const { orderId: told, message } = refusalOf({ type: 'unknown-order', orderId: 'x'.repeat(40_000) });
  expect([told.length, message.length < 200]).toEqual([101, true]);
});
