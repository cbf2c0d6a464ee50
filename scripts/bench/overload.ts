import { randomInt } from 'node:crypto';

import { queues } from '../../src/contracts';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { Ending, exitCodes } from '../exit';
import { grouped } from '../simulate/progress';
import { type Percentiles } from '../simulate/report';
import { readLedger } from './ledger';
import { refuseLoss, untilSettled } from './measure';
import { referenceClients } from './options';
import { orderRequest } from './points';
import { type Site } from './site';
import { type Stage } from './stage';
import { type LoadReply, type LoadRequest } from './workers/requests';

/** What came of more orders than anybody decides. */
export interface OverloadResult {
  /** Where BUSY was to begin. */
  mark: number;
  /** While no inventory ran, in the order they came. */
  steps: OverloadStep[];
  /** Orders that were taken before the first BUSY. */
  taken: number;
  /** From the return of inventory to the last decision, by the database's clock. */
  drainSeconds: number;
  /** Of the orders that were placed afterwards. */
  takenAfterwards: number;
}

export interface OverloadStep {
  taken: number;
  busy: number;
  /** Of what was taken. */
  answerMs?: Percentiles;
  /** Orders in the queue of inventory when the step was over. */
  waiting: number;
}

const STEPS = 12;
const AFTERWARDS = 200;

/**
 * Inventory is stopped, and orders come as fast as they are answered: the time of an answer must stay as it is, then BUSY begins at the
 * mark. Inventory returns, all that was taken is decided, and orders are taken again.
 */
export async function overload(stage: Stage, site: Site): Promise<OverloadResult> {
  const { overloadOrders = 0, mark } = stage.command;
  await site.setInventory(0);
  const depth = await queueDepth(site);
  const asked: Asked[] = [];
  const steps: OverloadStep[] = [];
  try {
    for (let sent = 0; sent < overloadOrders; sent += sizeOf(overloadOrders)) {
      stage.progress.note(`${grouped(sent)} of ${grouped(overloadOrders)} orders sent without an inventory`);
      const { request, reply } = await ask(stage, site, sizeOf(overloadOrders));
      asked.push({ request, reply });
      const { accepted: taken, refused: busy, answerMs } = reply;
      steps.push({ taken, busy, answerMs, waiting: await depth.now() });
    }
  } finally {
    await depth.close();
  }
  const taken = steps.reduce((sum, step) => sum + step.taken, 0);
  const drainSeconds = await drained(stage, site, asked);
  return { mark, steps, taken, drainSeconds, takenAfterwards: await afterwards(stage, site) };
}

interface Asked {
  request: LoadRequest;
  reply: LoadReply;
}

function sizeOf(orders: number): number {
  return Math.ceil(orders / STEPS);
}

/** Ends the bench when an order is refused for anything but that too many wait. */
async function ask(stage: Stage, site: Site, ordersMax: number): Promise<Asked> {
  const setting = { product: 'uniform', lines: 1, clients: referenceClients(stage.command) } as const;
  const times = { warmUpMs: 0, measuredMs: 600_000 };
  const request = { ...orderRequest(stage, site, 'overload', setting, times), ordersMax, mayBeRefused: true };
  const reply = await Promise.race([stage.load.ask(request), site.untimelyEnd()]);
  if (reply.refused > 0 && !reply.refusal?.includes('"BUSY"'))
    throw new Ending(exitCodes.broken, `an order was refused, and not as BUSY: ${reply.refusal}`);
  return { request, reply };
}

async function drained(stage: Stage, site: Site, asked: Asked[]): Promise<number> {
  stage.progress.note('inventory returns');
  await site.setInventory(Math.max(1, stage.command.roles.inventory));
  const returnedAtMs = Date.now();
  await untilSettled(site);
  let lastDecidedAtMs = returnedAtMs;
  for (const { request, reply } of asked.filter(({ reply: { accepted } }) => accepted > 0)) {
    const ledger = await readLedger(site.watch, { tag: request.tag, ...reply });
    refuseLoss(site, request, reply, ledger);
    lastDecidedAtMs = Math.max(lastDecidedAtMs, ledger.lastDecidedAtMs);
  }
  return (lastDecidedAtMs - returnedAtMs) / 1_000;
}

/** The door opens with its next look, so it is knocked at until then. */
async function afterwards(stage: Stage, site: Site): Promise<number> {
  for (const deadline = performance.now() + REOPENED_LIMIT_MS; ; ) {
    const { reply } = await ask(stage, site, AFTERWARDS);
    if (reply.refused === 0 || performance.now() > deadline) {
      await untilSettled(site);
      return reply.accepted;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

const REOPENED_LIMIT_MS = 10_000;

async function queueDepth(site: Site) {
  const random = () => randomInt(2 ** 32) / 2 ** 32;
  const broker = await connectRabbitmq({ url: site.brokerUrl!, random, connectionName: 'holdfast bench' });
  return { now: async () => (await broker.depth(queues.orderCreated))?.ready ?? 0, close: () => broker.close() };
}

/** What of it was not as it should be, sentence by sentence. */
export function overloadFaults({ mark, steps, taken, takenAfterwards }: OverloadResult): string[] {
  const first = steps.find(({ busy }) => busy > 0);
  const faults: string[] = [];
  if (first === undefined)
    faults.push(`BUSY never began, though ${grouped(taken)} orders were taken with a mark of ${grouped(mark)}`);
  if (first !== undefined && taken < mark)
    faults.push(`BUSY began at ${grouped(taken)} orders, before the mark of ${grouped(mark)}`);
  if (takenAfterwards === 0) faults.push('no order was taken when all had drained');
  return faults;
}
