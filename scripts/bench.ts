import { readOptions, usage } from './bench/options';
import { startProgress } from './bench/progress';
import { report } from './bench/report';
import { resultOf } from './bench/result';
import { runBench } from './bench/run';
import { exitCodes, runScript } from './exit';

/**
 * `npm run bench`: how fast a Holdfast of its own is, and what that is worth: every figure stands beside one of the same minutes, of
 * the same machine and under the same load. What it has done is audited at the end: the speed of a shop that loses orders is nothing
 * to be proud of.
 */
async function main(): Promise<number> {
  const command = readOptions(process.argv.slice(2));
  if (!command) {
    process.stdout.write(usage);
    return exitCodes.passed;
  }
  // A process whose work got lost, with nothing left to wait for, ends by itself: that must not look like success.
  process.exitCode = exitCodes.failed;
  const progress = startProgress(process.stderr);
  const run = await runBench(command, abortOnSignal(), progress).finally(() => progress.stop());
  const result = resultOf(command, run);
  process.stdout.write(command.json ? `${JSON.stringify(result)}\n` : report(result));
  if (result.broken.length > 0) return exitCodes.broken;
  return result.failures.length > 0 ? exitCodes.failed : exitCodes.passed;
}

/** The first signal ends the bench and cleans up; the second ends at once, and every process that was started with it. */
function abortOnSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    process.stderr.write('Cleaning up; once more to stop at once.\n');
    controller.abort();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return controller.signal;
}

runScript('bench', main, { atOnce: true });
