import { z } from 'zod';

import { faultsOf, text, type FieldFault } from '../contracts';
import { type NotificationChannel, type NotificationSubscriptionModel } from '../database';
import { type Channels } from './channels/channel';
import { isSecret } from './channels/signature';

/** What customers can be told of, by its name in the contract. */
export const tellableEvents = ['OrderConfirmed', 'OrderCancelled', 'OrderFulfilled'] as const;
export type TellableEvent = (typeof tellableEvents)[number];

/** How a customer wishes to be told; not yet checked. */
export interface SubscriptionInput {
  customerId: string;
  channel: NotificationChannel;
  /** The address or URL; nothing for LOG. */
  target?: string | null;
  /** All of them when left out. */
  events?: readonly TellableEvent[] | null;
  enabled?: boolean | null;
  /** For a webhook: left out, a new one is given one, and one that is there keeps its own. */
  secret?: string | null;
}

/** A wish that can be granted. */
export interface SubscriptionWish {
  customerId: string;
  channel: NotificationChannel;
  target: string;
  events: TellableEvent[];
  enabled: boolean;
  secret?: string;
}

export type CheckedWish = { type: 'wish'; wish: SubscriptionWish } | { type: 'invalid'; fields: FieldFault[] };

/** Checks a wish; pure. What an address must look like is its channel's to say. */
export function checkWish(input: SubscriptionInput, channels: Channels): CheckedWish {
  const parsed = schema.safeParse(input);
  if (!parsed.success) return { type: 'invalid', fields: faultsOf(parsed.error) };
  const { target, secret, events, enabled, ...same } = parsed.data;
  const fields = [...targetFaults(parsed.data, channels), ...secretFaults(parsed.data)];
  if (fields.length > 0) return { type: 'invalid', fields };
  const chosen = [...new Set(events ?? tellableEvents)];
  return {
    type: 'wish',
    wish: { ...same, target: target ?? '', events: chosen, enabled: enabled ?? true, secret: secret ?? undefined },
  };
}

const schema = z.object({
  customerId: text(100),
  channel: z.enum(['LOG', 'EMAIL', 'WEBHOOK']),
  target: text(2_000).nullish(),
  events: z.array(z.enum(tellableEvents)).min(1, 'must name at least one event').max(20).nullish(),
  enabled: z.boolean().nullish(),
  secret: z.string().max(200).nullish(),
});

type Parsed = z.infer<typeof schema>;

function targetFaults({ channel, target }: Parsed, channels: Channels): FieldFault[] {
  if (channel === 'LOG') return target == null ? [] : [fault('target', 'unexpected', 'must be left out: LOG has no address')];
  if (target == null) return [fault('target', 'required', `must say where: ${channel} needs an address`)];
  const problem = channels[channel].problemWith(target);
  return problem === undefined ? [] : [fault('target', 'invalid_target', problem)];
}

function secretFaults({ channel, secret }: Parsed): FieldFault[] {
  if (secret == null) return [];
  if (channel !== 'WEBHOOK') return [fault('secret', 'unexpected', 'must be left out: only a webhook is signed')];
  return isSecret(secret) ? [] : [fault('secret', 'invalid_secret', 'must be whsec_ and 24 to 64 bytes in base64')];
}

function fault(path: string, code: string, message: string): FieldFault {
  return { path, code, message };
}

/** As much of a subscription as decides who is told of an event. */
export type Preference = Pick<NotificationSubscriptionModel, 'id' | 'customerId' | 'channel' | 'target' | 'events' | 'state'>;

/** The subscriptions of a customer that want this event. */
export function wanting(preferences: readonly Preference[], event: string): Preference[] {
  return preferences.filter(({ state, events }) => state === 'ACTIVE' && events.includes(event));
}

/** A customer who has said nothing is told in the log; who has, only where it was asked for. */
export function isLogged(preferences: readonly Preference[], event: string): boolean {
  return preferences.length === 0 || wanting(preferences, event).some(({ channel }) => channel === 'LOG');
}
