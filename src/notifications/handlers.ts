import { v5 as uuidv5 } from 'uuid';

import { type AnyEvent } from '../contracts';
import { type Transaction } from '../database';
import { type AfterCommit, type Handler, type Handlers, type IncomingMessage, type OutgoingMessage } from '../messaging';
import { type Logger } from '../observability';
import { type Channels } from './channels/channel';
import { writeDeliveries, type NewDelivery } from './deliveryRows';
import { inOneLine, orderEvents, statusChange, type OrderEvent } from './notify';
import { readPreferences } from './readNotifications';
import { isLogged, wanting, type Preference } from './subscription';

/**
 * Two reactions that know nothing of each other, and of which the orders context knows nothing. The first hears every order event
 * and speaks of creations; the second hears creations and updates, and tells customers of each change of status: on
 * notification_exchange, and by the channels they have chosen. What is logged is logged once the work is committed: a batch that
 * is rolled back and tried again would say it twice.
 */
export function creationHandlers(log: Logger): Handlers {
  const speakOf = (event: OrderEvent) => log.info({ orderId: event.order_id }, `new: ${inOneLine(event)}`);
  return tableOf((_tx, batch, afterCommit) => {
    for (const { body } of batch) if (body.event === 'OrderCreated') afterCommit(() => speakOf(body));
    return Promise.resolve([]);
  });
}

export interface UpdateOptions {
  tellInLog: (event: OrderEvent) => void;
  channels: Channels;
  newId: () => string;
}

/** Deliveries are written beside the notices, and sent by somebody else: a receiver that is away holds up no queue. */
export function updateHandlers({ tellInLog, channels, newId }: UpdateOptions): Handlers {
  return tableOf(async (tx, batch, afterCommit) => {
    const preferences = await readPreferences(
      tx,
      batch.flatMap(({ body }) => customerOf(body) ?? []),
    );
    const preferencesOf = (event: OrderEvent) => preferences.get(customerOf(event) ?? '') ?? [];
    for (const { body } of batch) if (isLogged(preferencesOf(body), body.event)) afterCommit(() => tellInLog(body));
    const notices = eachOnce(batch.flatMap((message) => toCustomer(message) ?? []));
    const deliveries = notices.flatMap(({ event, notice }) =>
      wanting(preferencesOf(event), event.event).flatMap((wish) => toDelivery(wish, notice, channels, newId) ?? []),
    );
    await writeDeliveries(tx, deliveries);
    return notices.map(({ notice }) => notice);
  });
}

interface Told {
  event: OrderEvent;
  notice: OutgoingMessage & { body: Change };
}

/** Two copies of one event in a batch are one notice: an outbox keeps each id once. */
function eachOnce(told: Told[]): Told[] {
  return [...new Map(told.map((one) => [one.notice.id, one])).values()];
}

function toDelivery(
  { id: subscriptionId, customerId, channel, target }: Preference,
  { id: eventId, body, correlationId }: Told['notice'],
  channels: Channels,
  newId: () => string,
): NewDelivery | undefined {
  if (channel === 'LOG') return undefined;
  const receiver = channels[channel].receiverOf(target);
  const { order_id: orderId } = body;
  return { id: newId(), subscriptionId, customerId, eventId, orderId, receiver, body: JSON.stringify(body), correlationId };
}

type Heard = Omit<IncomingMessage, 'body'> & { body: OrderEvent };

/** The same reaction to each order event. */
function tableOf(react: (tx: Transaction, batch: Heard[], afterCommit: AfterCommit) => Promise<OutgoingMessage[]>): Handlers {
  const handler = ((tx, batch, afterCommit) => react(tx, batch, afterCommit)) satisfies Handler<OrderEvent['event']>;
  return Object.fromEntries(orderEvents.map((event) => [event, handler]));
}

/** A creation says nothing of its customer: it is what any order service publishes. */
function customerOf(event: OrderEvent): string | undefined {
  return event.event === 'OrderCreated' ? undefined : event.customer_id;
}

function toCustomer({ id, body, correlationId, traceparent }: Heard): Told | undefined {
  const change = statusChange(body);
  if (!change) return undefined;
  const notice = { id: changeId(change), body: change, correlationId, causationId: id, traceparent };
  return { event: body, notice };
}

type Change = AnyEvent & { event: 'OrderStatusChanged' };

/** The same for every repetition of one change, however often the event behind it comes: a listener tells repetition from news. */
function changeId({ order_id, version }: Change): string {
  return uuidv5(JSON.stringify([order_id, version]), NAMESPACE);
}

/** Any UUID would do, but it must never change. */
const NAMESPACE = '0d6f5a2e-7d1c-4f43-9b57-3f6f0c8f2a11';
