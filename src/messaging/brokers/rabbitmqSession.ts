import { type Delivery } from '../broker';
import { createAcks } from './acks';
import { type AmqpChannel, type AmqpConnection, type AmqpMessage } from './amqp';
import { RabbitmqDelivery, type DeliveryOptions, type Settlement } from './rabbitmqDelivery';

export interface SessionOptions extends DeliveryOptions {
  prefetch: number;
  onDelivery(delivery: Delivery): void;
}

/** One channel's life. Deliveries belong to it: once it is gone, settling them does nothing, for the broker has them back. */
export interface Session {
  isOpen(): boolean;
  cancel(): Promise<void>;
  end(): Promise<void>;
}

/** Opens a channel and consumes on it; rejects when the broker refuses. `onLost` hears why it is gone, however it went. */
export async function openSession(
  connection: AmqpConnection,
  options: SessionOptions,
  onLost: (why: string) => void,
): Promise<Session> {
  const { queue, prefetch, log } = options;
  const channel = await connection.createChannel();
  let isOpen = true;
  let isCancelled = false;
  let fault = 'the channel was closed';
  channel.on('error', (error: Error) => (fault = error.message));
  channel.on('handler-error', (error: Error) => log?.error({ err: error, queue }, 'A listener of ours threw.'));
  channel.on('close', () => {
    isOpen = false;
    onLost(fault);
  });
  const settlement = settlementOn(
    channel,
    () => isOpen,
    () => isCancelled,
    options,
  );
  // Per consumer, never `global`: a quorum queue closes the connection over that.
  await channel.prefetch(prefetch, false);
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message) return hand(message, settlement, options);
    fault = 'the queue was deleted';
    channel.close().catch(() => undefined);
  });
  const end = async () => {
    if (!isOpen) return;
    settlement.acks.flush();
    await channel.close().catch(() => undefined);
  };
  return {
    isOpen: () => isOpen,
    async cancel() {
      if (!isOpen || isCancelled) return;
      await channel.cancel(consumerTag).catch(() => undefined);
      isCancelled = true;
      settlement.endWhenDone();
    },
    end,
  };
}

function settlementOn(
  channel: AmqpChannel,
  isOpen: () => boolean,
  isCancelled: () => boolean,
  { log, queue }: SessionOptions,
): Settlement {
  const send = (work: () => void) => {
    if (!isOpen()) return;
    try {
      work();
    } catch (error) {
      log?.warn({ queue, why: (error as Error).message }, 'A settlement came too late; the broker delivers again.');
    }
    endWhenDone();
  };
  const acks = createAcks((tag, allUpTo) => send(() => channel.ack(tagged(tag), allUpTo)));
  const endWhenDone = () => {
    if (isOpen() && isCancelled() && acks.openCount() === 0) channel.close().catch(() => undefined);
  };
  return {
    acks,
    isOpen,
    endWhenDone,
    reject(message, requeue) {
      acks.settled(message.fields.deliveryTag);
      // reject and not nack: RabbitMQ 4.3 no longer counts a nack towards the delivery limit.
      send(() => channel.reject(message, requeue));
    },
  };
}

/** amqplib takes the delivery tag from a message. */
function tagged(deliveryTag: number): AmqpMessage {
  return { fields: { deliveryTag } } as AmqpMessage;
}

function hand(message: AmqpMessage, settlement: Settlement, options: SessionOptions): void {
  settlement.acks.open(message.fields.deliveryTag);
  const delivery = new RabbitmqDelivery(message, settlement, options);
  const giveBack = (error: unknown) => {
    options.log?.error({ err: error, queue: options.queue }, 'A consumer threw: its delivery goes back into the queue.');
    delivery.giveBack();
  };
  try {
    const result: unknown = options.onDelivery(delivery);
    if (result instanceof Promise) result.catch(giveBack);
  } catch (error) {
    giveBack(error);
  }
}
