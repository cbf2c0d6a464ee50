import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type AuditScope } from '../audit';
import { createUndo } from '../../src/undo';
import { alternate, warm } from './alternate';
import { drainPoints } from './drain';
import { growthHosts, openGrowth } from './growth';
import { inspect, type Inspection } from './inspect';
import { abortion, refuseToGoOn } from './interruption';
import { describeMachine, type Machine } from './machine';
import { type LoadWorker } from './measure';
import { type BenchCommand } from './options';
import {
  bulkPoint,
  ceilingPoints,
  embeddedPoints,
  endToEndPoints,
  floorPoints,
  intakePoint,
  pacedPoint,
  referencePoint,
} from './points';
import { startWorker } from './processes';
import { type BenchProgress } from './progress';
import { firstOfEach, type Family, type Measured, type Point } from './round';
import { startServers } from './servers';
import { openDistributed, openEmbedded, type Site } from './site';
import { overload, type OverloadResult } from './overload';
import { soak, type SoakResult } from './soak';
import { type Stage } from './stage';
import { type LoadReply, type LoadRequest } from './workers/requests';

export interface BenchRun {
  machine: Machine;
  measured: Measured[];
  inspections: Inspection[];
  soak?: SoakResult;
  overload?: OverloadResult;
}

/** Starts everything, measures, audits, and leaves nothing. */
export async function runBench(command: BenchCommand, signal: AbortSignal, progress: BenchProgress): Promise<BenchRun> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const undo = createUndo();
  undo.add(() => Promise.resolve(rmSync(folder, { recursive: true, force: true, maxRetries: 5 })));
  try {
    const stage = await openStage({ command, signal, progress, folder, undo });
    const machine = await describeMachine(stage.servers);
    if (command.soakMinutes !== undefined) return { machine, measured: stage.measured, ...(await soakAlone(stage)) };
    if (command.overloadOrders !== undefined) return { machine, measured: stage.measured, ...(await overloadAlone(stage)) };
    const inspections = [...(await measureMain(stage)), ...(await measureGrowth(stage))];
    return { machine, measured: stage.measured, inspections };
  } catch (error) {
    // What breaks because everything is being ended is no fault of its own.
    refuseToGoOn(signal);
    throw error;
  } finally {
    await undo.run();
  }
}

async function openStage(given: Pick<Stage, 'command' | 'signal' | 'progress' | 'folder' | 'undo'>): Promise<Stage> {
  const { command, folder, undo, signal, progress } = given;
  const aborted = abortion(signal);
  progress.note('starting Postgres and RabbitMQ');
  const hosts = command.only.includes('growth') ? growthHosts(command.growth) : [];
  const servers = await startServers(folder, hosts, undo);
  const load: LoadWorker = startWorker<LoadRequest, LoadReply>('load', { folder, aborted });
  undo.add(() => load.end('SIGKILL'));
  let rounds = 0;
  return { ...given, aborted, servers, load, measured: [], tag: (family) => `${family}-${++rounds}` };
}

/** Everything that can take turns on the same servers, then the drains, which need them for themselves. */
async function measureMain(stage: Stage): Promise<Inspection[]> {
  const { command } = stage;
  const foreign: AuditScope['foreign'] = [];
  const inspections: Inspection[] = [];
  const main = wants(command, 'e2e', 'paced', 'bulk', 'intake', 'drain') ? await openMain(stage) : undefined;
  const embedded = wants(command, 'embedded')
    ? await openEmbedded({ ...stage, folder: join(stage.folder, 'embedded') })
    : undefined;
  const points = await pointsInTurn(stage, { main, embedded, foreign });
  await warm(stage, firstOfEach(points, ['ceiling', 'floor']));
  // Whatever is measured of the roles, and be it a drain alone, they take these orders first.
  if (main) await warm(stage, [referencePoint(stage, main)]);
  await warm(stage, firstOfEach(points, ['bulk', 'intake', 'embedded']));
  await alternate(stage, points, command.rounds);
  if (embedded) inspections.push(await inspect(stage, embedded));
  if (main && wants(command, 'drain'))
    await alternate(stage, drainPoints(stage, main), Math.min(command.rounds, DRAIN_ROUNDS_MAX));
  if (main) inspections.push(await inspect(stage, main, foreign));
  return inspections;
}

/** Filling a queue takes as long as working it off. */
const DRAIN_ROUNDS_MAX = 2;

interface Sites {
  main?: Site;
  embedded?: Site;
  foreign: AuditScope['foreign'];
}

async function pointsInTurn(stage: Stage, { main, embedded, foreign }: Sites): Promise<Point[]> {
  const points: Point[] = [];
  if (wants(stage.command, 'ceiling')) points.push(...(await ceilingPoints(stage)));
  if (wants(stage.command, 'floor')) points.push(...(await floorPoints(stage)));
  if (main && wants(stage.command, 'e2e')) points.push(...endToEndPoints(stage, main));
  if (main && wants(stage.command, 'paced')) points.push(pacedPoint(stage, main));
  if (main && wants(stage.command, 'bulk')) points.push(bulkPoint(stage, main));
  if (main && wants(stage.command, 'intake')) points.push(intakePoint(stage, main, foreign));
  if (embedded) points.push(...embeddedPoints(stage, embedded));
  return points;
}

function wants({ only }: BenchCommand, ...some: Family[]): boolean {
  return some.some((family) => only.includes(family));
}

function openMain({ servers, command, undo, aborted }: Stage, settings?: Record<string, string>): Promise<Site> {
  const given = { roles: command.roles, settings, undo, aborted };
  return openDistributed(servers, { name: 'distributed', connectionsMax: CONNECTIONS_MAX, ...given });
}

/** What the floor leaves of the hundred connections that the server lets in. */
const CONNECTIONS_MAX = 34;

async function measureGrowth(stage: Stage): Promise<Inspection[]> {
  if (!stage.command.only.includes('growth')) return [];
  const { sites, points } = await openGrowth(stage);
  await warm(stage, points);
  await alternate(stage, points, stage.command.rounds);
  const inspections: Inspection[] = [];
  for (const site of sites) inspections.push(await inspect(stage, site));
  return inspections;
}

async function soakAlone(stage: Stage): Promise<{ soak: SoakResult; inspections: Inspection[] }> {
  const site = await openMain(stage);
  const result = await soak(stage, site, stage.command.soakMinutes! * 60_000);
  return { soak: result, inspections: [await inspect(stage, site)] };
}

async function overloadAlone(stage: Stage): Promise<{ overload: OverloadResult; inspections: Inspection[] }> {
  const site = await openMain(stage, { BACKLOG_MAX: String(stage.command.mark) });
  const result = await overload(stage, site);
  return { overload: result, inspections: [await inspect(stage, site)] };
}
