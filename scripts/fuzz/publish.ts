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
