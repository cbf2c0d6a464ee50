import { setTimeout as delay } from 'node:timers/promises';

import { queues } from '../../src/contracts';
import { type Database } from '../../src/database';
import { deadQueue } from '../../src/messaging/brokers/wireNames';
import { workQueues, type WorkQueue } from './payloads';
import { type Attacker } from './publish';

/** How many messages of each queue were settled since the processes began. */
export type SettledCounts = Record<WorkQueue, { processed: number; dead: number }>;

/** By the metrics that the consumers keep: each message is counted when it is settled, and not before. */
export async function settledCounts(metrics: () => Promise<string[]>): Promise<SettledCounts> {
  const counts = Object.fromEntries(workQueues.map((queue) => [queue, { processed: 0, dead: 0 }])) as SettledCounts;
  for (const page of await metrics()) {
    for (const [, queue, outcome, value] of page.matchAll(settledLine)) {
      const count = counts[queue as WorkQueue] as SettledCounts[WorkQueue] | undefined;
      if (!count) continue;
      if (outcome === 'ack') count.processed += Number(value);
      if (outcome === 'dead') count.dead += Number(value);
    }
  }
  return counts;
}

const settledLine = /^holdfast_messages_processed_total\{queue="([^"]+)",type="[^"]*",outcome="(\w+)"\} (\d+)$/gm;

/**
 * The marks of the payloads that are dead letters of a queue, with how often each died: kept in the table, or still in the queue.
 * Waits for the expected ones for a while, because who keeps them may have them in hand.
 */
export async function takeDeadLetters(
  { database, attacker }: { database: Database; attacker: Attacker },
  queue: WorkQueue,
  expected: string[],
): Promise<Map<string, number>> {
  const inQueue: DeadLetter[] = [];
  const deadline = performance.now() + KEEPING_LIMIT_MS;
  for (;;) {
    const more = await attacker.drain(deadQueue(queue));
    inQueue.push(...more.map(({ headers }) => ({ headers, died: 1 })));
    const times = countedByMark([...inQueue, ...(await keptDeadLetters(database, queue))]);
    if (performance.now() > deadline || expected.every((mark) => times.has(mark))) return times;
    await delay(500);
  }
}

const KEEPING_LIMIT_MS = 20_000;

interface DeadLetter {
  headers: Record<string, unknown>;
  died: number;
}

function countedByMark(letters: DeadLetter[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const { headers, died } of letters) {
    const mark = String(headers['x-fuzz']);
    times.set(mark, (times.get(mark) ?? 0) + died);
  }
  return times;
}

async function keptDeadLetters(database: Database, queue: WorkQueue): Promise<DeadLetter[]> {
  const [table] = await database.$queryRaw<{ exists: boolean }[]>`
    SELECT to_regclass('operations.dead_letters') IS NOT NULL AS exists`;
  if (!table?.exists) return [];
  const rows = await database.$queryRaw<{ properties: string; times: number }[]>`
    SELECT properties::text AS properties, times_died AS times FROM operations.dead_letters WHERE queue = ${queue}`;
  return rows.map(({ properties, times }) => {
    const { headers = {} } = JSON.parse(properties) as { headers?: Record<string, unknown> };
    return { headers, died: times };
  });
}

/** Those of these orders that have not the reservation a processed message of the queue must leave. */
export async function unreserved(database: Database, queue: WorkQueue, orderIds: string[]): Promise<string[]> {
  const wanted = reservationAfter[queue];
  if (!wanted) return [];
  const rows = await database.$queryRaw<{ id: string }[]>`
    SELECT id FROM unnest(${orderIds}::text[]) AS wanted(id)
    WHERE NOT EXISTS (SELECT FROM inventory.reservations WHERE order_id = id AND status::text = ANY(${wanted}::text[]))`;
  return rows.map(({ id }) => id);
}

const reservationAfter: Partial<Record<WorkQueue, string[]>> = {
  [queues.orderCreated]: ['ACTIVE', 'REJECTED'],
  [queues.orderCancelled]: ['RELEASED'],
  [queues.orderFulfilled]: ['COMMITTED'],
};
