import { type AuditScope } from '../audit';
import { openDatabase } from '../../src/database';
import { measureOrders, shapeOf, untilSettled } from './measure';
import { startMeter } from './meter';
import { referenceClients, type BenchCommand } from './options';
import { startWorker } from './processes';
import { addProducts } from './products';
import { median, pointsLike, type Family, type Point, type Round, type Setting } from './round';
import { makeDatabase } from './servers';
import { type Site } from './site';
import { type Stage } from './stage';
import {
  type CeilingReply,
  type CeilingRequest,
  type FloorReply,
  type FloorRequest,
  type IntakeReply,
  type IntakeRequest,
  type LoadRequest,
} from './workers/requests';

/** What Apollo Server alone does with the same requests. */
export async function ceilingPoints(stage: Stage): Promise<Point[]> {
  const { command, load, undo, tag } = stage;
  const server = startWorker<CeilingRequest, CeilingReply>('ceiling', stage);
  undo.add(() => server.end('SIGKILL'));
  const { url } = await server.ask({});
  const shape = { lines: 1, productIds: [1], seed: command.seed };
  return command.clients.map((clients) => ({
    family: 'ceiling',
    setting: { clients },
    async run() {
      const meter = startMeter({ parts: () => ({ ceiling: [server.pid] }) }, { generator: load.pid });
      const asked = load.ask({ ...timesOf(command), ...shape, urls: [url], clients, batch: 1, tag: tag('ceiling') });
      const reply = await Promise.race([asked, server.untimelyEnd]);
      const { accepted: orders, acceptedPerSecond, refused, broken, refusal, answerMs } = reply;
      const cpuMsPerOrder = meter.stop().perOrder(orders);
      const rates = { ordersPerSecond: acceptedPerSecond, acceptedPerSecond };
      return { ...rates, orders, refused, broken, refusal, answerMs, cpuMsPerOrder };
    },
  }));
}

/** The same rows by hand; the server lets in a hundred connections, some of which are Holdfast's. */
export async function floorPoints(stage: Stage): Promise<Point[]> {
  const { command, servers, undo, tag } = stage;
  const url = await makeDatabase(servers, 'floor');
  const database = openDatabase({ url, poolSize: 1, applicationName: 'holdfast bench' });
  undo.add(() => database.close());
  const products = await addProducts(database);
  const worker = startWorker<FloorRequest, FloorReply>('floor', stage);
  undo.add(() => worker.end('SIGKILL'));
  const clients = Math.min(referenceClients(command), FLOOR_CONNECTIONS_MAX);
  return (['uniform', 'hot'] as const).map((product) => ({
    family: 'floor',
    setting: { product, lines: 1, clients },
    async run() {
      const meter = startMeter({ parts: (table) => ({ postgres: table.tree(servers.postgres.pid) }) }, { writer: worker.pid });
      const shape = shapeOf({ products }, 1, product === 'hot', command.seed);
      const reply = await worker.ask({ ...timesOf(command), ...shape, databaseUrl: url, clients, tag: tag('floor') });
      const { orders, ordersPerSecond, answerMs } = reply;
      const cpuMsPerOrder = meter.stop().perOrder(orders);
      await database.$executeRaw`TRUNCATE orders.outbox, inventory.outbox`;
      const rates = { ordersPerSecond, acceptedPerSecond: ordersPerSecond };
      return { ...rates, orders, refused: 0, broken: 0, answerMs, cpuMsPerOrder };
    },
  }));
}

const FLOOR_CONNECTIONS_MAX = 60;

/** Orders over GraphQL until each is final: every product alike and one hot, short and long, few clients and many. */
export function endToEndPoints(stage: Stage, site: Site): Point[] {
  const { clients } = stage.command;
  const settings = (['uniform', 'hot'] as const).flatMap((product) =>
    [1, 5].flatMap((lines) => clients.map((count): Setting => ({ product, lines, clients: count }))),
  );
  return settings.map((setting) => orderPoint(stage, site, 'e2e', setting));
}

/** The same over one process, at the number of clients that ratios are taken at. */
export function embeddedPoints(stage: Stage, site: Site): Point[] {
  const clients = referenceClients(stage.command);
  const settings = (['uniform', 'hot'] as const).flatMap((product) =>
    [1, 5].map((lines): Setting => ({ product, lines, clients })),
  );
  return settings.map((setting) => orderPoint(stage, site, 'embedded', setting));
}

/** Single-line orders end to end, at the number of clients that ratios are taken at. */
export function referencePoint(stage: Stage, site: Site): Point {
  return orderPoint(stage, site, 'e2e', { product: 'uniform', lines: 1, clients: referenceClients(stage.command) });
}

export function orderPoint(stage: Stage, site: Site, family: Family, setting: Setting): Point {
  const { command, load } = stage;
  return { family, setting, run: () => measureOrders(site, load, orderRequest(stage, site, family, setting, timesOf(command))) };
}

/** Half of what it can do, whether or not answers come: what latency is like when nothing is at its limit. */
export function pacedPoint(stage: Stage, site: Site): Point {
  const clients = referenceClients(stage.command);
  const setting: Setting = { product: 'uniform', lines: 1, clients };
  return {
    family: 'paced',
    setting,
    async run() {
      const ordersPerSecond = (await highestRate(stage, site)) / 2;
      const request = orderRequest(stage, site, 'paced', setting, timesOf(stage.command));
      return measureOrders(site, stage.load, { ...request, ordersPerSecond });
    },
  };
}

/** Of single-line orders, by the latest rounds; measured now when there are none. */
export async function highestRate(stage: Stage, site: Site): Promise<number> {
  const measured = pointsLike(stage.measured, 'e2e', { product: 'uniform', lines: 1 });
  const rates = measured.flatMap(({ rounds }) => rounds.at(-1)?.ordersPerSecond ?? []);
  if (rates.length > 0) return Math.max(...rates);
  const rounds: Round[] = [];
  for (let round = 0; round < stage.command.rounds; round++) rounds.push(await referencePoint(stage, site).run());
  return median(rounds.map(({ ordersPerSecond }) => ordersPerSecond));
}

const BULK_CLIENTS = 8;
const BULK_BATCH = 100;

export function bulkPoint(stage: Stage, site: Site): Point {
  const setting: Setting = { product: 'uniform', lines: 1, clients: BULK_CLIENTS };
  const run = () => {
    const request = orderRequest(stage, site, 'bulk', setting, timesOf(stage.command));
    return measureOrders(site, stage.load, { ...request, batch: BULK_BATCH });
  };
  return { family: 'bulk', setting, run };
}

/** Messages of another order service, each answered before the next of its client. */
export function intakePoint(stage: Stage, site: Site, foreign: AuditScope['foreign']): Point {
  const { command, undo, tag } = stage;
  const clients = Math.max(...command.clients);
  const worker = startWorker<IntakeRequest, IntakeReply>('intake', stage);
  undo.add(() => worker.end('SIGKILL'));
  const run = async (): Promise<Round> => {
    const meter = startMeter(site, { generator: worker.pid });
    const shape = shapeOf(site, 1, false, command.seed);
    const asked = worker.ask({ ...timesOf(command), ...shape, brokerUrl: site.brokerUrl!, clients, tag: tag('intake') });
    const reply = await Promise.race([asked, site.untimelyEnd()]);
    await untilSettled(site);
    const cpuMsPerOrder = meter.stop().perOrder(reply.orders);
    site.notePeaks();
    foreign.push(...reply.foreign);
    const { orders, ordersPerSecond, refused, broken, answerMs } = reply;
    return { ordersPerSecond, acceptedPerSecond: ordersPerSecond, orders, refused, broken, answerMs, cpuMsPerOrder };
  };
  return { family: 'intake', setting: { product: 'uniform', lines: 1, clients }, run };
}

export function orderRequest(
  { command, tag }: Stage,
  site: Site,
  word: string,
  { product, lines = 1, clients = 1 }: Setting,
  times: Pick<LoadRequest, 'warmUpMs' | 'measuredMs'>,
): LoadRequest {
  const shape = shapeOf(site, lines, product === 'hot', command.seed);
  const { gatewayUrls: urls, authorization } = site;
  return { ...shape, ...times, urls, authorization, clients, batch: 1, tag: tag(word) };
}

export function timesOf({ warmUpSeconds, seconds }: Pick<BenchCommand, 'warmUpSeconds' | 'seconds'>) {
  return { warmUpMs: warmUpSeconds * 1_000, measuredMs: seconds * 1_000 };
}
