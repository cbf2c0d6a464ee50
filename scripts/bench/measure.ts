import { Ending, exitCodes } from '../exit';
import { isUnderWay, readLedger, underWay, type Ledger } from './ledger';
import { startMeter } from './meter';
import { type Worker } from './processes';
import { type Round } from './round';
import { type Site } from './site';
import { type LoadReply, type LoadRequest, type OrderShape } from './workers/requests';

export type LoadWorker = Worker<LoadRequest, LoadReply>;

/** Sends one round of orders to a site, waits until every one is final, and reads what became of them. */
export async function measureOrders(site: Site, load: LoadWorker, request: LoadRequest): Promise<Round> {
  const meter = startMeter(site, { generator: load.pid });
  const reply = await Promise.race([load.ask(request), site.untimelyEnd()]);
  await untilSettled(site);
  const cpuMsPerOrder = meter.stop().perOrder(reply.accepted);
  site.notePeaks();
  const ledger = await readLedger(site.watch, { tag: request.tag, ...reply });
  refuseLoss(site, request, reply, ledger);
  const { acceptedPerSecond, accepted: orders, refused, broken, refusal, answerMs } = reply;
  const { settledPerSecond: ordersPerSecond, decisionMs } = ledger;
  return { ordersPerSecond, acceptedPerSecond, orders, refused, broken, refusal, answerMs, decisionMs, cpuMsPerOrder };
}

/**
 * No order waits, and no event. The longer that takes, the more seldom it is asked: what is noticed late is a twentieth of the time at
 * most, and idle processors only, since every pace is of the times that stand in the ledger.
 */
export async function untilSettled(site: Site): Promise<void> {
  const startedAt = performance.now();
  while (await Promise.race([isUnderWay(site.watch), site.untimelyEnd()])) {
    const waitedMs = performance.now() - startedAt;
    if (waitedMs > SETTLED_LIMIT_MS) throw await unsettled(site);
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(50, waitedMs / 20), 500)));
  }
}

const SETTLED_LIMIT_MS = 300_000;

async function unsettled({ name, watch }: Site): Promise<Error> {
  const { pending, unpublished } = await underWay(watch);
  const limit = `${SETTLED_LIMIT_MS / 1_000} s`;
  return new Error(`${name}: ${pending} orders are PENDING and ${unpublished} events unpublished after ${limit}.`);
}

/** What was accepted is stored, and confirmed, since nothing is ever short: the audit alone would not miss an order without a row. */
export function refuseLoss(site: Site, { tag }: LoadRequest, { accepted }: LoadReply, { stored, confirmed }: Ledger): void {
  if (stored >= accepted && confirmed === stored) return;
  const counts = `${accepted} orders were accepted, ${stored} are stored and ${confirmed} confirmed`;
  throw new Ending(exitCodes.broken, `a promise is broken: on ${site.name}, in round ${tag}, ${counts}.`);
}

/** What orders are of, as a round is told. */
export function shapeOf({ products }: Pick<Site, 'products'>, lines: number, isHot: boolean, seed: number): OrderShape {
  return { lines, productIds: products.uniform, hotProductId: isHot ? products.hot : undefined, seed };
}
