import fc from 'fast-check';

import {
  decide,
  paidTransitions,
  tellingOf,
  transitions,
  type Order,
  type OrderChange,
  type OrderStatus,
  type OrderTrigger,
} from '../../src/orders/order';

const statuses: OrderStatus[] = ['PENDING', 'RESERVED', 'CONFIRMED', 'FULFILLED', 'CANCELLED'];
const triggers: OrderTrigger[] = [
  ...(['StockReserved', 'StockRejected', 'CancelOrder', 'ExpireOrder', 'FulfilOrder'] as const),
  ...(['PaymentCaptured', 'PaymentDeclined', 'PaymentRefunded'] as const),
  ...(['AmendOrder', 'StockAmended', 'AmendmentRejected'] as const),
];

const anOrder = (status: OrderStatus, payment: Order['payment'] = 'NONE'): Order => ({
  ...{ id: 'ORD-1', customerId: 'CUST-1', status, version: 3, correlationId: 'request-1', currency: 'EUR', payment },
  lines: [{ productId: 1, quantity: 2 }],
});

const aChange = (trigger: OrderTrigger): OrderChange => {
  const reason = { code: 'EXPIRED' as const, message: 'changed my mind', lines: [] };
  const lines = [{ productId: 1, quantity: 2, unitPrice: 5 }];
  return { orderId: 'ORD-1', trigger, reason, amount: 10, amendment: 7, lines };
};

describe('the transition table', () => {
  const expected: Record<OrderStatus, string[]> = {
    PENDING: [
      ...['CONFIRMED', 'CANCELLED', 'CANCELLED', 'CANCELLED', 'refused'],
      ...['ignored', 'ignored', 'ignored', 'refused', 'ignored', 'ignored'],
    ],
    RESERVED: [
      ...['ignored', 'ignored', 'CANCELLED', 'void', 'refused'],
      ...['CONFIRMED', 'CANCELLED', 'CANCELLED', 'refused', 'ignored', 'ignored'],
    ],
    CONFIRMED: [
      ...['ignored', 'ignored', 'CANCELLED', 'ignored', 'FULFILLED'],
      ...['ignored', 'ignored', 'ignored', 'ask', 'CONFIRMED', 'keep'],
    ],
    FULFILLED: [
      ...['ignored', 'ignored', 'refused', 'ignored', 'already'],
      ...['ignored', 'ignored', 'ignored', 'refused', 'ignored', 'ignored'],
    ],
    CANCELLED: [
      ...['release', 'ignored', 'already', 'ignored', 'refused'],
      ...['refund', 'ignored', 'ignored', 'refused', 'ignored', 'ignored'],
    ],
  };
  /** An answer to an amendment is one to the amendment under way. */
  const amending = (trigger: OrderTrigger) => (/^(Stock)?Amend(ed|ment)/.test(trigger) ? { amending: 7 } : {});
  const pairs = statuses.flatMap((status) =>
    triggers.map((trigger, index) => [status, trigger, expected[status][index]!] as const),
  );

  it.each(pairs)('%s × %s is %s', (status, trigger, outcome) => {
    const decision = decide({ ...anOrder(status), ...amending(trigger) }, aChange(trigger));
    expect(decision.type === 'changed' ? decision.order.status : decision.type).toBe(outcome);
  });

  it('defines every pair and no more', () => {
    for (const table of [transitions, paidTransitions]) {
      expect(Object.keys(table)).toEqual(statuses);
      for (const row of Object.values(table)) expect(Object.keys(row)).toEqual(triggers);
    }
  });

  /** Stock reserved is not yet confirmed, a price that was taken stands, and goods whose money is back stay here. */
  const otherwiseWhenPaid: Record<string, string> = {
    'PENDING StockReserved': 'RESERVED',
    'CONFIRMED PaymentRefunded': 'CANCELLED',
    'CONFIRMED AmendOrder': 'refused',
    'CONFIRMED StockAmended': 'ignored',
    'CONFIRMED AmendmentRejected': 'ignored',
  };
  it.each(pairs)(
    'with a payment %s × %s is the same, but for the reservation, the refund and the amendments',
    (status, trigger, outcome) => {
      const decision = decide({ ...anOrder(status, 'BALANCE'), ...amending(trigger) }, aChange(trigger));
      const expectedOutcome = otherwiseWhenPaid[`${status} ${trigger}`] ?? outcome;
      expect(decision.type === 'changed' ? decision.order.status : decision.type).toBe(expectedOutcome);
    },
  );

  it('counts a version for each change and none for anything else', () => {
    for (const [status, trigger] of pairs) {
      const decision = decide({ ...anOrder(status), ...amending(trigger) }, aChange(trigger));
      expect(decision.order.version).toBe(decision.type === 'changed' ? 4 : 3);
    }
  });

  it('lets no sequence of events leave a final status, or return to PENDING', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...triggers), { maxLength: 12 }), (sequence) => {
        let order = anOrder('PENDING');
        for (const trigger of sequence) {
          const before = order.status;
          order = decide(order, aChange(trigger)).order;
          if (before === 'FULFILLED' || before === 'CANCELLED') expect(order.status).toBe(before);
          if (before !== 'PENDING') expect(order.status).not.toBe('PENDING');
        }
      }),
    );
  });

  it('tells accounts of a cancel exactly where it has been asked for money and has not refused (S3.6)', () => {
    const toldOf = (from: OrderStatus, trigger: OrderTrigger, payment: Order['payment']) =>
      tellingOf(decide(anOrder(from, payment), aChange(trigger)), trigger);
    expect(toldOf('PENDING', 'CancelOrder', 'BALANCE')).toEqual(['OrderCancelled']);
    expect(toldOf('RESERVED', 'CancelOrder', 'BALANCE')).toEqual(['OrderCancelled', 'RefundPayment']);
    expect(toldOf('CONFIRMED', 'CancelOrder', 'BALANCE')).toEqual(['OrderCancelled', 'RefundPayment']);
    expect(toldOf('CONFIRMED', 'CancelOrder', 'NONE')).toEqual(['OrderCancelled']);
    expect(toldOf('CONFIRMED', 'PaymentRefunded', 'BALANCE')).toEqual(['OrderCancelled', 'RefundPayment']);
    expect(toldOf('RESERVED', 'PaymentRefunded', 'BALANCE')).toEqual(['OrderCancelled']);
    expect(toldOf('RESERVED', 'PaymentDeclined', 'BALANCE')).toEqual(['OrderCancelled']);
    expect(toldOf('CANCELLED', 'PaymentCaptured', 'BALANCE')).toEqual(['RefundPayment']);
    expect(toldOf('RESERVED', 'ExpireOrder', 'BALANCE')).toEqual(['VoidPayment']);
  });

  it('an answer to any other amendment than the one under way is ignored', () => {
    for (const status of statuses)
      for (const trigger of ['StockAmended', 'AmendmentRejected'] as const)
        for (const order of [anOrder(status), { ...anOrder(status), amending: 6 }])
          expect(decide(order, aChange(trigger))).toEqual({ type: 'ignored', order });
  });

  it('while an amendment is under way the order is not fulfilled, and a cancel ends both', () => {
    const order = { ...anOrder('CONFIRMED'), amending: 7 };
    expect(decide(order, aChange('FulfilOrder'))).toEqual({ type: 'refused', order });
    expect(decide(order, aChange('CancelOrder'))).toMatchObject({ order: { status: 'CANCELLED', amending: undefined } });
    expect(decide(order, aChange('AmendmentRejected'))).toEqual({ type: 'keep', order: { ...order, amending: undefined } });
    expect(
      decide(order, { ...aChange('StockAmended'), lines: [{ productId: 9, quantity: 1, unitPrice: 5 }] } as OrderChange),
    ).toMatchObject({
      order: { status: 'CONFIRMED', amending: undefined, version: 4, lines: [{ productId: 9, quantity: 1 }] },
    });
  });

  it('repeats without effect: the same event twice is the same as once', () => {
    for (const [status, trigger] of pairs) {
      const once = decide(anOrder(status), aChange(trigger)).order;
      expect(decide(once, aChange(trigger)).order.status).toBe(once.status);
    }
  });
});
