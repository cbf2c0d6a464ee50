import { randomInt } from 'node:crypto';

import { queues } from '../../src/contracts';
import { type Broker } from '../../src/messaging';
import { connectRabbitmq } from '../../src/messaging/brokers/rabbitmq';
import { warm } from './alternate';
import { grouped } from '../simulate/progress';
import { underWay } from './ledger';
import { measureOrders } from './measure';
import { referenceClients } from './options';
import { highestRate, orderRequest, referencePoint } from './points';
import { ProcessTable, residentMiB, sharedOutMiB } from './procfs';
import { type Round } from './round';
import { type Site } from './site';
import { type Stage } from './stage';
import { trendOf, type Trend } from './trend';

export interface SoakResult {
  minutes: number;
  ordersPerSecond: number;
  round: Round;
  /** Of each thing that could grow. */
  trends: Trend[];
  samples: SampleCounts;
}

/** How often it was looked at what could grow: seldom looking finds nothing that grows. */
export interface SampleCounts {
  wanted: number;
  taken: number;
  /** Why the first of those that failed did. */
  fault?: string;
}

const SHARE = 0.8;
const SAMPLES = 240;

/** Orders at a pace that can be kept, for long, while everything that could grow is sampled. */
export async function soak(stage: Stage, site: Site, durationMs: number): Promise<SoakResult> {
  const clients = referenceClients(stage.command);
  await warm(stage, [referencePoint(stage, site)]);
  stage.progress.note('looking for the highest rate');
  const ordersPerSecond = Math.floor((await highestRate(stage, site)) * SHARE);
  const minutes = durationMs / 60_000;
  stage.progress.note(`soaking for ${minutes} minutes at ${grouped(ordersPerSecond)} orders/s`);
  const everyMs = Math.max(250, durationMs / SAMPLES);
  const sampling = await startSampling(site, everyMs);
  try {
    const request = orderRequest(
      stage,
      site,
      'soak',
      { product: 'uniform', lines: 1, clients },
      { warmUpMs: 0, measuredMs: durationMs },
    );
    const round = measureOrders(site, stage.load, { ...request, ordersPerSecond });
    // The samples are of the load alone: what comes after it is rest.
    setTimeout(() => sampling.end(), durationMs).unref();
    const result = { minutes, ordersPerSecond, round: await round, trends: sampling.trends(ordersPerSecond) };
    return { ...result, samples: { wanted: Math.floor(durationMs / everyMs), ...sampling.counts() } };
  } finally {
    sampling.end();
    await sampling.close();
  }
}

async function startSampling(site: Site, everyMs: number) {
  const random = () => randomInt(2 ** 32) / 2 ** 32;
  const broker = await connectRabbitmq({ url: site.brokerUrl!, random, connectionName: 'holdfast bench' });
  const samples: Sample[] = [];
  let fault: string | undefined;
  const startedAt = performance.now();
  const timer = setInterval(() => {
    void sampleOf(site, broker).then(
      (values) => samples.push({ atMs: performance.now() - startedAt, values }),
      (error: Error) => void (fault ??= error.message),
    );
  }, everyMs);
  return {
    end: () => clearInterval(timer),
    close: () => broker.close(),
    trends: (ordersPerSecond: number) => trendsOf(samples, ordersPerSecond),
    counts: () => ({ taken: samples.length, fault }),
  };
}

interface Sample {
  atMs: number;
  values: Record<string, number>;
}

async function sampleOf(site: Site, broker: Broker): Promise<Record<string, number>> {
  const parts = site.parts(new ProcessTable());
  const memory = Object.entries(parts).map(([part, pids]) => [
    `${part} MiB`,
    part === 'postgres' ? sharedOutMiB(pids) : Math.max(...pids.map(residentMiB)),
  ]);
  const depths = await Promise.all(Object.values(queues).map((queue) => broker.depth(queue)));
  const { pending, unpublished } = await underWay(site.watch);
  return {
    ...(Object.fromEntries(memory) as Record<string, number>),
    'database connections': await connectionsOf(site),
    'outbox rows': unpublished,
    'messages in queues': depths.reduce((sum, depth) => sum + (depth?.ready ?? 0), 0),
    'orders pending': pending,
  };
}

async function connectionsOf({ watch }: Site): Promise<number> {
  const [row] = await watch.$queryRaw<{ open: number }[]>`
    SELECT count(*)::int AS open FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'`;
  return row!.open;
}

/** A warm process may hold somewhat more; what waits may swing by a part of a second's orders. */
function trendsOf(samples: Sample[], ordersPerSecond: number): Trend[] {
  const names = Object.keys(samples[0]?.values ?? {});
  return names.map((name) => {
    const slack = name.endsWith('MiB') ? 16 : name === 'database connections' ? 2 : ordersPerSecond / 4;
    return trendOf(
      name,
      samples.map(({ atMs, values }) => ({ atMs, value: values[name]! })),
      slack,
    );
  });
}
