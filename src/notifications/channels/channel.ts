import { type NotificationChannel } from '../../database';

/**
 * A way to reach a customer: `email.ts` and `webhook.ts` stand behind it. The third, `log.ts`, reaches nobody who could be away,
 * so that it needs neither a row nor a second try.
 */
export interface Channel {
  /** Tries once, within its time limit. Never throws: what went wrong is an outcome. */
  send(parcel: Parcel): Promise<Outcome>;
  /** What is wrong with an address of this channel, for people; undefined when nothing is. */
  problemWith(target: string): string | undefined;
  /** Whose patience an address takes: parcels for one receiver are sent a few at a time. */
  receiverOf(target: string): string;
  close(): Promise<void>;
}

/** The channels that send. */
export type Channels = Record<SendingChannel, Channel>;
export type SendingChannel = Exclude<NotificationChannel, 'LOG'>;

/** One event for one address. */
export interface Parcel {
  /** The same at every attempt: the receiver tells repetition from news by it. */
  eventId: string;
  orderId: string;
  correlationId: string;
  /** OrderStatusChanged, as JSON. */
  body: string;
  target: string;
  /** Signs a webhook. */
  secret: string | null;
  /** The moment of this attempt, by the database's clock. */
  at: Date;
}

export type Outcome =
  | { type: 'delivered'; status?: number }
  /** `hopeless`: no later attempt can end differently. `status`: what a web server answered. */
  | { type: 'failed'; error: string; status?: number; hopeless?: boolean };
