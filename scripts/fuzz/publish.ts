import { randomUUID } from 'node:crypto';

import { connect } from 'amqplib';

import { type Payload } from './payloads';

/** A client of nobody's making, that may say anything to any queue: the port of our own broker could not say half of it. */
export interface Attacker {
  /** Resolves when the broker has it. False when the broker or its client would not take such a message at all. */
  publish(queue: string, body: Buffer, options: Payload['options']): Promise<boolean>;
  /** How many messages wait in a queue. */
  depth(queue: string): Promise<number>;
  /** Takes everything out of a queue. */
  drain(queue: string): Promise<{ headers: Record<string, unknown> }[]>;
  close(): Promise<void>;
}

export async function openAttacker(url: string): Promise<Attacker> {
  const connection = await connect(url);
  connection.on('error', () => undefined);
  const channel = await connection.createConfirmChannel();
  let fault: Error | undefined;
  channel.on('error', (error: Error) => (fault = error));
  return {
    publish: (queue, body, options) =>
      new Promise((resolve, reject) => {
        if (fault) return reject(fault);
        try {
          channel.publish('', queue, body, { persistent: true, ...options }, (error: unknown) => resolve(!error));
        } catch {
          resolve(false);
        }
      }),
    depth: async (queue) => (await channel.checkQueue(queue)).messageCount,
    async drain(queue) {
      const found: { headers: Record<string, unknown> }[] = [];
      for (;;) {
        const message = await channel.get(queue, { noAck: true });
        if (!message) return found;
        found.push({ headers: message.properties.headers ?? {} });
      }
    },
    close: () => connection.close(),
  };
}

/** A client that asks, with whatever it likes around and in its questions. */
export interface Asker {
  /** The answer as JSON; undefined when none came in time, `not taken` when the broker or its client would not take the question. */
  ask(queue: string, id: string, body: Buffer, options: Payload['options'], limitMs: number): Promise<unknown>;
  /** The ids of answers that nobody waited for, or not any more. */
  unexpected(): string[];
  close(): Promise<void>;
}

export async function openAsker(url: string): Promise<Asker> {
  const connection = await connect(url);
  connection.on('error', () => undefined);
  const channel = await connection.createConfirmChannel();
  const replyTo = `fuzz.answers.${randomUUID()}`;
  const waiting = new Map<string, (answer: unknown) => void>();
  const unexpected: string[] = [];
  await channel.assertQueue(replyTo, { exclusive: true, autoDelete: true });
  await channel.consume(
    replyTo,
    (message) => {
      const id = String(message?.properties.correlationId);
      const resolve = waiting.get(id);
      if (!resolve) return void unexpected.push(id);
      waiting.delete(id);
      resolve(JSON.parse(message!.content.toString('utf8')));
    },
    { noAck: true },
  );
  return {
    ask: (queue, id, body, options, limitMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, limitMs, undefined);
        const settle = (answer: unknown) => (clearTimeout(timer), resolve(answer));
        waiting.set(id, settle);
        try {
          channel.publish(
            '',
            queue,
            body,
            { ...options, replyTo, correlationId: id },
            (error: unknown) => error && settle('not taken'),
          );
        } catch {
          settle('not taken');
        }
      }),
    unexpected: () => unexpected,
    close: () => connection.close(),
  };
}
