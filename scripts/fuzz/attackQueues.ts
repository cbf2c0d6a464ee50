import { setTimeout as delay } from 'node:timers/promises';

import { queues } from '../../src/contracts';
import { type Database } from '../../src/database';
import { retryTiers } from '../../src/messaging/brokers/rabbitmqQueues';
import { settledCounts, takeDeadLetters, unreserved, type SettledCounts } from './fates';
import { hugePayload, orderBefore, payload, workQueues, type Payload, type PayloadOptions, type WorkQueue } from './payloads';
import { openAttacker, type Attacker } from './publish';
import { type Violation } from './violation';

export interface QueueAttack extends PayloadOptions {
  brokerUrl: string;
  database: Database;
  /** The metrics pages of all processes that consume. */
  metrics: () => Promise<string[]>;
  /** How many for each queue. */
  payloads: number;
  /** How many more of 16 MiB for each queue. */
  huge: number;
  /** How long nothing at all may happen before what is left counts as stuck. */
  stuckAfterMs: number;
  signal: AbortSignal;
  onProgress: (settled: number, sent: number) => void;
}

export interface QueueOutcome {
  queues: Record<WorkQueue, { sent: number; processed: number; dead: number }>;
  violations: Violation[];
  seconds: number;
}

/**
 * Publishes straight into every work queue, past all exchanges, as somebody with access to the broker might. Then every message
 * must be accounted for: good ones processed, bad ones dead letters once each, and none in between.
 */
export async function attackQueues(attack: QueueAttack): Promise<QueueOutcome> {
  const startedAt = performance.now();
  const attacker = await openAttacker(attack.brokerUrl);
  try {
    await reserveBefore(attack, attacker);
    const before = await settledCounts(attack.metrics);
    const sent = await publishAll(attack, attacker);
    const stuck = await untilSettled(attack, attacker, before, sent);
    const outcome = await account(attack, attacker, before, sent);
    return { ...outcome, violations: [...stuck, ...outcome.violations], seconds: (performance.now() - startedAt) / 1_000 };
  } finally {
    await attacker.close();
  }
}

/** How many publications may be unconfirmed at a time. */
const WINDOW = 100;
const LOOK_EVERY_MS = 250;

/** Only what is reserved can leave the house: good payloads of order.fulfilled need an order before them. */
async function reserveBefore({ payloads, signal, ...options }: QueueAttack, attacker: Attacker): Promise<void> {
  let orders = 0;
  const before = await settledCounts(options.metrics);
  for (let from = 0; from < payloads && !signal.aborted; from += WINDOW) {
    const numbers = Array.from({ length: Math.min(WINDOW, payloads - from) }, (_, index) => from + index);
    const good = numbers.map((number) => payload(queues.orderFulfilled, number, options)).filter(({ fate }) => fate !== 'dead');
    orders += good.length;
    await Promise.all(good.map((one) => attacker.publish(queues.orderCreated, orderBefore(one, options.known), {})));
  }
  const isReserved = async () => {
    const now = await settledCounts(options.metrics);
    return [queues.orderCreated, queues.stockReplies].every((queue) => now[queue].processed - before[queue].processed >= orders);
  };
  while (!signal.aborted && !(await isReserved())) await delay(LOOK_EVERY_MS);
}

/** A payload that is under way; its body is made again when somebody asks for it. */
type Sent = Omit<Payload, 'body' | 'options'>;

async function publishAll(attack: QueueAttack, attacker: Attacker): Promise<Sent[]> {
  const sent: Sent[] = [];
  const publish = async ({ body, options, ...one }: Payload) => {
    if (await attacker.publish(one.queue, body, options)) sent.push(one);
  };
  const step = Math.floor(WINDOW / workQueues.length);
  for (let from = 0; from < attack.payloads && !attack.signal.aborted; from += step) {
    const numbers = Array.from({ length: Math.min(step, attack.payloads - from) }, (_, i) => from + i);
    await Promise.all(numbers.flatMap((number) => workQueues.map((queue) => publish(payload(queue, number, attack)))));
    attack.onProgress(0, sent.length);
  }
  for (let number = attack.payloads; number < attack.payloads + attack.huge; number++)
    for (const queue of workQueues) await publish(hugePayload(queue, number, attack));
  return sent;
}

/** Waits until nothing waits and nothing more is being settled; says what is stuck when that does not come. */
async function untilSettled(attack: QueueAttack, attacker: Attacker, before: SettledCounts, sent: Sent[]): Promise<Violation[]> {
  let lastSum = -1;
  let lastChangeAt = performance.now();
  while (!attack.signal.aborted) {
    const now = await settledCounts(attack.metrics);
    const sum = workQueues.reduce((total, queue) => total + settledOf(now, queue) - settledOf(before, queue), 0);
    attack.onProgress(settledOfSent(now, before, sent), sent.length);
    const waiting = await waitingMessages(attacker);
    if (sum !== lastSum) [lastSum, lastChangeAt] = [sum, performance.now()];
    const quietMs = performance.now() - lastChangeAt;
    if (waiting === 0 && quietMs > 8 * LOOK_EVERY_MS) return [];
    if (quietMs > attack.stuckAfterMs)
      return [{ what: `${waiting} messages wait, and nobody settles them`, where: 'queues', sample: '' }];
    await delay(LOOK_EVERY_MS);
  }
  return [];
}

/** Of what was sent; replies that follow from it are settled in the same queues, and are not what a bar should count. */
function settledOfSent(now: SettledCounts, before: SettledCounts, sent: Sent[]): number {
  const settled = workQueues.map((queue) => {
    const ofQueue = sent.filter((one) => one.queue === queue).length;
    return Math.min(ofQueue, settledOf(now, queue) - settledOf(before, queue));
  });
  return settled.reduce((sum, count) => sum + count, 0);
}

function settledOf(counts: SettledCounts, queue: WorkQueue): number {
  return counts[queue].processed + counts[queue].dead;
}

async function waitingMessages(attacker: Attacker): Promise<number> {
  let sum = 0;
  for (const queue of workQueues) {
    for (const name of [queue, ...retryTiers.map((tier) => `${queue}.retry.${tier.name}`)]) sum += await attacker.depth(name);
  }
  return sum;
}

/** Holds what was sent against what became of it. */
async function account(
  attack: QueueAttack,
  attacker: Attacker,
  before: SettledCounts,
  sent: Sent[],
): Promise<Omit<QueueOutcome, 'seconds'>> {
  const after = await settledCounts(attack.metrics);
  const violations: Violation[] = [];
  const counts = {} as QueueOutcome['queues'];
  for (const queue of workQueues) {
    const ours = sent.filter((one) => one.queue === queue);
    const bad = ours.filter((one) => one.fate === 'dead').map(({ mark }) => mark);
    const dead = await takeDeadLetters({ database: attack.database, attacker }, queue, bad);
    const processedOf = (one: WorkQueue) => after[one].processed - before[one].processed;
    const answers = (answeredBy[queue] ?? []).reduce((sum, asked) => sum + processedOf(asked), 0);
    const processed = processedOf(queue) - answers;
    const complain = (what: string, one?: Sent) => violations.push(violationOf(what, queue, attack, one));
    for (const one of ours) {
      const times = dead.get(one.mark) ?? 0;
      if (times > 1) complain(`${times} dead letters of one message`, one);
      if (one.fate === 'processed' && times > 0) complain('good, and a dead letter', one);
      if (one.fate === 'dead' && times === 0) complain('bad, and no dead letter', one);
    }
    const deadCount = ours.filter((one) => dead.has(one.mark)).length;
    if (processed + deadCount < ours.length)
      complain(`${ours.length} sent, but ${processed} processed and ${deadCount} dead: some are gone`);
    const missing = await unreserved(
      attack.database,
      queue,
      ours.filter((one) => one.fate === 'processed').map(({ orderId }) => orderId),
    );
    for (const orderId of missing)
      complain(
        'processed without its effect',
        ours.find((one) => one.orderId === orderId),
      );
    counts[queue] = { sent: ours.length, processed: ours.length - deadCount, dead: deadCount };
  }
  return { queues: counts, violations };
}

/** Each message of these queues is answered by one more in the other. */
const answeredBy: Partial<Record<WorkQueue, WorkQueue[]>> = {
  [queues.stockReplies]: [queues.orderCreated, queues.amendReservation],
  [queues.paymentReplies]: [queues.orderReserved, queues.paymentClosings, queues.paymentCommands],
};

function violationOf(what: string, queue: WorkQueue, attack: QueueAttack, one?: Sent): Violation {
  if (!one) return { what, where: queue, sample: '' };
  const { name, body, options } =
    one.number < attack.payloads ? payload(queue, one.number, attack) : hugePayload(queue, one.number, attack);
  const sample = `${body.toString().slice(0, 500)}\n      with ${JSON.stringify(options).slice(0, 500)}`;
  return { what, where: `${queue} ${one.number}: ${name}`, sample };
}
