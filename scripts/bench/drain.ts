import { type Database } from '../../src/database';
import { refuseLoss, untilSettled } from './measure';
import { readLedger } from './ledger';
import { startMeter } from './meter';
import { orderRequest } from './points';
import { type Point, type Round, type Setting } from './round';
import { type Site } from './site';
import { type Stage } from './stage';

/** How fast a queue is worked off that filled while no inventory ran, by one worker and by two, all products alike and one hot. */
export function drainPoints(stage: Stage, site: Site): Point[] {
  const settings = (['uniform', 'hot'] as const).flatMap((product) =>
    [1, 2].map((workers): Setting => ({ product, lines: 1, workers })),
  );
  return settings.map((setting) => ({ family: 'drain', setting, run: () => drain(stage, site, setting) }));
}

const FILLERS = 8;
const BATCH = 100;

/** The pace is from when all workers are ready to the last decision: starting a process is no part of draining. */
async function drain(stage: Stage, site: Site, setting: Setting): Promise<Round> {
  await site.setInventory(0);
  const request = orderRequest(stage, site, 'drain', { ...setting, clients: FILLERS }, { warmUpMs: 0, measuredMs: 600_000 });
  const filled = stage.load.ask({ ...request, batch: BATCH, ordersMax: stage.command.backlog });
  const reply = await Promise.race([filled, site.untimelyEnd()]);
  await untilPublished(site);
  const meter = startMeter(site, {});
  await site.setInventory(setting.workers ?? 1);
  const decidedFromMs = Date.now();
  await untilSettled(site);
  const cpuMsPerOrder = meter.perOrder(reply.accepted);
  const ledger = await readLedger(site.watch, { tag: request.tag, ...reply, decidedFromMs });
  refuseLoss(site, request, reply, ledger);
  return {
    ordersPerSecond: ledger.decidedPerSecond,
    acceptedPerSecond: 0,
    orders: reply.accepted,
    refused: reply.refused,
    cpuMsPerOrder,
  };
}

/** The backlog is whole when every order waits in the queue, and none in the outbox any more. */
async function untilPublished(site: Site): Promise<void> {
  while (await Promise.race([isPublishing(site.watch), site.untimelyEnd()]))
    await new Promise((resolve) => setTimeout(resolve, 50));
}

async function isPublishing(watch: Database): Promise<boolean> {
  const [row] = await watch.$queryRaw<{ some: boolean }[]>`SELECT EXISTS (SELECT FROM orders.outbox) AS some`;
  return row!.some;
}
