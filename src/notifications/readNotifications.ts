import {
  type Database,
  type NotificationDeliveryAttemptModel,
  type NotificationDeliveryModel,
  type NotificationDeliveryState,
  type NotificationSubscriptionModel,
  type Transaction,
} from '../database';
import { isSubscriptionId } from './setSubscription';
import { type Preference } from './subscription';

/** A delivery and where it goes. */
export type DeliveryView = NotificationDeliveryModel & {
  subscription: Pick<NotificationSubscriptionModel, 'channel' | 'target'>;
};

export interface SubscriptionFilter {
  customerId?: string | null;
  /** The customer who asks: there are no subscriptions but its own. */
  owner?: string;
}

export interface DeliveryFilter {
  customerId?: string | null;
  subscriptionId?: string | null;
  orderId?: string | null;
  state?: NotificationDeliveryState | null;
  /** The customer who asks: there is nothing but its own. */
  owner?: string;
}

/** What these customers have said, by customer; one who has said nothing is left out. */
export async function readPreferences(tx: Transaction, customerIds: Iterable<string>): Promise<Map<string, Preference[]>> {
  const wanted = [...new Set(customerIds)];
  if (wanted.length === 0) return new Map();
  const rows = await tx.$queryRaw<Preference[]>`
    SELECT id, customer_id AS "customerId", channel::text AS channel, target, events, state::text AS state
    FROM notifications.subscriptions WHERE customer_id = ANY(${wanted}::text[]) AND state <> 'REMOVED' ORDER BY id`;
  const preferences = new Map<string, Preference[]>();
  for (const row of rows) preferences.set(row.customerId, [...(preferences.get(row.customerId) ?? []), row]);
  return preferences;
}

/** A page of subscriptions, newest first, after the one with id `after`. */
export async function listSubscriptions(
  database: Database,
  { customerId, owner }: SubscriptionFilter,
  first: number,
  after?: string,
): Promise<NotificationSubscriptionModel[]> {
  if (after !== undefined && !isSubscriptionId(after)) return [];
  const where = {
    ...(customerId == null ? {} : { customerId }),
    ...(owner === undefined ? {} : { AND: { customerId: owner } }),
    state: { not: 'REMOVED' as const },
    ...(after === undefined ? {} : { id: { lt: after } }),
  };
  return database.notificationSubscription.findMany({ where, orderBy: { id: 'desc' }, take: first });
}

/** A page of deliveries, newest first, after the one with id `after`. */
export async function listDeliveries(
  database: Database,
  { customerId, subscriptionId, orderId, state, owner }: DeliveryFilter,
  first: number,
  after?: string,
): Promise<DeliveryView[]> {
  if ([after, subscriptionId].some((id) => id != null && !isSubscriptionId(id))) return [];
  const where = {
    ...(customerId == null ? {} : { customerId }),
    ...(owner === undefined ? {} : { AND: { customerId: owner } }),
    ...(subscriptionId == null ? {} : { subscriptionId }),
    ...(orderId == null ? {} : { orderId }),
    ...(state == null ? {} : { state }),
    ...(after === undefined ? {} : { id: { lt: after } }),
  };
  const subscription = { select: { channel: true, target: true } };
  return database.notificationDelivery.findMany({ where, orderBy: { id: 'desc' }, take: first, include: { subscription } });
}

/** The attempts of these deliveries, each in its order. */
export async function readAttempts(
  database: Database,
  deliveryIds: readonly string[],
): Promise<Map<string, NotificationDeliveryAttemptModel[]>> {
  const where = { deliveryId: { in: [...deliveryIds] } };
  const orderBy = [{ deliveryId: 'asc' as const }, { attempt: 'asc' as const }];
  const rows = await database.notificationDeliveryAttempt.findMany({ where, orderBy });
  const attempts = new Map<string, NotificationDeliveryAttemptModel[]>(deliveryIds.map((id) => [id, []]));
  for (const row of rows) attempts.get(row.deliveryId)?.push(row);
  return attempts;
}
