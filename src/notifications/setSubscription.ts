import { transaction, type Database, type NotificationSubscriptionModel, type Transaction } from '../database';
import { type FieldFault } from '../contracts';
import { type Channels } from './channels/channel';
import { secretOf } from './channels/signature';
import { checkWish, type SubscriptionInput, type SubscriptionWish } from './subscription';

export interface SetSubscriptionOptions {
  database: Database;
  channels: Channels;
  newId: () => string;
  /** So many random bytes, fit for a secret. */
  randomBytes: (count: number) => Buffer;
}

export type SetSubscriptionResult =
  /** `secret`: given once, to who gave it or had it made. */
  | { type: 'done'; subscription: NotificationSubscriptionModel; secret?: string }
  | { type: 'invalid'; fields: FieldFault[] }
  | { type: 'too-many'; max: number };

/**
 * Says how a customer wants to be told by one channel at one address. Saying it again changes what it said before, so that it can
 * be repeated; a subscription that we had given up begins anew.
 */
export function setSubscriptionUseCase(options: SetSubscriptionOptions) {
  return async (input: SubscriptionInput): Promise<SetSubscriptionResult> => {
    const checked = checkWish(input, options.channels);
    if (checked.type === 'invalid') return checked;
    return transaction(options.database, (tx) => set(tx, checked.wish, options));
  };
}

async function set(tx: Transaction, wish: SubscriptionWish, options: SetSubscriptionOptions): Promise<SetSubscriptionResult> {
  const { customerId, channel, target, events, enabled } = wish;
  // One change of a customer's preferences at a time: so the limit holds, and two who say the same make one.
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`holdfast.subscriptions.${customerId}`}, 0))`;
  const present = await tx.notificationSubscription.findMany({ where: { customerId, state: { not: 'REMOVED' } } });
  const known = present.find((one) => one.channel === channel && one.target === target);
  if (!known && present.length >= SUBSCRIPTIONS_MAX) return { type: 'too-many', max: SUBSCRIPTIONS_MAX };
  const secret = wish.secret ?? (channel === 'WEBHOOK' && !known ? secretOf(options.randomBytes(32)) : undefined);
  const state = enabled ? ('ACTIVE' as const) : ('PAUSED' as const);
  const said = { events, state, disabledBecause: null, ...(secret !== undefined && { secret }) };
  const subscription = known
    ? await tx.notificationSubscription.update({ where: { id: known.id }, data: { ...said, updatedAt: await clock(tx) } })
    : await tx.notificationSubscription.create({ data: { id: options.newId(), customerId, channel, target, ...said } });
  return { type: 'done', subscription, secret };
}

/** Of one customer. Each of them makes a delivery of every event. */
const SUBSCRIPTIONS_MAX = 10;

/**
 * Takes a subscription back; its address and secret are forgotten at once. What still waits for it is not sent. Undefined when there is none;
 * taking it back twice is no error. `owner`: the customer who asks; a subscription of another is unknown to it.
 */
export function removeSubscriptionUseCase(database: Database) {
  return async (id: string, owner?: string): Promise<{ customerId: string } | undefined> => {
    if (!isSubscriptionId(id)) return undefined;
    const [removed] = await database.$queryRaw<{ customerId: string }[]>`
      UPDATE notifications.subscriptions
      SET state = 'REMOVED', target = '', secret = NULL, disabled_because = NULL, updated_at = clock_timestamp()
      WHERE id = ${id}::uuid AND customer_id = coalesce(${owner ?? null}::text, customer_id) RETURNING customer_id AS "customerId"`;
    return removed;
  };
}

/** They are UUIDs; anything else names none. */
export function isSubscriptionId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

async function clock(tx: Transaction): Promise<Date> {
  const [row] = await tx.$queryRaw<{ at: Date }[]>`SELECT clock_timestamp() AS at`;
  return row!.at;
}
