import { queues } from '../contracts';
import { type Handlers } from '../messaging';
import { type Logger } from '../observability';
import { creationHandlers, updateHandlers } from './handlers';

/** The notifications context: what it does about order events, by queue. */
export type NotificationsContext = ReturnType<typeof createNotifications>;

export function createNotifications({ log }: { log: Logger }) {
  const handlers: Record<string, Handlers> = {
    [queues.orderCreations]: creationHandlers(log),
    [queues.orderUpdates]: updateHandlers(log),
  };
  return { handlers };
}
