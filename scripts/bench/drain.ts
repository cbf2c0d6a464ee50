import { type Database } from '../../src/database';
import { grouped } from '../simulate/progress';
import { refuseLoss, untilSettled } from './measure';
import { readLedger, underWay } from './ledger';
import { startMeter } from './meter';
import { orderRequest } from './points';
import { type Point, type Round, type Setting } from './round';
import { type Site } from './site';
import { type Stage } from './stage';
import { type LoadReply, type LoadRequest } from './workers/requests';

/** How fast a queue is worked off that filled while no inventory ran, by one worker and by two, all products alike and one hot. */
export function drainPoints(stage: Stage, site: Site): Point[] {
  const settings = (['uniform', 'hot'] as const).flatMap((product) =>
    [1, 2].map((workers): Setting => ({ product, lines: 1, workers })),
  );
  return settings.map((setting) => ({ family: 'drain', setting, run: () => drain(stage, site, setting) }));
}

/**
 * Pace and processor time are from when all workers are ready to the last decision: starting a process is no part of draining. That
 * its code is compiled meanwhile is, as wherever a worker is started because a queue has grown.
 */
async function drain(stage: Stage, site: Site, setting: Setting): Promise<Round> {
  await site.setInventory(0);
  const { request, reply } = await fill(stage, site, setting);
  await site.setInventory(setting.workers ?? 1);
  const meter = startMeter(site, {});
  const decidedFromMs = Date.now();
  await untilSettled(site);
  const spent = meter.stop();
  site.notePeaks();
  const ledger = await readLedger(site.watch, { tag: request.tag, ...reply, decidedFromMs });
  refuseLoss(site, request, reply, ledger);
  const { accepted: orders, refused, broken, refusal } = reply;
  const { decidedPerSecond: ordersPerSecond, decided } = ledger;
  return { ordersPerSecond, acceptedPerSecond: 0, orders, refused, broken, refusal, cpuMsPerOrder: spent.perOrder(decided) };
}

const FILLERS = 8;
const BATCH = 100;
const FILL_LIMIT_MS = 600_000;

/** The backlog is whole when every order waits in the queue, and none in the outbox any more. */
async function fill(stage: Stage, site: Site, setting: Setting): Promise<{ request: LoadRequest; reply: LoadReply }> {
  const { backlog } = stage.command;
  const times = { warmUpMs: 0, measuredMs: FILL_LIMIT_MS };
  const order = orderRequest(stage, site, 'drain', { ...setting, clients: FILLERS }, times);
  const request = { ...order, batch: BATCH, ordersMax: backlog };
  const reply = await Promise.race([stage.load.ask(request), site.untimelyEnd()]);
  await untilPublished(site);
  const { pending } = await underWay(site.watch);
  if (pending !== reply.accepted || pending < backlog) throw incomplete(site, { backlog, pending, reply });
  return { request, reply };
}

function incomplete({ name }: Site, { backlog, pending, reply }: { backlog: number; pending: number; reply: LoadReply }): Error {
  const { accepted, refused, broken, refusal = 'nothing was refused' } = reply;
  const counts = `${grouped(accepted)} were accepted, ${grouped(refused)} refused and ${grouped(broken)} not answered (${refusal})`;
  return new Error(`${name}: a drain of ${grouped(backlog)} orders cannot begin, since ${grouped(pending)} wait: ${counts}.`);
}

async function untilPublished(site: Site): Promise<void> {
  const deadline = performance.now() + PUBLISHED_LIMIT_MS;
  while (await Promise.race([isPublishing(site.watch), site.untimelyEnd()])) {
    if (performance.now() > deadline)
      throw new Error(`${site.name}: the backlog is not all in its queue ${PUBLISHED_LIMIT_MS / 1_000} s after the last order.`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const PUBLISHED_LIMIT_MS = 120_000;

async function isPublishing(watch: Database): Promise<boolean> {
  const [row] = await watch.$queryRaw<{ some: boolean }[]>`SELECT EXISTS (SELECT FROM orders.outbox) AS some`;
  return row!.some;
}
