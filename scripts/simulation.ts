// Before anything else is loaded: it takes the clocks, and puts the simulation's parts in the product's place.
import './simulation/prepare';

import { createHash } from 'node:crypto';

import { exitCodes, runScript } from './exit';
import { addUp, missing, noCoverage } from './simulation/coverage';
import { readOptions, usage, type SimulationRun } from './simulation/options';
import { inWords, report, type SimulationResult } from './simulation/report';
import { simulate } from './simulation/simulate';

/**
 * `npm run simulation`: runs Holdfast as a whole, many times, in this process: real code on virtual time, with a database and a
 * network that fail as the seed has it. A failing seed fails again: `--seeds 123 --trace` tells the story.
 */
async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (!options) return printUsage();
  const result = await simulateAll(options);
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : report(result));
  return result.verdict === 'PASS' ? exitCodes.passed : exitCodes.broken;
}

async function simulateAll(options: SimulationRun): Promise<SimulationResult> {
  const { firstSeed, lastSeed, orders, planted } = options;
  const hash = createHash('sha256');
  const startedAt = performance.now();
  const coverage = noCoverage();
  const violations: SimulationResult['violations'] = [];
  const sums = { simulations: 0, orders: 0, virtualMs: 0 };
  for (let seed = firstSeed; seed <= lastSeed; seed++) {
    const outcome = await simulate(seed, { orders });
    if (options.trace) process.stdout.write(`${outcome.trace.join('\n')}\n`);
    hash.update(outcome.traceHash);
    addUp(coverage, outcome.coverage);
    sums.simulations++;
    sums.orders += outcome.orders;
    sums.virtualMs += outcome.virtualMs;
    if (outcome.violations.length > 0) violations.push({ seed, words: inWords(outcome) });
    if (planted !== undefined && violations.length > 0) break;
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    ...{ verdict: violations.length === 0 ? 'PASS' : 'FAIL', seeds: `${firstSeed}..${lastSeed}` },
    ...{ simulations: sums.simulations, orders: sums.orders, virtual_seconds: Math.round(sums.virtualMs / 1_000) },
    ...{ seconds: Math.round(seconds * 10) / 10, per_second: Math.round((sums.simulations / seconds) * 10) / 10 },
    ...{ hash: hash.digest('hex').slice(0, 16), violations, planted, coverage, missing: missing(coverage) },
  };
}

function printUsage(): number {
  process.stdout.write(usage);
  return exitCodes.passed;
}

runScript('simulation', main);
