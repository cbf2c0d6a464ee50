import { failpoints, type FailpointName } from '../src/faults';
import { startClusterBroker } from './chaos/cluster';
import { drainHead, drainLine, runDrain } from './chaos/drain';
import { killPointTable, runKillPoints } from './chaos/killPoints';
import { readOptions, usage, type ChaosCommand } from './chaos/options';
import { plantedHead, plantedLine, runPlanted } from './chaos/planted';
import { closing, head, row, summaryOf } from './chaos/report';
import { runChaos, type ChaosOptions, type ChaosResult } from './chaos/run';
import { exitCodes, runScript, usageFault } from './exit';

/**
 * `npm run chaos`: attacks a whole Holdfast of its own, and says what became of its promises. Every figure of the verdict is SQL
 * on the database, held against a journal that the clients kept on disk and a record of all that a subscriber heard.
 */
async function main(): Promise<number> {
  const command = readOptions(process.argv.slice(2));
  if (!command) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  const signal = abortOnSignal();
  const hasPassed = await attacks[command.mode](command, signal);
  if (signal.aborted) return exitCodes.interrupted;
  return hasPassed ? exitCodes.passed : exitCodes.broken;
}

/** Each prints what it found, and resolves to whether every promise held. */
const attacks: Record<ChaosCommand['mode'], (command: ChaosCommand, signal: AbortSignal) => Promise<boolean>> = {
  storm: (command, signal) => storm(command, signal, {}),
  cluster: (command, signal) => storm(command, signal, { broker: startClusterBroker }),
  'kill-points': killPoints,
  drain,
  planted,
};

async function storm(command: ChaosCommand, signal: AbortSignal, more: Partial<ChaosOptions>): Promise<boolean> {
  const { json, seeds } = command;
  const results: ChaosResult[] = [];
  const say = sayerFor(json);
  say(head());
  for (const seed of seeds) {
    if (signal.aborted) return false;
    results.push(await runChaos({ ...command, ...more, seed, signal }));
    say(row(results.at(-1)!));
  }
  const summary = summaryOf(results);
  conclude(json, summary, closing(summary));
  return summary.verdict === 'PASS';
}

async function killPoints(command: ChaosCommand, signal: AbortSignal): Promise<boolean> {
  const { kills, embedded, json, seeds } = command;
  const action = command.stop ? 'stop' : 'kill9';
  const points = command.point === undefined ? undefined : [pointNamed(command.point)];
  const report = await runKillPoints({ kills, embedded, points, action, signal, seed: seeds[0]!, say: toStderr });
  conclude(json, report, `${killPointTable(report)}\n\n${report.verdict}: ${report.kills} kills in ${report.seconds} s`);
  return report.verdict === 'PASS';
}

async function drain({ orders, seeds, json }: ChaosCommand, signal: AbortSignal): Promise<boolean> {
  const say = sayerFor(json);
  const results = [];
  say(drainHead());
  for (const inventory of [1, 4]) {
    const result = await runDrain({ orders, inventory, seed: seeds[0]!, signal });
    results.push(result);
    say(drainLine(result));
  }
  conclude(json, results, '');
  return results.every(({ verdict }) => verdict === 'PASS');
}

async function planted({ bug, json }: ChaosCommand, signal: AbortSignal): Promise<boolean> {
  const say = sayerFor(json);
  say(plantedHead());
  const rows = await runPlanted({ bug, signal, onRow: (row) => say(plantedLine(row)) });
  const caught = rows.filter((row) => row.caught).length;
  conclude(json, rows, `caught ${caught}/${rows.length}`);
  return caught === rows.length;
}

function pointNamed(name: string): FailpointName {
  const point = failpoints.find((candidate) => candidate.name === name);
  if (!point) throw usageFault(`--point ${name}: there is no such failpoint; ${failpoints.map(({ name }) => name).join(', ')}.`);
  return point.name;
}

/** With --json the object alone is stdout's, and people read along on stderr. */
function sayerFor(json: boolean): (line: string) => void {
  return json ? toStderr : toStdout;
}

function conclude(json: boolean, result: object, text: string) {
  toStdout(json ? JSON.stringify(result) : text);
}

function toStdout(line: string) {
  process.stdout.write(`${line}\n`);
}

function toStderr(line: string) {
  process.stderr.write(`${line}\n`);
}

/** The first signal lets what is under way end early and clean up; the second ends at once. */
function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    toStderr('Cleaning up; once more to stop at once.');
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return controller.signal;
}

runScript('chaos', main, { atOnce: true });
