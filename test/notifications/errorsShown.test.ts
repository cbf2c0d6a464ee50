import { type NotificationDeliveryAttemptModel, type NotificationSubscriptionModel } from '../../src/database';
import { type RequestContext } from '../../src/observability';
import { NotificationAttempt, NotificationSubscription } from '../../src/notifications/schema';

const as = (role: 'customer' | 'operator') =>
  ({ caller: { role, customerId: 'CUST-1', name: 'ann' } }) as unknown as RequestContext;
const inside = 'connect ECONNREFUSED 10.1.2.3:587';
const attempt = (status: number | null, error: string | null) =>
  NotificationAttempt.of({ attempt: 1, status, error } as NotificationDeliveryAttemptModel);

it('a customer is told what its own server answered, and not what was met with inside the house', () => {
  expect(attempt(503, 'It answered 503').error(as('customer'))).toBe('It answered 503');
  expect(attempt(null, null).error(as('customer'))).toBeNull();
  expect(attempt(null, inside).error(as('customer'))).toBe('It could not be delivered.');
  expect(attempt(null, inside).error(as('operator'))).toBe(inside);
});

it('the same of why a subscription was given up', () => {
  const subscription = NotificationSubscription.of({ disabledBecause: inside } as NotificationSubscriptionModel);
  expect(subscription.disabledBecause(as('customer'))).toBe('It could not be delivered.');
  expect(subscription.disabledBecause(as('operator'))).toBe(inside);
  const active = NotificationSubscription.of({ disabledBecause: null } as NotificationSubscriptionModel);
  expect(active.disabledBecause(as('customer'))).toBeNull();
});
