/** The part of an AMQP client that the RabbitMQ broker stands on; amqplib, named only in rabbitmqConnection.ts, fits it as it is. */

export interface AmqpConnection extends Listening {
  createChannel(): Promise<AmqpChannel>;
  createConfirmChannel(): Promise<AmqpConfirmChannel>;
  close(): Promise<void>;
}

export interface AmqpChannel extends Listening {
  close(): Promise<void>;
  assertExchange(name: string, type: string, options: { durable: boolean }): Promise<unknown>;
  checkExchange(name: string): Promise<unknown>;
  bindExchange(destination: string, source: string, key: string): Promise<unknown>;
  assertQueue(name: string, options: QueueOptions): Promise<unknown>;
  checkQueue(name: string): Promise<{ messageCount: number; consumerCount: number }>;
  bindQueue(queue: string, exchange: string, key: string): Promise<unknown>;
  prefetch(count: number, global: boolean): Promise<unknown>;
  consume(queue: string, onMessage: (message: AmqpMessage | null) => void): Promise<{ consumerTag: string }>;
  cancel(consumerTag: string): Promise<unknown>;
  ack(message: AmqpMessage, allUpTo: boolean): void;
  reject(message: AmqpMessage, requeue: boolean): void;
}

export interface AmqpConfirmChannel extends AmqpChannel {
  publish(
    exchange: string,
    routingKey: string,
    body: Buffer,
    options: PublishOptions,
    onConfirm: (error: Error | null) => void,
  ): boolean;
}

export interface AmqpMessage {
  content: Buffer;
  fields: { deliveryTag: number; redelivered: boolean; exchange: string; routingKey: string };
  properties: AmqpProperties;
}

export interface AmqpProperties {
  contentType: unknown;
  contentEncoding: unknown;
  headers: Record<string, unknown> | undefined;
  deliveryMode: unknown;
  priority: unknown;
  correlationId: unknown;
  replyTo: unknown;
  expiration: unknown;
  messageId: unknown;
  timestamp: unknown;
  type: unknown;
  userId: unknown;
  appId: unknown;
  clusterId: unknown;
}

export interface PublishOptions {
  mandatory: boolean;
  persistent: boolean;
  headers: Record<string, unknown>;
  expiration?: string;
  contentType?: string;
  contentEncoding?: string;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  messageId?: string;
  timestamp?: number;
  type?: string;
  appId?: string;
}

export interface QueueOptions {
  durable: boolean;
  exclusive?: boolean;
  autoDelete?: boolean;
  arguments?: Record<string, unknown>;
}

interface Listening {
  on(event: string, listener: (...args: never[]) => void): unknown;
}
