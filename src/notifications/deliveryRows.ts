import { transaction, type Database, type NotificationDeliveryState, type Transaction } from '../database';
import { type Parcel, type SendingChannel } from './channels/channel';

/** A delivery to be written: one event for one subscription. */
export interface NewDelivery {
  id: string;
  subscriptionId: string;
  customerId: string;
  eventId: string;
  orderId: string;
  receiver: string;
  body: string;
  correlationId: string;
}

/** Each event once for each subscription, however often the event comes: the natural key decides. Written in its order, so that two consumers do not wait in a circle. */
export async function writeDeliveries(tx: Transaction, deliveries: NewDelivery[]): Promise<void> {
  if (deliveries.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO notifications.deliveries (id, subscription_id, customer_id, event_id, order_id, receiver, body, correlation_id)
    SELECT id::uuid, subscription_id::uuid, customer_id, event_id::uuid, order_id, receiver, body::json, correlation_id
    FROM unnest(
      ${deliveries.map(({ id }) => id)}::text[],
      ${deliveries.map(({ subscriptionId }) => subscriptionId)}::text[],
      ${deliveries.map(({ customerId }) => customerId)}::text[],
      ${deliveries.map(({ eventId }) => eventId)}::text[],
      ${deliveries.map(({ orderId }) => orderId)}::text[],
      ${deliveries.map(({ receiver }) => receiver)}::text[],
      ${deliveries.map(({ body }) => body)}::text[],
      ${deliveries.map(({ correlationId }) => correlationId)}::text[]
    ) AS delivery(id, subscription_id, customer_id, event_id, order_id, receiver, body, correlation_id)
    ORDER BY subscription_id, event_id
    ON CONFLICT (subscription_id, event_id) DO NOTHING`;
}

/** A delivery that this process is to send now. */
export interface TakenDelivery extends Parcel {
  id: string;
  customerId: string;
  receiver: string;
  channel: SendingChannel;
  /** This attempt, from 1. */
  attempt: number;
  /** False when its customer has turned the subscription off, or we have. */
  isWanted: boolean;
}

export interface TakeOptions {
  /** How long nobody else may take them: longer than an attempt may last. */
  leaseMs: number;
  /** How many places are free. */
  limit: number;
  perReceiverMax: number;
  /** How many this process is sending: by receiver, and by customer. */
  sending: Sending;
}

export interface Sending {
  toReceiver: ReadonlyMap<string, number>;
  forCustomer: ReadonlyMap<string, number>;
}

/**
 * Takes what is due, and leases it to this process: `due_at` is moved to where a crash would make it due again. Receivers are gone
 * through one by one, the oldest first, so that a million deliveries for one who does not answer hide nothing that is for others.
 * Of what they have, customers are served in turn: first who has nothing on its way. And none takes more places than it leaves
 * free, so that one whose receivers all hang holds half of them, two a third each, and never all. What somebody else is taking this
 * moment is skipped. Each taking counts as an attempt, also one that nobody comes back from.
 */
export function takeDue(database: Database, { leaseMs, limit, perReceiverMax, sending }: TakeOptions): Promise<TakenDelivery[]> {
  const { toReceiver, forCustomer } = sending;
  // Those who may take no more are passed over already where a receiver's oldest are looked for: they hide nobody there.
  const full = [...forCustomer].filter(([, held]) => held + 1 >= limit).map(([customerId]) => customerId);
  return database.$queryRaw<TakenDelivery[]>`
    WITH RECURSIVE receivers(receiver) AS (
      (SELECT receiver FROM notifications.deliveries WHERE state = 'WAITING' ORDER BY receiver LIMIT 1)
      UNION ALL
      SELECT (
        SELECT next.receiver FROM notifications.deliveries AS next
        WHERE next.state = 'WAITING' AND next.receiver > receivers.receiver ORDER BY next.receiver LIMIT 1
      ) FROM receivers WHERE receivers.receiver IS NOT NULL
    ), lined AS (
      SELECT due.id, due.due_at, coalesce(own.count, 0) AS held,
             coalesce(own.count, 0) + row_number() OVER (PARTITION BY due.customer_id ORDER BY due.due_at, due.id) AS place
      FROM receivers
      LEFT JOIN unnest(${[...toReceiver.keys()]}::text[], ${[...toReceiver.values()]}::int[]) AS busy(receiver, count) USING (receiver)
      CROSS JOIN LATERAL (
        SELECT id, customer_id, due_at FROM notifications.deliveries AS waiting
        WHERE waiting.state = 'WAITING' AND waiting.receiver = receivers.receiver AND waiting.due_at <= now()
          AND waiting.customer_id <> ALL(${full}::text[])
        ORDER BY due_at LIMIT greatest(0, ${perReceiverMax}::int - coalesce(busy.count, 0))
      ) AS due
      LEFT JOIN unnest(${[...forCustomer.keys()]}::text[], ${[...forCustomer.values()]}::int[]) AS own(customer_id, count)
        ON own.customer_id = due.customer_id
    ), chosen AS (
      SELECT id FROM lined WHERE place <= greatest(1, (${limit}::int + held) / 2) ORDER BY place, due_at LIMIT ${limit}::int
    ), taken AS (
      SELECT id FROM notifications.deliveries
      WHERE id IN (SELECT id FROM chosen) AND state = 'WAITING' AND due_at <= now() FOR UPDATE SKIP LOCKED
    )
    UPDATE notifications.deliveries AS delivery
    SET attempts = attempts + 1, due_at = clock_timestamp() + ${leaseMs} * interval '1 millisecond'
    FROM taken, notifications.subscriptions AS subscription
    WHERE delivery.id = taken.id AND subscription.id = delivery.subscription_id
    RETURNING delivery.id, delivery.customer_id AS "customerId", receiver, event_id AS "eventId", order_id AS "orderId",
              correlation_id AS "correlationId",
              body::text AS body, attempts AS attempt, channel::text AS channel, target, secret, clock_timestamp() AS at,
              subscription.state = 'ACTIVE' AS "isWanted"`;
}

/** What one attempt met with. */
export interface Attempted {
  id: string;
  attempt: number;
  at: Date;
  durationMs: number;
  status?: number;
  error?: string;
  /** Where it leaves the delivery. */
  state: NotificationDeliveryState;
  /** WAITING for so long. */
  pauseMs?: number;
}

/**
 * Writes down what attempts met with, and where each leaves its delivery. An outcome that comes after its lease, when another
 * process has taken the delivery, is kept and changes nothing; save for a receipt, which counts whenever it comes.
 */
export async function recordAttempts(database: Database, attempts: Attempted[]): Promise<void> {
  await transaction(database, async (tx) => {
    await tx.$executeRaw`
      WITH met AS (
        SELECT * FROM unnest(
          ${attempts.map(({ id }) => id)}::uuid[], ${attempts.map(({ attempt }) => attempt)}::int[],
          ${attempts.map(({ at }) => at.toISOString())}::text[], ${attempts.map(({ durationMs }) => durationMs)}::int[],
          ${attempts.map(({ status }) => status ?? null)}::int[], ${attempts.map(({ error }) => error ?? null)}::text[],
          ${attempts.map(({ state }) => state)}::text[], ${attempts.map(({ pauseMs }) => pauseMs ?? null)}::int[]
        ) AS met(id, attempt, at, duration_ms, status, error, state, pause_ms)
      ), settled AS (
        UPDATE notifications.deliveries AS delivery
        SET state = met.state::notifications.delivery_state,
            due_at = coalesce(clock_timestamp() + met.pause_ms * interval '1 millisecond', due_at),
            finished_at = CASE WHEN met.state <> 'WAITING' THEN clock_timestamp() END
        FROM met WHERE delivery.id = met.id AND delivery.state = 'WAITING'
          AND (delivery.attempts = met.attempt OR met.state = 'DELIVERED')
        RETURNING delivery.id, delivery.state, delivery.due_at
      )
      INSERT INTO notifications.delivery_attempts (delivery_id, attempt, started_at, duration_ms, status, error, next_attempt_at)
      SELECT met.id, attempt, at::timestamptz, duration_ms, status, error, CASE WHEN settled.state = 'WAITING' THEN settled.due_at END
      FROM met LEFT JOIN settled USING (id) ON CONFLICT DO NOTHING`;
    const dead = attempts.filter(({ state }) => state === 'DEAD').map(({ id }) => id);
    if (dead.length > 0) await giveUpSubscriptions(tx, dead);
  });
}

/**
 * A subscription is given up when a delivery of it dies and none that was made after it has arrived: whoever took nothing for as
 * long as one delivery was tried is not there any more. Not when its customer has set it anew since.
 */
async function giveUpSubscriptions(tx: Transaction, deliveryIds: string[]): Promise<void> {
  await tx.$executeRaw`
    UPDATE notifications.subscriptions AS subscription
    SET state = 'DISABLED', updated_at = clock_timestamp(), disabled_because = dead.error
    FROM (
      SELECT DISTINCT ON (subscription_id) subscription_id, delivery.id, created_at, coalesce(error, 'no reason given') AS error
      FROM notifications.deliveries AS delivery
      JOIN notifications.delivery_attempts AS last ON last.delivery_id = delivery.id AND last.attempt = delivery.attempts
      WHERE delivery.id = ANY(${deliveryIds}::uuid[]) AND state = 'DEAD' ORDER BY subscription_id, delivery.id
    ) AS dead
    WHERE subscription.id = dead.subscription_id AND subscription.state = 'ACTIVE' AND subscription.updated_at <= dead.created_at
      AND NOT EXISTS (
        SELECT FROM notifications.deliveries AS later
        WHERE later.subscription_id = dead.subscription_id AND later.id > dead.id AND later.state = 'DELIVERED'
      )`;
}

/** Removes deliveries that were finished so long ago, with their attempts, and removed subscriptions that none stands under any more. Returns how many rows went. */
export async function pruneFinished(database: Database, keepDays: number, limit: number): Promise<number> {
  const deliveries = await database.$executeRaw`
    DELETE FROM notifications.deliveries WHERE id IN (
      SELECT id FROM notifications.deliveries
      WHERE state <> 'WAITING' AND finished_at < now() - ${keepDays} * interval '1 day'
      ORDER BY finished_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )`;
  const subscriptions = await database.$executeRaw`
    DELETE FROM notifications.subscriptions WHERE id IN (
      SELECT id FROM notifications.subscriptions AS subscription
      WHERE state = 'REMOVED' AND updated_at < now() - ${keepDays} * interval '1 day'
        AND NOT EXISTS (SELECT FROM notifications.deliveries WHERE subscription_id = subscription.id)
      ORDER BY updated_at LIMIT ${limit} FOR UPDATE SKIP LOCKED
    )`;
  return deliveries + subscriptions;
}

/** How many wait, and for how many seconds the one that is most overdue has been. */
export async function deliveriesWaiting(database: Database): Promise<{ waiting: number; overdueSeconds: number }> {
  const [row] = await database.$queryRaw<{ waiting: number; overdue: number }[]>`
    SELECT count(*)::int AS waiting, greatest(0, coalesce(extract(epoch FROM now() - min(due_at)), 0))::float8 AS overdue
    FROM notifications.deliveries WHERE state = 'WAITING'`;
  return { waiting: row?.waiting ?? 0, overdueSeconds: row?.overdue ?? 0 };
}
