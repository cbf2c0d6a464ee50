import { queues } from '../contracts';
import { type Database } from '../database';
import { type Handlers } from '../messaging';
import { type Logger, type Metrics } from '../observability';
import { type Channels } from './channels/channel';
import { createEmailChannel } from './channels/email';
import { logChannel } from './channels/log';
import { createWebhookChannel } from './channels/webhook';
import { deliveriesWaiting } from './deliveryRows';
import { Dispatcher, type DispatcherOptions } from './dispatcher';
import { creationHandlers, updateHandlers } from './handlers';
import {
  listDeliveries,
  listSubscriptions,
  readAttempts,
  type DeliveryFilter,
  type SubscriptionFilter,
} from './readNotifications';
import { removeSubscriptionUseCase, setSubscriptionUseCase } from './setSubscription';

export interface NotificationsOptions {
  database: Database;
  log: Logger;
  metrics: Metrics;
  newId: () => string;
  random: () => number;
  /** So many random bytes, fit for a secret. */
  randomBytes: (count: number) => Buffer;
  /** Plain http is refused, and so is e-mail that nobody would send. */
  production: boolean;
  smtpUrl?: string;
  /** Hosts elsewhere that may be spoken to unencrypted. */
  plaintextHosts: readonly string[];
  mailFrom: string;
  /** Webhooks may lead into private networks. */
  privateNetworks: boolean;
  sending: Omit<DispatcherOptions, 'database' | 'channels' | 'log' | 'metrics' | 'random'>;
}

/** The notifications context: what it does about order events, by queue; how customers want to be told; and what sends. */
export type NotificationsContext = ReturnType<typeof createNotifications>;

export function createNotifications(options: NotificationsOptions) {
  const { database, log, newId } = options;
  const channels = createChannels(options);
  const handlers: Record<string, Handlers> = {
    [queues.orderCreations]: creationHandlers(log),
    [queues.orderUpdates]: updateHandlers({ tellInLog: logChannel(log), channels, newId }),
  };
  return {
    handlers,
    subscribe: setSubscriptionUseCase({ ...options, channels }),
    unsubscribe: removeSubscriptionUseCase(database),
    subscriptions: (filter: SubscriptionFilter, first: number, after?: string) =>
      listSubscriptions(database, filter, first, after),
    deliveries: (filter: DeliveryFilter, first: number, after?: string) => listDeliveries(database, filter, first, after),
    attempts: (deliveryIds: readonly string[]) => readAttempts(database, deliveryIds),
    waiting: () => deliveriesWaiting(database),
    dispatcher: () => new Dispatcher({ ...options, ...options.sending, channels }),
  };
}

function createChannels({
  log,
  production,
  smtpUrl,
  plaintextHosts,
  mailFrom,
  privateNetworks,
  sending,
}: NotificationsOptions): Channels {
  const { timeoutMs, perReceiverMax: connectionsMax } = sending;
  return {
    EMAIL: createEmailChannel({ smtpUrl, plaintextHosts, from: mailFrom, timeoutMs, connectionsMax, production, log }),
    WEBHOOK: createWebhookChannel({ timeoutMs, connectionsMax, httpsOnly: production, privateNetworks }),
  };
}
